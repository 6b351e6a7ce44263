//! Asks, counts and times: one thread, one poller, any number of connections.
//!
//! It reads as little as it must: marks in streams, a length in whole answers. A connection that ends when it should not
//! is counted, and makes the measurement void.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::poll::Poll;
use crate::script::{self, Clock, Form, LAST_BYTES, MARK, STAMP_DIGITS, Wish};

/// Connections opened before those that are open have their turn.
const OPENED_AT_ONCE: usize = 32;

/// Longest pause of the poller.
const PAUSE: Duration = Duration::from_millis(20);

/// What was seen since the last [`Client::take`].
#[derive(Debug, Default)]
pub struct Tally {
    /// Whole answers and streams that came to their end.
    pub exchanges: u64,
    /// Chunks of streams.
    pub chunks: u64,
    /// From a request to the first byte of its body, in nanoseconds; a repeated exchange gives one sample each time.
    pub first: Vec<u64>,
    /// From the backend's write of a chunk to its reading here, in nanoseconds; the last chunk of each piece read.
    pub transit: Vec<u64>,
    /// Connections that ended when they should not.
    pub failed: u64,
}

/// A client of one address.
pub struct Client {
    target: SocketAddr,
    clock: Clock,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    ready: Vec<(usize, bool)>,
    /// Exchanges that wait for their instant.
    later: Vec<(Instant, usize)>,
    open: usize,
    tally: Tally,
}

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    wish: Wish,
    then: Then,
    asked: u64,
    seen: u64,
    answer: Answer,
}

/// What follows a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The same request at once.
    Again,
    /// The same request after a pause.
    After(Duration),
    /// Nothing: the connection is closed.
    Close,
}

enum Answer {
    Head(Vec<u8>),
    Whole { left: u64 },
    Stream { tail: [u8; LAST_BYTES.len()] },
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    /// When the system gives no poller.
    pub fn new(target: SocketAddr, clock: Clock) -> io::Result<Self> {
        Ok(Self {
            target,
            clock,
            poll: Poll::new()?,
            connections: Vec::new(),
            ready: Vec::new(),
            later: Vec::new(),
            open: 0,
            tally: Tally::default(),
        })
    }

    /// Opens connections and sends a request on each.
    ///
    /// # Errors
    /// When a connection is refused.
    pub fn open(&mut self, count: usize, wish: Wish, then: Then) -> io::Result<()> {
        for opened in 0..count {
            let socket = TcpStream::connect_timeout(&self.target, Duration::from_secs(5))?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let key = self.connections.len();
            self.poll.add(&socket, key)?;
            let answer = Answer::Head(Vec::new());
            let mut connection = Connection { socket, request: wish.request(), wish, then, asked: 0, seen: 0, answer };
            connection.ask(self.clock)?;
            self.connections.push(Some(connection));
            self.open += 1;
            if opened % OPENED_AT_ONCE == OPENED_AT_ONCE - 1 {
                self.turn(Duration::ZERO)?;
            }
        }
        Ok(())
    }

    /// Works for so long, or until all connections are closed.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn run(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while self.open > 0 {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let next = self.later.iter().map(|(at, _)| *at).min().unwrap_or(end).min(end);
            self.turn(next.saturating_duration_since(now).min(PAUSE))?;
            self.ask_again();
        }
        Ok(())
    }

    /// Works until so many chunks of streams were seen in all since the last [`Client::take`], or all connections are
    /// closed, or the time is over.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn run_until(&mut self, chunks: u64, limit: Duration) -> io::Result<()> {
        let end = Instant::now() + limit;
        while self.open > 0 && self.tally.chunks < chunks && Instant::now() < end {
            self.turn(PAUSE)?;
        }
        Ok(())
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open
    }

    /// What was seen since the last call.
    pub fn take(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn turn(&mut self, limit: Duration) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(limit, &mut ready)?;
        for &(key, _) in &ready {
            self.read(key);
        }
        self.ready = ready;
        Ok(())
    }

    fn ask_again(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut later = std::mem::take(&mut self.later);
        later.retain(|&(at, key)| {
            if at <= now && self.connections[key].as_mut().is_some_and(|it| it.ask(self.clock).is_err()) {
                self.fail(key);
            }
            at > now
        });
        self.later = later;
    }

    fn read(&mut self, key: usize) {
        let Some(connection) = self.connections[key].as_mut() else { return };
        let mut piece = [0; 64 * 1024];
        let read = match connection.socket.read(&mut piece) {
            Ok(0) => return self.fail(key),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return self.fail(key),
        };
        let now = self.clock.nanos();
        match connection.take(&piece[..read], now, &mut self.tally) {
            Ok(false) => {}
            Ok(true) => self.finished(key),
            Err(NotUnderstood) => self.fail(key),
        }
    }

    fn finished(&mut self, key: usize) {
        self.tally.exchanges += 1;
        let Some(connection) = self.connections[key].as_mut() else { return };
        match connection.then {
            Then::Again => {
                if connection.ask(self.clock).is_err() {
                    self.fail(key);
                }
            }
            Then::After(pause) => self.later.push((Instant::now() + pause, key)),
            Then::Close => self.close(key),
        }
    }

    fn fail(&mut self, key: usize) {
        self.tally.failed += 1;
        self.close(key);
    }

    fn close(&mut self, key: usize) {
        if self.connections[key].take().is_some() {
            self.open -= 1;
        }
    }
}

/// The answer is not one that the backend gives.
struct NotUnderstood;

impl Connection {
    fn ask(&mut self, clock: Clock) -> io::Result<()> {
        self.answer = Answer::Head(Vec::new());
        self.seen = 0;
        self.asked = clock.nanos();
        // A request of this size fits into an empty socket buffer.
        self.socket.write_all(&self.request)
    }

    /// Takes the next piece of an answer; whether it is whole now.
    fn take(&mut self, piece: &[u8], now: u64, tally: &mut Tally) -> Result<bool, NotUnderstood> {
        match &mut self.answer {
            Answer::Whole { left } => {
                *left = left.checked_sub(piece.len() as u64).ok_or(NotUnderstood)?;
                Ok(*left == 0)
            }
            Answer::Stream { tail } => {
                self.seen += marks(piece, now, tally);
                slide(tail, piece);
                Ok(self.wish.chunks.is_some_and(|chunks| self.seen >= chunks) && tail == LAST_BYTES)
            }
            Answer::Head(start) => {
                start.extend_from_slice(piece);
                let Some(end) = memchr::memmem::find(start, b"\r\n\r\n") else { return Ok(false) };
                let start = std::mem::take(start);
                let (head, body) = start.split_at(end + 4);
                if !head.starts_with(b"HTTP/1.1 200") {
                    return Err(NotUnderstood);
                }
                self.answer = if self.wish.form == Form::Whole {
                    let length = script::field(head, b"content-length: ").and_then(script::number);
                    Answer::Whole { left: length.ok_or(NotUnderstood)? }
                } else {
                    Answer::Stream { tail: [0; LAST_BYTES.len()] }
                };
                if body.is_empty() {
                    return Ok(false);
                }
                tally.first.push(now - self.asked);
                self.take(body, now, tally)
            }
        }
    }
}

/// Counts the marks in a piece, and times the last one.
fn marks(piece: &[u8], now: u64, tally: &mut Tally) -> u64 {
    let (mut count, mut last) = (0, 0);
    for at in memchr::memchr_iter(MARK, piece) {
        count += 1;
        last = at;
    }
    tally.chunks += count;
    if count > 0 {
        // A stamp that is cut by the end of the piece is no sample.
        let written = piece.get(last + 1..last + 1 + STAMP_DIGITS).and_then(script::number);
        tally.transit.extend(written.map(|written| now.saturating_sub(written)));
    }
    count
}

/// Keeps the last bytes of a stream.
fn slide(tail: &mut [u8; LAST_BYTES.len()], piece: &[u8]) {
    let fresh = piece.len().min(tail.len());
    tail.rotate_left(fresh);
    let keep = tail.len() - fresh;
    tail[keep..].copy_from_slice(&piece[piece.len() - fresh..]);
}
