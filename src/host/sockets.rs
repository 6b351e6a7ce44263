//! TCP sockets: /proc/net/sockstat, /proc/net/sockstat6, and the listening ones at the top of /proc/net/tcp.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// Most bytes of a list of sockets that are read: far more listening sockets than a machine has.
const MAX_LIST: u64 = 1 << 20;

/// The state of a listening socket (Linux, `include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// TCP sockets of this machine, of both versions of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Connected, or about to be or to close.
    pub active: Option<u64>,
    /// Closed, and remembered for late packets.
    pub time_wait: Option<u64>,
    /// Accepting connections.
    pub listening: Option<u64>,
}

/// Counts them.
#[derive(Debug)]
pub struct SocketsCollector {
    proc: PathBuf,
}

impl SocketsCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc }
    }
}

impl Collector for SocketsCollector {
    type Part = Sockets;

    fn name(&self) -> &'static str {
        "sockets"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Sockets>, ReadError> {
        let net = self.proc.join("net");
        let Some(four) = kernel_file::read(&net.join("sockstat"))? else { return Ok(None) };
        let six = kernel_file::read(&net.join("sockstat6"))?.unwrap_or_default();
        let used = value(&four, "TCP:", "inuse").map(|used| used + value(&six, "TCP6:", "inuse").unwrap_or(0));
        let listening = listening(&net.join("tcp")).map(|four| four + listening(&net.join("tcp6")).unwrap_or(0));
        Ok(Some(Sockets {
            active: used.zip(listening).map(|(used, listening)| used.saturating_sub(listening)),
            time_wait: value(&four, "TCP:", "tw"),
            listening,
        }))
    }
}

/// The number after a word in the line of a protocol, such as `TCP: inuse 27 orphan 0 tw 11 alloc 30 mem 5`.
fn value(text: &str, protocol: &str, word: &str) -> Option<u64> {
    let mut words = text.lines().find_map(|line| line.strip_prefix(protocol))?.split_ascii_whitespace();
    words.find(|found| *found == word)?;
    words.next()?.parse().ok()
}

/// The kernel lists listening sockets first, so that a machine with many connections is not read to the end.
fn listening(list: &Path) -> Option<u64> {
    let lines = BufReader::new(File::open(list).ok()?.take(MAX_LIST)).lines();
    let states = lines.skip(1).map_while(Result::ok);
    Some(states.take_while(|line| line.split_ascii_whitespace().nth(3) == Some(LISTEN)).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocols_line_is_read_by_its_words() {
        let text = "sockets: used 200\nTCP: inuse 27 orphan 0 tw 11 alloc 30 mem 5\nUDP: inuse 9 mem 1\n";
        assert_eq!((value(text, "TCP:", "inuse"), value(text, "TCP:", "tw")), (Some(27), Some(11)));
        assert_eq!(
            (value(text, "TCP6:", "inuse"), value(text, "UDP:", "tw"), value("TCP: inuse", "TCP:", "inuse")),
            (None, None, None)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_that_listens_and_a_connection_are_counted() {
        let read = || SocketsCollector::new("/proc".into()).read(Instant::now()).expect("it reads").expect("it exists");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let now = read();
        assert!(now.listening.is_some_and(|count| count >= 1), "{now:?}");
        assert!(now.active.is_some_and(|count| count >= 2), "{now:?}: both ends");
    }
}
