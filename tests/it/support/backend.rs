//! A backend that does exactly what a script says, on real sockets, and keeps the raw bytes it was sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::PATIENCE;

/// A scripted backend. Each connection runs the script in a thread of its own.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let (script, count) = (Arc::new(script), accepted.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let script = script.clone();
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                    stream.set_nodelay(true).expect("nodelay");
                    script(&mut Connection::of(stream));
                });
            }
        });
        Self { address, accepted }
    }

    /// Answers every request on every connection with these bytes, for as long as the client keeps it.
    pub(crate) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |connection| {
            while connection.request().is_some() {
                connection.write(&response);
            }
        })
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// One connection that the backend has accepted.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// One that something else has accepted.
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The next head, its empty line included. None at the end of the connection.
    pub(crate) fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(self.read.drain(..end + 4).collect());
            }
            if self.fill() == 0 {
                return None;
            }
        }
    }

    /// The next request: head and body, framing and all.
    pub(crate) fn request(&mut self) -> Option<Vec<u8>> {
        let head = self.head()?;
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let mut request = head;
        if let Some(length) = text.lines().find_map(|line| line.strip_prefix("content-length:")) {
            let length = length.trim().parse().expect("a length");
            request.extend(self.exactly(length));
        } else if text.contains("transfer-encoding: chunked") {
            request.extend(self.until(b"0\r\n\r\n"));
        }
        Some(request)
    }

    pub(crate) fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.read.len() < bytes && self.fill() > 0 {}
        let bytes = bytes.min(self.read.len());
        self.read.drain(..bytes).collect()
    }

    pub(crate) fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return self.read.drain(..at + end.len()).collect();
            }
            if self.fill() == 0 {
                return std::mem::take(&mut self.read);
            }
        }
    }

    /// Writes; a client that has left is no failure of the script.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes));
    }

    /// Waits until the other side has closed, reading what comes. False if it has not within the patience.
    pub(crate) fn closed(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    /// Waits so long, or until the other side closes or sends more.
    pub(crate) fn wait(&mut self, time: Duration) {
        let before = self.stream.read_timeout().expect("a socket");
        self.stream.set_read_timeout(Some(time)).expect("a socket");
        let _ = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(before).expect("a socket");
    }

    /// Closes with a reset once the script lets go of the connection.
    pub(crate) fn reset(&mut self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    }

    fn fill(&mut self) -> usize {
        let mut buffer = [0; 64 * 1024];
        let read = self.stream.read(&mut buffer).unwrap_or(0);
        self.read.extend_from_slice(&buffer[..read]);
        read
    }
}
