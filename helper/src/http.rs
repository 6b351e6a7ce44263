//! The answers. The routes:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics`, `/metrics/json` | the facts as JSON; 503 while there are none, or only stale ones |
//! | `/health` | 200 `ok` where there are facts, else 503 |
//!
//! Promises: only GET, and no body is taken; only a request that names this machine as its host, so that a page in
//! somebody's browser cannot read it under a name of its own; a connection has [`LIMIT`] and [`LONGEST_HEAD`]; one that
//! is slow or silent keeps no other waiting: one thread serves all, and where [`PLACES`] run short the oldest is closed
//! for the newcomer. Left out: connections that stay, and every other feature of HTTP.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::facts::Shared;
use crate::options::Listen;

/// From the connection to the end of the answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// Connections that are open at once.
const PLACES: usize = 64;

/// After a failure that closing a connection does not mend (the system has no descriptors or memory left).
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

    /// Answers on a thread of its own, for as long as the process lives.
    pub(crate) fn serve(self, shared: &Arc<Shared>) -> io::Result<()> {
        match &self {
            Self::Tcp(listener) => listener.set_nonblocking(true)?,
            Self::Unix(listener) => listener.set_nonblocking(true)?,
        }
        let shared = Arc::clone(shared);
        let answer = move || {
            let mut open = VecDeque::new();
            loop {
                self.turn(&mut open, &shared);
            }
        };
        thread::Builder::new().name("http".to_owned()).spawn(answer).map(drop)
    }

    /// Waits for something to do, then does one step of each connection that can go on and accepts at most one more.
    /// A newcomer thus has a turn of its own before it can be the oldest.
    fn turn(&self, open: &mut VecDeque<Connection>, shared: &Shared) {
        let mut polled: Vec<_> = open.iter().map(Connection::waits_for).collect();
        polled.push(PollFd::new(self, PollFlags::IN));
        let left = open.front().map(|oldest| oldest.until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec::try_from(left).expect("LIMIT is short"));
        if poll(&mut polled, left.as_ref()).is_err() {
            return thread::sleep(PAUSE);
        }
        let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let mut is_ready = || ready.next().expect("each was polled");
        let now = Instant::now();
        open.retain_mut(|connection| {
            let goes_on = !is_ready() || connection.step(self.checks_host(), shared);
            goes_on && now < connection.until
        });
        if is_ready() {
            self.admit(open);
        }
    }

    /// Accepts a connection; the oldest gives way where there is no place or no descriptor.
    fn admit(&self, open: &mut VecDeque<Connection>) {
        match self.accept() {
            Ok(socket) => {
                if open.len() == PLACES {
                    open.pop_front();
                }
                open.push_back(Connection::new(socket));
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                _ if open.pop_front().is_some() => {}
                _ => thread::sleep(PAUSE),
            },
        }
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true).map(|()| stream.into())
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true).map(|()| stream.into())
            }
        }
    }

    /// A Unix socket has no `Host` to be deceived by.
    fn checks_host(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// A client: its head is read to the end, then its answer is written.
struct Connection {
    socket: OwnedFd,
    until: Instant,
    head: Vec<u8>,
    /// Empty while the head is read.
    unsent: Vec<u8>,
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, until: Instant::now() + LIMIT, head: Vec::new(), unsent: Vec::new() }
    }

    fn waits_for(&self) -> PollFd<'_> {
        PollFd::new(&self.socket, if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT })
    }

    /// Goes on as far as it can without waiting; whether anything is left to do.
    fn step(&mut self, checks_host: bool, shared: &Shared) -> bool {
        let done = if self.unsent.is_empty() { self.read(checks_host, shared) } else { self.write() };
        match done {
            Ok(done) => !done,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// One read, and the answer where that completes the head; whether the connection is done with.
    fn read(&mut self, checks_host: bool, shared: &Shared) -> rustix::io::Result<bool> {
        let mut piece = [0; 1024];
        let n = rustix::io::read(&self.socket, &mut piece)?;
        if n == 0 {
            return Ok(true);
        }
        // Only where the empty line may have come in, so that a head in small pieces costs no more than a whole one.
        let seen = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(&piece[..n]);
        let end = self.head[seen..].windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map(|end| &self.head[..seen + end]);
        if head.is_none() && self.head.len() <= LONGEST_HEAD {
            return Ok(false);
        }
        self.unsent = respond(head, checks_host, shared).to_string().into_bytes();
        self.write()
    }

    /// One write; whether it was the last.
    fn write(&mut self) -> rustix::io::Result<bool> {
        let n = rustix::io::write(&self.socket, &self.unsent)?;
        self.unsent.drain(..n);
        Ok(self.unsent.is_empty())
    }
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
