//! The HTTP server. The routes:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics`, `/metrics/json` | the facts as JSON; 503 while there are none, or only stale ones |
//! | `/health` | 200 `ok` while there are facts, else 503 |
//!
//! Promises: only GET without a body; only requests whose `Host` is this machine, so that a web page cannot read the
//! facts under a name of its own (DNS rebinding); a connection is limited by [`LIMIT`] and [`MAX_HEAD`]; a slow or
//! silent one delays no other: one thread serves all without blocking, and when [`MAX_CONNECTIONS`] are open the oldest
//! is closed for a new one. Left out: keep-alive, and every other feature of HTTP.

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

use crate::facts::LatestSample;
use crate::options::Listen;

/// From accepting a connection to the end of the answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 8 << 10;

/// Connections open at once.
const MAX_CONNECTIONS: usize = 64;

/// Before retrying after a failure that closing a connection cannot fix (the system is out of descriptors or memory).
const PAUSE: Duration = Duration::from_millis(100);

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Replaces a socket that an earlier process left behind, and no other file.
    pub(crate) fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
            Listen::Unix(path) => {
                use std::os::unix::fs::{FileTypeExt, PermissionsExt};
                if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                // Access is controlled by the mode of the folder; the port is open to every local user too.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
                Ok(Self::Unix(listener))
            }
        }
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen: {error}")))
    }

    /// The address in the form of `--listen`.
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

    /// Starts a thread that serves for as long as the process lives.
    pub(crate) fn serve(self, latest: &Arc<LatestSample>) -> io::Result<()> {
        match &self {
            Self::Tcp(listener) => listener.set_nonblocking(true)?,
            Self::Unix(listener) => listener.set_nonblocking(true)?,
        }
        let latest = Arc::clone(latest);
        let answer = move || {
            let mut open = VecDeque::new();
            loop {
                self.serve_once(&mut open, &latest);
            }
        };
        thread::Builder::new().name("http".to_owned()).spawn(answer).map(drop)
    }

    /// Waits for events, then makes one step on each ready connection and accepts at most one more. A new connection
    /// thus gets a step before it can be the oldest.
    fn serve_once(&self, open: &mut VecDeque<Connection>, latest: &LatestSample) {
        let mut polled: Vec<_> = open.iter().map(Connection::poll_fd).collect();
        polled.push(PollFd::new(self, PollFlags::IN));
        let timeout = open.front().map(|oldest| oldest.until.saturating_duration_since(Instant::now()));
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("LIMIT is short"));
        if poll(&mut polled, timeout.as_ref()).is_err() {
            return thread::sleep(PAUSE);
        }
        let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let mut is_ready = || ready.next().expect("each was polled");
        let now = Instant::now();
        open.retain_mut(|connection| {
            let is_open = !is_ready() || connection.step(self.checks_host(), latest);
            is_open && now < connection.until
        });
        if is_ready() {
            self.accept_into(open);
        }
    }

    /// Accepts a connection. Closes the oldest where too many are open or the system is out of descriptors.
    fn accept_into(&self, open: &mut VecDeque<Connection>) {
        match self.accept() {
            Ok(socket) => {
                if open.len() == MAX_CONNECTIONS {
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

    /// Browsers cannot reach a Unix socket, so its `Host` does not matter.
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

/// A client's connection: reads the head of one request, then writes the answer.
struct Connection {
    socket: OwnedFd,
    until: Instant,
    head: Vec<u8>,
    /// The rest of the answer; empty while the head is read.
    unsent: Vec<u8>,
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, until: Instant::now() + LIMIT, head: Vec::new(), unsent: Vec::new() }
    }

    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.socket, if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT })
    }

    /// Makes one read or write without blocking. Returns whether anything is left to do.
    fn step(&mut self, checks_host: bool, latest: &LatestSample) -> bool {
        let done = if self.unsent.is_empty() { self.read(checks_host, latest) } else { self.write() };
        match done {
            Ok(done) => !done,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// Makes one read, and begins the answer where that completes the head. Returns whether the connection is finished.
    fn read(&mut self, checks_host: bool, latest: &LatestSample) -> rustix::io::Result<bool> {
        let mut piece = [0; 1024];
        let n = rustix::io::read(&self.socket, &mut piece)?;
        if n == 0 {
            return Ok(true);
        }
        // Searches only the new bytes, so that a head in small pieces costs no more than a whole one.
        let seen = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(&piece[..n]);
        let end = self.head[seen..].windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map(|end| &self.head[..seen + end]);
        if head.is_none() && self.head.len() <= MAX_HEAD {
            return Ok(false);
        }
        self.unsent = respond(head, checks_host, latest).to_string().into_bytes();
        self.write()
    }

    /// Makes one write. Returns whether it was the last.
    fn write(&mut self) -> rustix::io::Result<bool> {
        let n = rustix::io::write(&self.socket, &self.unsent)?;
        self.unsent.drain(..n);
        Ok(self.unsent.is_empty())
    }
}

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

/// The answer to a head; `None` is one above [`MAX_HEAD`].
fn respond(head: Option<&[u8]>, checks_host: bool, latest: &LatestSample) -> Answer {
    let Some(head) = head else { return refusal("431 Request Header Fields Too Large") };
    let Some((method, path, fields)) = std::str::from_utf8(head).ok().and_then(parse_head) else {
        return refusal("400 Bad Request");
    };
    if method != "GET" {
        return refusal("405 Method Not Allowed");
    }
    let values = |name: &str| {
        fields.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let has_body =
        values("content-length").iter().any(|length| *length != "0") || !values("transfer-encoding").is_empty();
    if has_body {
        return refusal("400 Bad Request");
    }
    let hosts = values("host");
    if checks_host && !(hosts.len() == 1 && is_this_machine(hosts[0])) {
        return refusal("421 Misdirected Request");
    }
    match path {
        "/metrics" | "/metrics/json" => match latest.json() {
            Some(body) => Answer { status: "200 OK", body },
            None => refusal("503 Service Unavailable"),
        },
        "/health" => match latest.json() {
            Some(_) => Answer { status: "200 OK", body: "{\"status\":\"ok\"}".to_owned() },
            None => refusal("503 Service Unavailable"),
        },
        _ => refusal("404 Not Found"),
    }
}

/// The answer to a head received over TCP, as sent.
pub(crate) fn answer_to(head: &[u8], latest: &LatestSample) -> String {
    respond(Some(head), true, latest).to_string()
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

/// Whether a `Host` is `localhost` or a loopback address, with any port.
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
        let latest = LatestSample::default();
        latest.put(Facts { cpu_power: Some(5.0), ..Facts::default() });
        respond(Some(head.as_bytes()), true, &latest).status
    }

    #[test]
    fn only_the_facts_and_health_are_served() {
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
    fn a_host_that_is_not_this_machine_is_refused() {
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1:8002", "[::2]", "", "[", "127.0.0.1.evil.example"]
        {
            assert_eq!(status(&format!("GET /metrics HTTP/1.1\r\nHost: {host}")), "421 Misdirected Request", "{host}");
        }
        assert_eq!(status("GET /metrics HTTP/1.1"), "421 Misdirected Request");
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost"), "421 Misdirected Request");
    }

    #[test]
    fn without_facts_health_is_503() {
        let head: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost";
        assert_eq!(respond(Some(head), true, &LatestSample::default()).status, "503 Service Unavailable");
        assert_eq!(respond(None, true, &LatestSample::default()).status, "431 Request Header Fields Too Large");
    }

    #[test]
    fn no_head_causes_a_panic() {
        let whole = b"GET /metrics HTTP/1.1\r\nHost: [::1]:8002\r\nContent-Length: 0";
        for cut in 0..=whole.len() {
            for byte in [0, b' ', b':', b'\r', b'[', b']', 0xff] {
                let mut changed = whole[..cut].to_vec();
                changed.push(byte);
                let _ = respond(Some(&changed), true, &LatestSample::default());
            }
        }
    }
}
