//! Shared by the tests that play every order of the events around an exchange.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

/// How long a test waits for an event before it fails. Nothing is measured against it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Permutes the moves into the lexicographically next order; false after the last one.
pub(super) fn next_order<Move: Ord>(moves: &mut [Move]) -> bool {
    let Some(at) = (1..moves.len()).rev().find(|at| moves[at - 1] < moves[*at]) else { return false };
    let with = (at..moves.len()).rev().find(|with| moves[*with] > moves[at - 1]).expect("the one at `at` is greater");
    moves.swap(at - 1, with);
    moves[at..].reverse();
    true
}

/// The other end of one of the proxy's connections.
pub(super) struct Peer {
    /// `None` once it has reset the connection.
    pub(super) stream: Option<TcpStream>,
    to_send: VecDeque<u8>,
    pub(super) got: Vec<u8>,
    pub(super) reads: bool,
    /// It has closed its side.
    pub(super) ended: bool,
    /// The other side has closed, or reset, the connection.
    pub(super) closed: bool,
    /// The other side has reset the connection.
    pub(super) reset: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a socket");
        Self {
            stream: Some(stream),
            to_send: VecDeque::new(),
            got: Vec::new(),
            reads: true,
            ended: false,
            closed: false,
            reset: false,
        }
    }

    /// Sends bytes as far as the system takes them now, and the rest when it is pumped. The proxy may be gone.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.to_send.extend(bytes);
        self.pump();
    }

    /// Sends and receives as much as possible now. Returns whether any byte was moved.
    pub(super) fn pump(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut moved = false;
        while !self.to_send.is_empty() {
            match stream.write(self.to_send.make_contiguous()) {
                Ok(bytes) => drop(self.to_send.drain(..bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A reset is reported once, by a write or by a read.
                Err(_) => (self.reset, self.to_send) = (true, VecDeque::new()),
            }
            moved = true;
        }
        let mut buffer = [0; 4096];
        while self.reads && !self.closed {
            match stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(read) => self.got.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => (self.closed, self.reset) = (true, true),
            }
            moved = true;
        }
        moved
    }

    pub(super) fn close(&mut self) {
        self.ended = true;
        if let Some(stream) = &self.stream {
            // It may have been reset.
            drop(stream.shutdown(Shutdown::Write));
        }
    }

    pub(super) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
        self.closed = true;
    }

    pub(super) fn body(&self) -> Option<&[u8]> {
        let at = self.got.windows(4).position(|four| four == b"\r\n\r\n")?;
        Some(&self.got[at + 4..])
    }
}
