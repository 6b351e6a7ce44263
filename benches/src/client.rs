//! Sends requests, counts and times answers: one thread, one poller, any number of connections.
//!
//! It parses as little as possible: marks in streams, a length in whole answers. A connection that ends unexpectedly is
//! counted, and invalidates the measurement.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::poll::Poll;
use crate::script::{self, AnswerForm, AnswerSpec, Clock, LAST_BYTES, MARK, STAMP_DIGITS};

/// Connections opened before the open ones are served.
const OPENED_AT_ONCE: usize = 32;

/// Longest wait of the poller.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// Counts and times since the last [`Client::take`].
#[derive(Debug, Default)]
pub struct Tally {
    /// Whole answers and streams that have ended.
    pub exchanges: u64,
    /// Chunks of streams.
    pub chunks: u64,
    /// From a request to the first byte of its answer's body, in nanoseconds, one sample per answer.
    pub first: Vec<u64>,
    /// From the backend's write of a chunk to its reading here, in nanoseconds, for the last chunk of each piece read.
    pub transit: Vec<u64>,
    /// Connections that ended unexpectedly.
    pub failed: u64,
}

/// A client of one address.
pub struct Client {
    target: SocketAddr,
    clock: Clock,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    ready: Vec<(usize, bool)>,
    /// Connections whose next request is due at this instant.
    later: Vec<(Instant, usize)>,
    open: usize,
    tally: Tally,
}

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    spec: AnswerSpec,
    then: AfterAnswer,
    /// When the request was sent, in nanoseconds of the clock.
    asked: u64,
    /// Chunks of the current answer so far.
    seen: u64,
    answer: Answer,
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterAnswer {
    /// Send the same request at once.
    Repeat,
    /// Send the same request after a pause.
    RepeatAfter(Duration),
    /// Close the connection.
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
    pub fn open(&mut self, count: usize, spec: AnswerSpec, then: AfterAnswer) -> io::Result<()> {
        for opened in 0..count {
            let socket = TcpStream::connect_timeout(&self.target, Duration::from_secs(5))?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let key = self.connections.len();
            self.poll.add(&socket, key)?;
            let answer = Answer::Head(Vec::new());
            let mut connection = Connection { socket, request: spec.request(), spec, then, asked: 0, seen: 0, answer };
            connection.ask(self.clock)?;
            self.connections.push(Some(connection));
            self.open += 1;
            if opened % OPENED_AT_ONCE == OPENED_AT_ONCE - 1 {
                self.run_once(Duration::ZERO)?;
            }
        }
        Ok(())
    }

    /// Runs for so long, or until all connections are closed.
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
            self.run_once(next.saturating_duration_since(now).min(MAX_WAIT))?;
            self.ask_again();
        }
        Ok(())
    }

    /// Runs until so many chunks have arrived since the last [`Client::take`], all connections are closed, or `limit`
    /// has passed.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn run_until(&mut self, chunks: u64, limit: Duration) -> io::Result<()> {
        let end = Instant::now() + limit;
        while self.open > 0 && self.tally.chunks < chunks && Instant::now() < end {
            self.run_once(MAX_WAIT)?;
        }
        Ok(())
    }

    /// The number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open
    }

    /// Counts and times since the last call.
    pub fn take(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn run_once(&mut self, limit: Duration) -> io::Result<()> {
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
        match connection.receive(&piece[..read], now, &mut self.tally) {
            Ok(false) => {}
            Ok(true) => self.finish(key),
            Err(UnexpectedAnswer) => self.fail(key),
        }
    }

    fn finish(&mut self, key: usize) {
        self.tally.exchanges += 1;
        let Some(connection) = self.connections[key].as_mut() else { return };
        match connection.then {
            AfterAnswer::Repeat => {
                if connection.ask(self.clock).is_err() {
                    self.fail(key);
                }
            }
            AfterAnswer::RepeatAfter(pause) => self.later.push((Instant::now() + pause, key)),
            AfterAnswer::Close => self.close(key),
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

/// The answer is not one of the backend's.
struct UnexpectedAnswer;

impl Connection {
    fn ask(&mut self, clock: Clock) -> io::Result<()> {
        self.answer = Answer::Head(Vec::new());
        self.seen = 0;
        self.asked = clock.nanos();
        // A request is small enough for an empty socket buffer.
        self.socket.write_all(&self.request)
    }

    /// Reads the next piece of an answer. Returns whether it is whole.
    fn receive(&mut self, piece: &[u8], now: u64, tally: &mut Tally) -> Result<bool, UnexpectedAnswer> {
        match &mut self.answer {
            Answer::Whole { left } => {
                *left = left.checked_sub(piece.len() as u64).ok_or(UnexpectedAnswer)?;
                Ok(*left == 0)
            }
            Answer::Stream { tail } => {
                self.seen += marks(piece, now, tally);
                push_tail(tail, piece);
                Ok(self.spec.chunks.is_some_and(|chunks| self.seen >= chunks) && tail == LAST_BYTES)
            }
            Answer::Head(start) => {
                start.extend_from_slice(piece);
                let Some(end) = memchr::memmem::find(start, b"\r\n\r\n") else { return Ok(false) };
                let start = std::mem::take(start);
                let (head, body) = start.split_at(end + 4);
                if !head.starts_with(b"HTTP/1.1 200") {
                    return Err(UnexpectedAnswer);
                }
                self.answer = if self.spec.form == AnswerForm::Whole {
                    let length = script::field(head, b"content-length: ").and_then(script::number);
                    Answer::Whole { left: length.ok_or(UnexpectedAnswer)? }
                } else {
                    Answer::Stream { tail: [0; LAST_BYTES.len()] }
                };
                if body.is_empty() {
                    return Ok(false);
                }
                tally.first.push(now - self.asked);
                self.receive(body, now, tally)
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
        // A stamp that the piece does not hold whole gives no sample.
        let written = piece.get(last + 1..last + 1 + STAMP_DIGITS).and_then(script::number);
        tally.transit.extend(written.map(|written| now.saturating_sub(written)));
    }
    count
}

/// Keeps the last bytes of a stream in `tail`.
fn push_tail(tail: &mut [u8; LAST_BYTES.len()], piece: &[u8]) {
    let fresh = piece.len().min(tail.len());
    tail.rotate_left(fresh);
    let keep = tail.len() - fresh;
    tail[keep..].copy_from_slice(&piece[piece.len() - fresh..]);
}
