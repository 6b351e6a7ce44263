//! Many clients at once: every connection is started before any is answered, as after a restart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::client::Tally;
use crate::poll::Poll;
use crate::script::{self, AnswerSpec, Clock};

/// Longest time until all are answered: a client whose first packet is lost retries after one second, then two, four
/// and eight.
const LIMIT: Duration = Duration::from_secs(20);

/// One client of the rush.
struct RushClient {
    socket: TcpStream,
    asked: bool,
    answer: Vec<u8>,
}

/// Opens so many connections at once, and requests one whole answer on each. Times to the first byte are from the start
/// of the rush.
///
/// # Errors
/// When the system gives no socket or no poller.
pub(crate) fn rush(target: SocketAddr, clock: Clock, count: usize) -> io::Result<Tally> {
    let (poll, request) = (Poll::new()?, AnswerSpec::WHOLE.request());
    let start = clock.nanos();
    let mut open: Vec<Option<RushClient>> = Vec::with_capacity(count);
    for key in 0..count {
        let socket = connecting(target)?;
        poll.add(&socket, key)?;
        poll.set_write(&socket, key, true)?;
        open.push(Some(RushClient { socket, asked: false, answer: Vec::new() }));
    }
    let (mut tally, mut ready, end) = (Tally::default(), Vec::new(), Instant::now() + LIMIT);
    let mut left = count;
    while left > 0 && Instant::now() < end {
        poll.wait(Duration::from_millis(20), &mut ready)?;
        for &(key, _) in &ready {
            let Some(client) = &mut open[key] else { continue };
            let first = client.answer.is_empty();
            let result = client.step(&poll, key, &request);
            if first && !client.answer.is_empty() {
                tally.first.push(clock.nanos() - start);
            }
            match result {
                Ok(false) => continue,
                Ok(true) => tally.exchanges += 1,
                Err(_) => tally.failed += 1,
            }
            open[key] = None;
            left -= 1;
        }
    }
    tally.failed += left as u64;
    Ok(tally)
}

/// A socket that is connecting.
fn connecting(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

impl RushClient {
    /// Sends the request, or reads. Returns whether the answer is whole.
    fn step(&mut self, poll: &Poll, key: usize, request: &[u8]) -> io::Result<bool> {
        if !self.asked {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            self.asked = true;
            // A request is small enough for an empty socket buffer.
            self.socket.write_all(request)?;
            poll.set_write(&self.socket, key, false)?;
            return Ok(false);
        }
        let mut piece = [0; 16 * 1024];
        let read = match self.socket.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        self.answer.extend_from_slice(&piece[..read]);
        let Some(end) = memchr::memmem::find(&self.answer, b"\r\n\r\n") else { return Ok(false) };
        let (head, body) = self.answer.split_at(end + 4);
        let length = script::field(head, b"content-length: ").and_then(script::number);
        match length.filter(|_| head.starts_with(b"HTTP/1.1 200")) {
            Some(length) => Ok(body.len() as u64 >= length),
            None => Err(io::Error::other("not the answer that was expected")),
        }
    }
}
