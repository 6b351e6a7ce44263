//! The answers. The routes:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics`, `/metrics/json` | the facts as JSON; 503 while there are none, or only stale ones |
//! | `/health` | 200 `ok` where there are facts, else 503 |
//!
//! Promises: only GET, and no body is taken; only a request that names this machine as its host, so that a page in
//! somebody's browser cannot read it under a name of its own; a request has [`LIMIT`] and [`LONGEST_HEAD`]; at most
//! [`THREADS`] at once. Left out: connections that stay, and every other feature of HTTP.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::facts::Shared;
use crate::options::Listen;

/// From the connection to the end of the answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// Requests that are answered at once.
const THREADS: usize = 4;

/// After a failure to accept (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds. A socket that an earlier life left behind is replaced; nothing else is.
    pub(crate) fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
            Listen::Unix(path) => {
                use std::os::unix::fs::{FileTypeExt, PermissionsExt};
                if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                // Whoever can enter the folder may ask, as on the port; the folder's mode says who can.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
                Ok(Self::Unix(listener))
            }
        }
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen: {error}")))
    }

    /// Where it listens, as it would be typed.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|error| error.to_string(), |it| it.to_string()),
            Self::Unix(listener) => {
                let path =
                    listener.local_addr().ok().and_then(|it| it.as_pathname().map(|path| path.display().to_string()));
                format!("unix:{}", path.unwrap_or_default())
            }
        }
    }

    /// Answers on threads of its own, for as long as the process lives.
    pub(crate) fn serve(self, shared: &Arc<Shared>) -> io::Result<()> {
        let listener = Arc::new(self);
        for _ in 0..THREADS {
            let (listener, shared) = (Arc::clone(&listener), Arc::clone(shared));
            thread::Builder::new().name("http".to_owned()).spawn(move || {
                loop {
                    // A client that goes away or stalls is its own affair.
                    let answered = match &*listener {
                        Self::Tcp(listener) => listener.accept().map(|(stream, _)| answer(Tcp(stream), &shared)),
                        Self::Unix(listener) => listener.accept().map(|(stream, _)| answer(Unix(stream), &shared)),
                    };
                    if answered.is_err() {
                        thread::sleep(PAUSE);
                    }
                }
            })?;
        }
        Ok(())
    }
}

/// A connection with a time limit.
trait Connection: Read + Write {
    /// A Unix socket has no `Host` to be deceived by.
    const CHECKS_HOST: bool;
    fn set_limit(&self, left: Duration) -> io::Result<()>;
}

struct Tcp(TcpStream);
struct Unix(UnixStream);

macro_rules! connection {
    ($($name:ident: $checks:literal),+) => {$(
        impl Read for $name {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(into)
            }
        }
        impl Write for $name {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.write(from)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.flush()
            }
        }
        impl Connection for $name {
            const CHECKS_HOST: bool = $checks;
            fn set_limit(&self, left: Duration) -> io::Result<()> {
                self.0.set_read_timeout(Some(left))?;
                self.0.set_write_timeout(Some(left))
            }
        }
    )+};
}

connection!(Tcp: true, Unix: false);

fn answer<C: Connection>(mut connection: C, shared: &Shared) -> Option<()> {
    let until = Instant::now() + LIMIT;
    let head = read_head(&mut connection, until).ok()?;
    let answer = respond(head.as_deref(), C::CHECKS_HOST, shared);
    connection.set_limit(left(until).ok()?).ok()?;
    connection.write_all(answer.to_string().as_bytes()).ok()
}

/// Up to the empty line; `None` where it is too long.
fn read_head<C: Connection>(connection: &mut C, until: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    loop {
        connection.set_limit(left(until)?)?;
        match connection.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => head.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(end);
            return Ok(Some(head));
        }
        if head.len() > LONGEST_HEAD {
            return Ok(None);
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allow = if self.status.starts_with("405") { "Allow: GET\r\n" } else { "" };
        write!(
            out,
            "HTTP/1.1 {}\r\n{allow}Content-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{}",
            self.status,
            self.body.len(),
            self.body
        )
    }
}

fn refusal(status: &'static str) -> Answer {
    Answer { status, body: format!("{{\"error\":\"{status}\"}}") }
}

/// The answer to a head; `None` is one that was too long.
fn respond(head: Option<&[u8]>, checks_host: bool, shared: &Shared) -> Answer {
    let Some(head) = head else { return refusal("431 Request Header Fields Too Large") };
    let Some((method, path, fields)) = std::str::from_utf8(head).ok().and_then(parse_head) else {
        return refusal("400 Bad Request");
    };
    if method != "GET" {
        return refusal("405 Method Not Allowed");
    }
    let named = |name: &str| {
        fields.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let body = named("content-length").iter().any(|length| *length != "0") || !named("transfer-encoding").is_empty();
    if body {
        return refusal("400 Bad Request");
    }
    let hosts = named("host");
    if checks_host && !(hosts.len() == 1 && is_this_machine(hosts[0])) {
        return refusal("421 Misdirected Request");
    }
    match path {
        "/metrics" | "/metrics/json" => match shared.json() {
            Some(body) => Answer { status: "200 OK", body },
            None => refusal("503 Service Unavailable"),
        },
        "/health" => match shared.json() {
            Some(_) => Answer { status: "200 OK", body: "{\"status\":\"ok\"}".to_owned() },
            None => refusal("503 Service Unavailable"),
        },
        _ => refusal("404 Not Found"),
    }
}

/// The whole answer to a head that came in over a port.
pub(crate) fn answer_to(head: &[u8], shared: &Shared) -> String {
    respond(Some(head), true, shared).to_string()
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Method, path without its query, and fields.
fn parse_head(head: &str) -> Option<(&str, &str, Fields<'_>)> {
    let mut lines = head.split("\r\n");
    let mut request = lines.next()?.split(' ');
    let (method, target, version) = (request.next()?, request.next()?, request.next()?);
    let plain = target.starts_with('/') && request.next().is_none() && version.starts_with("HTTP/1.");
    let fields: Option<Fields<'_>> =
        lines.map(|line| line.split_once(':').map(|(name, value)| (name, value.trim()))).collect();
    plain.then(|| target.split('?').next().unwrap_or(target)).zip(fields).map(|(path, fields)| (method, path, fields))
}

/// `localhost` or a loopback address, with any port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;

    fn status(head: &str) -> &'static str {
        let shared = Shared::default();
        shared.put(Facts { cpu_power: Some(5.0), ..Facts::default() });
        respond(Some(head.as_bytes()), true, &shared).status
    }

    #[test]
    fn the_facts_and_health_are_there_and_nothing_else() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:8002", "200 OK"),
            ("GET /metrics/json?x=1 HTTP/1.0\r\nhost: LOCALHOST", "200 OK"),
            ("GET /health HTTP/1.1\r\nHost: [::1]:8002", "200 OK"),
            ("GET / HTTP/1.1\r\nHost: localhost", "404 Not Found"),
            ("GET /metrics/../etc/passwd HTTP/1.1\r\nHost: localhost", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\nHost: localhost", "405 Method Not Allowed"),
            ("HEAD /metrics HTTP/1.1\r\nHost: localhost", "405 Method Not Allowed"),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5", "400 Bad Request"),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked", "400 Bad Request"),
            ("GET http://x/metrics HTTP/1.1\r\nHost: localhost", "400 Bad Request"),
            ("GET /metrics", "400 Bad Request"),
            ("GET /metrics HTTP/1.1\r\nHost localhost", "400 Bad Request"),
            ("", "400 Bad Request"),
        ] {
            assert_eq!(status(head), expected, "{head}");
        }
    }

    #[test]
    fn another_s_name_for_this_machine_is_refused() {
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1:8002", "[::2]", "", "[", "127.0.0.1.evil.example"]
        {
            assert_eq!(status(&format!("GET /metrics HTTP/1.1\r\nHost: {host}")), "421 Misdirected Request", "{host}");
        }
        assert_eq!(status("GET /metrics HTTP/1.1"), "421 Misdirected Request");
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost"), "421 Misdirected Request");
    }

    #[test]
    fn without_facts_it_is_not_well() {
        let head: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost";
        assert_eq!(respond(Some(head), true, &Shared::default()).status, "503 Service Unavailable");
        assert_eq!(respond(None, true, &Shared::default()).status, "431 Request Header Fields Too Large");
    }

    #[test]
    fn no_head_makes_it_panic() {
        let whole = b"GET /metrics HTTP/1.1\r\nHost: [::1]:8002\r\nContent-Length: 0";
        for cut in 0..=whole.len() {
            for byte in [0, b' ', b':', b'\r', b'[', b']', 0xff] {
                let mut changed = whole[..cut].to_vec();
                changed.push(byte);
                let _ = respond(Some(&changed), true, &Shared::default());
            }
        }
    }
}
