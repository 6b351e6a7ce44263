//! Opens connections to a backend.
//!
//! Promises: names are resolved for each connection; `localhost` is never looked up, both loopback addresses are tried
//! and the one that answered comes first next time; one dead address of several does not use up the time of the others;
//! an `https://` backend is never contacted without TLS. Left out: trying addresses in parallel.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use crate::tls::client::{ConnectError, TlsClient};
use crate::tls::{Fault, Stream};

/// Idle time before the first TCP keep-alive probe. A silent generation may take minutes; this is below the timeout of
/// common NAT tables, which would cut it off.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// The interval of unanswered keep-alive probes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// Nothing listens there.
    Refused,
    /// Not accepted in time.
    Timeout,
    /// The name did not resolve.
    Dns(io::Error),
    /// The TLS handshake failed.
    Tls(Fault),
    /// The local system has no descriptor, port or memory left: nothing is known about the backend.
    Exhausted(io::Error),
    /// Anything else, such as no route.
    Other(io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => out.write_str("the connection was refused"),
            Self::Timeout => out.write_str("the connection was not accepted in time"),
            Self::Dns(_) => out.write_str("the name did not resolve"),
            Self::Tls(fault) => fault.fmt(out),
            Self::Exhausted(_) => out.write_str("the system has no descriptor, port or memory left"),
            Self::Other(_) => out.write_str("the connection failed"),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Dns(cause) | Self::Exhausted(cause) | Self::Other(cause) => Some(cause),
            Self::Refused | Self::Timeout | Self::Tls(_) => None,
        }
    }
}

impl DialError {
    /// Of several attempts the error of the highest rank is reported: a refused connection says more than a missing
    /// route.
    fn rank(&self) -> u8 {
        match self {
            Self::Exhausted(_) => 5,
            Self::Tls(_) => 4,
            Self::Refused => 3,
            Self::Timeout => 2,
            Self::Other(_) => 1,
            Self::Dns(_) => 0,
        }
    }
}

/// Whether the local system had no descriptor or memory left to open or accept a socket.
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Whether the local system has no port left for a connection there. The error is the same where it has no address of
/// that family, as without IPv6; then connecting a UDP socket, which has its own ports, fails too.
fn is_out_of_ports(error: &io::Error, to: SocketAddr) -> bool {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    error.kind() == io::ErrorKind::AddrNotAvailable
        && UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(to)).is_ok()
}

/// Classifies an error of connecting there.
fn dial_error(error: io::Error, to: SocketAddr) -> DialError {
    if is_out_of_ports(&error, to) { DialError::Exhausted(error) } else { error.into() }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            _ if is_exhausted(&error) => Self::Exhausted(error),
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Other(error),
        }
    }
}

/// Opens connections to one backend; shared by the proxy and the monitoring.
#[derive(Debug)]
pub struct Dialer {
    address: Address,
    /// Required for an `https://` address.
    tls: Option<TlsClient>,
    /// The address that answered last; `None` where there was only one.
    answered: Mutex<Option<SocketAddr>>,
}

impl Dialer {
    /// A dialer without TLS. An `https://` address needs [`Dialer::with_tls`].
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, tls: None, answered: Mutex::new(None) }
    }

    /// Uses this TLS configuration if the address is `https://`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<TlsClient>) -> Self {
        self.tls = tls;
        self
    }

    /// Its TLS configuration; `None` where it speaks plainly.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsClient> {
        self.tls.as_ref()
    }

    /// The configured address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Opens a connection within `limit`, including name resolution and TLS handshake. Dropping the future cancels it.
    pub async fn dial(&self, limit: Duration) -> Result<Stream, DialError> {
        let deadline = Instant::now() + limit;
        let addresses = self.preferred(self.resolve(deadline).await?);
        let mut worst = None;
        for (tried, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / u32::try_from(addresses.len() - tried).unwrap_or(1);
            match self.connect(*address, now + share).await {
                Ok(stream) => {
                    if addresses.len() > 1 {
                        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(*address);
                    }
                    return Ok(stream);
                }
                Err(error) if worst.as_ref().is_none_or(|worst: &DialError| error.rank() > worst.rank()) => {
                    worst = Some(error);
                }
                Err(_) => {}
            }
        }
        Err(worst.unwrap_or_else(|| DialError::Dns(io::Error::from(io::ErrorKind::NotFound))))
    }

    async fn resolve(&self, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
        let port = self.address.port;
        if let Some(ip) = self.address.ip() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if self.address.is_localhost() {
            let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
            return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
        }
        let lookup = tokio::net::lookup_host((self.address.host.as_str(), port));
        match timeout_at(deadline, lookup).await {
            Ok(Err(error)) if is_exhausted(&error) => Err(DialError::Exhausted(error)),
            Ok(found) => found.map(Iterator::collect).map_err(DialError::Dns),
            Err(_) => Err(DialError::Dns(io::Error::from(io::ErrorKind::TimedOut))),
        }
    }

    async fn connect(&self, address: SocketAddr, deadline: Instant) -> Result<Stream, DialError> {
        let socket = connect(address, deadline).await?;
        if !self.address.tls {
            return Ok(Stream::Plain(socket));
        }
        let Some(tls) = &self.tls else { return Err(DialError::Tls(Fault::Other)) };
        match timeout_at(deadline, Box::pin(tls.connect(socket))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(ConnectError::Tls(fault))) => Err(DialError::Tls(fault)),
            Ok(Err(ConnectError::Socket(error))) => Err(DialError::Other(error)),
            Err(_) => Err(DialError::Tls(Fault::Silent)),
        }
    }

    /// Moves the address that answered last to the front, if it is among them.
    fn preferred(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(*address) != answered);
        addresses
    }
}

async fn connect(address: SocketAddr, deadline: Instant) -> Result<TcpStream, DialError> {
    let connected = timeout_at(deadline, TcpStream::connect(address)).await.map_err(|_| DialError::Timeout)?;
    let stream = connected.map_err(|error| dial_error(error, address))?;
    set_options(&stream, address.ip())?;
    Ok(stream)
}

/// Sets the socket options. Without keep-alive for a peer on this machine: it cannot vanish without its connections,
/// the local kernel would answer the probes, and a dial saves three system calls.
fn set_options(stream: &TcpStream, peer: IpAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if peer.to_canonical().is_loopback() {
        return Ok(());
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(5);

    fn dialer(address: &str) -> Dialer {
        Dialer::new(address.parse().expect("an address"))
    }

    #[tokio::test]
    async fn a_connection_sends_at_once_and_one_to_another_machine_is_kept_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let stream = dialer(&address.to_string()).dial(LIMIT).await.expect("a connection");
        let socket = SockRef::from(stream.tcp());
        assert!(socket.tcp_nodelay().expect("option"));
        assert!(!socket.keepalive().expect("option"), "the local kernel would answer");
        for (peer, is_kept_alive) in
            [("::1", false), ("::ffff:127.0.0.2", false), ("10.0.0.1", true), ("fe80::1", true)]
        {
            set_options(stream.tcp(), peer.parse().expect("an address")).expect("options");
            assert_eq!(socket.keepalive().expect("option"), is_kept_alive, "{peer}");
        }
        let times = (socket.tcp_keepalive_time().expect("option"), socket.tcp_keepalive_interval().expect("option"));
        assert_eq!(times, (KEEPALIVE_AFTER, KEEPALIVE_EVERY));
    }

    #[tokio::test]
    async fn localhost_finds_a_server_on_ipv4_only_and_remembers_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let dialer = dialer(&format!("localhost:{}", address.port()));
        let before = dialer.preferred(dialer.resolve(Instant::now() + LIMIT).await.expect("two"));
        assert!(before[0].is_ipv6());
        let stream = dialer.dial(LIMIT).await.expect("a connection");
        assert_eq!(stream.tcp().peer_addr().expect("peer"), address);
        let after = dialer.preferred(dialer.resolve(Instant::now() + LIMIT).await.expect("two"));
        assert_eq!(after[0], address, "the one that answered comes first");
        assert_eq!(after.len(), 2, "the other one is still tried");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_and_an_invalid_name_does_not_resolve() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        drop(listener);
        for host in ["127.0.0.1", "localhost"] {
            let error = dialer(&format!("{host}:{}", address.port())).dial(LIMIT).await.expect_err("closed");
            assert!(matches!(error, DialError::Refused), "{host}: {error:?}");
        }
        let error = dialer("no-such-host.invalid").dial(LIMIT).await.expect_err("no such name");
        assert!(matches!(error, DialError::Dns(_)), "{error:?}");
    }

    #[test]
    fn a_lack_of_ports_is_local_exhaustion_and_a_lack_of_an_address_is_not() {
        let to = |ip: Ipv4Addr| dial_error(Errno::ADDRNOTAVAIL.into(), SocketAddr::from((ip, 9)));
        assert!(matches!(to(Ipv4Addr::LOCALHOST), DialError::Exhausted(_)));
        // Where nothing can be sent from here, however many ports there are.
        assert!(matches!(to(Ipv4Addr::BROADCAST), DialError::Other(_)));
        let refused = dial_error(Errno::CONNREFUSED.into(), SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        assert!(matches!(refused, DialError::Refused));
    }

    #[tokio::test]
    async fn a_full_backlog_times_out() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("bind");
        socket.listen(0).expect("listen");
        let address = socket.local_addr().expect("address").as_socket().expect("IP");
        let dialer = dialer(&address.to_string());
        let mut held = Vec::new();
        let error = loop {
            match dialer.dial(Duration::from_millis(50)).await {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, DialError::Timeout), "{error:?}");
    }
}
