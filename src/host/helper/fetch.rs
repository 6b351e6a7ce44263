//! One request to the helper, limited in time and size.
//!
//! HTTP/1.0, so that the answer is not chunked and ends with the connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::address::HelperAddress;
use crate::host::collector::ReadError;

/// The time limit of the whole request: a local helper answers from memory.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The size limit of an answer in bytes, far above what any helper sends.
const MAX_SIZE: usize = 256 << 10;

/// Returns the body of a 200.
#[expect(clippy::disallowed_methods, reason = "a source has a thread of its own")]
pub(super) fn get(address: &HelperAddress) -> Result<Vec<u8>, ReadError> {
    let until = Instant::now() + TIME_LIMIT;
    let answer = match address {
        HelperAddress::Tcp { authority, path } => connect(authority, until).and_then(|mut stream| {
            request(&mut stream, authority, path, until, |stream, left| {
                stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)))
            })
        }),
        HelperAddress::Unix(socket) => UnixStream::connect(socket).and_then(|mut stream| {
            request(&mut stream, "localhost", HelperAddress::PATH, until, |stream, left| {
                stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)))
            })
        }),
    };
    let answer = answer.map_err(|cause| ReadError::Io { what: address.to_string(), cause })?;
    parse_body(answer).ok_or_else(|| ReadError::Source(format!("{address}: no answer with 200")))
}

#[expect(clippy::disallowed_methods, reason = "a source has a thread of its own")]
fn connect(authority: &str, until: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(ErrorKind::NotFound);
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, remaining(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The remaining time; an error when it is over.
fn remaining(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn request<S: Read + Write>(
    stream: &mut S,
    host: &str,
    path: &str,
    until: Instant,
    limit: impl Fn(&S, Duration) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    limit(stream, remaining(until)?)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; 8192];
    loop {
        limit(stream, remaining(until)?)?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(n) if answer.len() + n > MAX_SIZE => return Err(ErrorKind::FileTooLarge.into()),
            Ok(n) => answer.extend_from_slice(&part[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The error of a timeout depends on the system.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
}

/// The body of a 200; `None` for another status, and where it is shorter than its `Content-Length`.
fn parse_body(mut answer: Vec<u8>) -> Option<Vec<u8>> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?;
    if !status.starts_with("HTTP/1.") || status.split(' ').nth(1) != Some("200") {
        return None;
    }
    let lengths =
        lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> = lengths.map(|(_, value)| value.trim().parse().ok()).next().flatten();
    answer.drain(..end + 4);
    match length {
        Some(length) if answer.len() < length => return None, // cut short
        Some(length) => answer.truncate(length),
        None => {}
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_200_has_a_body() {
        assert_eq!(parse_body(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}x".to_vec()), Some(b"{}".to_vec()));
        assert_eq!(parse_body(b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec()), Some(b"{}".to_vec()));
        for answer in [
            "",
            "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "HTTP/1.0 503 x\r\n\r\n{}",
            "{}",
            "SSH-2.0-x\r\n\r\n",
        ] {
            assert_eq!(parse_body(answer.as_bytes().to_vec()), None, "{answer}");
        }
    }
}
