//! A simulated backend: answers at once, streams at a pace, or as fast as the socket accepts.
//!
//! One thread, one poller, one write per chunk. Streams start at phases spread over their pace, so that chunks do not
//! come in bursts. It counts the chunks that it wrote late: a measurement at a missed pace is not valid.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::machine;
use crate::poll::Poll;
use crate::script::{AnswerForm, AnswerSpec, Clock, Lines};

/// A chunk delayed by more nanoseconds counts as late.
const LATE: u64 = 10_000_000;

/// How often the thread checks whether it should end.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// Chunks written to an unpaced stream before the others continue.
const CHUNKS_PER_TURN: usize = 16;

/// Longest head, or request without a `Content-Length`, in bytes.
const MAX_REQUEST: usize = 64 * 1024;

/// Addresses of a backend. One thread answers on all: two backends have to cost the machine what one costs.
pub const ADDRESSES: usize = 2;

/// The keys from here on are those of the listeners.
const LISTENERS: usize = usize::MAX - ADDRESSES;

/// A running backend. It ends when dropped.
pub struct Backend {
    addresses: [SocketAddr; ADDRESSES],
    late: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// Listens on free ports of the loopback address and serves from a thread on these cores.
    ///
    /// # Errors
    /// When the system gives no socket or no thread.
    pub fn start(clock: Clock, cores: Vec<usize>) -> io::Result<Self> {
        let listeners = [machine::listen()?, machine::listen()?];
        let addresses = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let (late, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut server = Server::new(listeners, clock, Arc::clone(&late))?;
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("backend".into()).spawn(move || {
            machine::pin(&cores);
            while !stopped.load(Ordering::Relaxed) {
                server.run_once().expect("the poller works");
            }
        })?;
        Ok(Self { addresses, late, stop, thread: Some(thread) })
    }

    /// The first address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses that it listens on.
    #[must_use]
    pub fn addresses(&self) -> [SocketAddr; ADDRESSES] {
        self.addresses
    }

    /// Chunks that were written late since the last call.
    pub fn take_late(&self) -> u64 {
        self.late.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    /// A request whose body is incomplete, and how many bytes are missing. The inner `None` is a question about the
    /// backend itself.
    upload: Option<(Option<AnswerSpec>, u64)>,
    stream: Option<Stream>,
    /// Bytes that the socket has not accepted yet.
    unsent: Vec<u8>,
    /// Distinguishes this connection from an earlier one with the same key.
    generation: u64,
}

struct Stream {
    spec: AnswerSpec,
    written: u64,
}

struct Server {
    poll: Poll,
    listeners: [TcpListener; ADDRESSES],
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// When the next chunk of each stream is due, with its key and generation.
    due: BinaryHeap<Reverse<(u64, usize, u64)>>,
    ready: Vec<(usize, bool)>,
    generation: u64,
    clock: Clock,
    late: Arc<AtomicU64>,
    script: Script,
}

struct Script {
    ndjson: Lines,
    sse: Lines,
    whole: Lines,
    about: Lines,
}

impl Script {
    fn lines_mut(&mut self, form: AnswerForm) -> &mut Lines {
        match form {
            AnswerForm::Ndjson => &mut self.ndjson,
            AnswerForm::Sse => &mut self.sse,
            AnswerForm::Whole => &mut self.whole,
        }
    }
}

impl Server {
    fn new(listeners: [TcpListener; ADDRESSES], clock: Clock, late: Arc<AtomicU64>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (at, listener) in listeners.iter().enumerate() {
            poll.add(listener, LISTENERS + at)?;
        }
        Ok(Self {
            poll,
            listeners,
            connections: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            ready: Vec::new(),
            generation: 0,
            clock,
            late,
            script: Script {
                ndjson: Lines::of(AnswerForm::Ndjson),
                sse: Lines::of(AnswerForm::Sse),
                whole: Lines::of(AnswerForm::Whole),
                about: Lines::about(),
            },
        })
    }

    fn run_once(&mut self) -> io::Result<()> {
        let now = self.clock.nanos();
        let limit = self
            .due
            .peek()
            .map_or(STOP_CHECK, |Reverse((at, ..))| Duration::from_nanos(at.saturating_sub(now)).min(STOP_CHECK));
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(limit, &mut ready)?;
        for &(key, readable) in &ready {
            if key >= LISTENERS {
                self.accept(key - LISTENERS);
            } else if self.serve(key, readable).is_err() {
                self.close(key);
            }
        }
        self.ready = ready;
        self.write_due();
        Ok(())
    }

    fn accept(&mut self, listener: usize) {
        while let Ok((socket, _)) = self.listeners[listener].accept() {
            if socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).is_err() {
                continue;
            }
            let key = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.generation += 1;
            if self.poll.add(&socket, key).is_ok() {
                let generation = self.generation;
                let (request, unsent) = (Vec::with_capacity(1024), Vec::new());
                let (upload, stream) = (None, None);
                self.connections[key] = Some(Connection { socket, request, upload, stream, unsent, generation });
            } else {
                self.free.push(key);
            }
        }
    }

    fn close(&mut self, key: usize) {
        if self.connections[key].take().is_some() {
            self.free.push(key);
        }
    }

    /// Serves a ready connection: reads a request and begins its answer, or continues one.
    fn serve(&mut self, key: usize, readable: bool) -> io::Result<()> {
        let Some(connection) = self.connections[key].as_mut() else { return Ok(()) };
        if !readable {
            return self.resume(key);
        }
        let mut piece = [0; 16 * 1024];
        let read = match connection.socket.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        match connection.receive(&piece[..read])? {
            Some(spec) => self.begin(key, spec),
            None => Ok(()),
        }
    }

    fn begin(&mut self, key: usize, spec: Option<AnswerSpec>) -> io::Result<()> {
        let connection = self.connections[key].as_mut().expect("it has just been read");
        let Some(spec) = spec else { return connection.send(self.script.about.head()) };
        if let Some(model) = spec.model {
            return connection.send(&Lines::at_once(&spec, model, self.clock.nanos()));
        }
        let lines = self.script.lines_mut(spec.form);
        if spec.form == AnswerForm::Whole {
            return connection.send(lines.head());
        }
        // Head and first chunk leave in one write, like those of a backend that answers at once.
        let now = self.clock.nanos();
        let mut first = lines.head().to_vec();
        first.extend_from_slice(lines.chunk(now));
        connection.send(&first)?;
        connection.stream = Some(Stream { spec, written: 1 });
        if spec.pace.is_zero() {
            return self.poll.set_write(&connection.socket, key, true);
        }
        let pace = spec.pace.as_nanos() as u64;
        // Multiples of the golden ratio spread evenly over the interval, for any number of streams.
        let share = u128::from(connection.generation.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let phase = (share * u128::from(pace)) >> 64;
        self.due.push(Reverse((now + phase as u64, key, connection.generation)));
        Ok(())
    }

    /// Continues an unpaced stream, or one that was delayed, on a socket that accepts bytes again.
    fn resume(&mut self, key: usize) -> io::Result<()> {
        let Some(connection) = self.connections[key].as_mut() else { return Ok(()) };
        for _ in 0..CHUNKS_PER_TURN {
            if !connection.flush()? {
                return Ok(());
            }
            match &mut connection.stream {
                Some(stream) if stream.spec.pace.is_zero() => {
                    let lines = self.script.lines_mut(stream.spec.form);
                    if stream.spec.chunks.is_some_and(|chunks| stream.written >= chunks) {
                        connection.stream = None;
                        connection.send(lines.last())?;
                    } else {
                        stream.written += 1;
                        connection.send(lines.chunk(self.clock.nanos()))?;
                    }
                }
                _ => return self.poll.set_write(&connection.socket, key, false),
            }
        }
        Ok(())
    }

    fn write_due(&mut self) {
        while let Some(&Reverse((at, key, generation))) = self.due.peek() {
            let now = self.clock.nanos();
            if at > now {
                return;
            }
            self.due.pop();
            if now - at > LATE {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
            let Some(connection) = self.connections[key].as_mut().filter(|it| it.generation == generation) else {
                continue;
            };
            let Some(stream) = &mut connection.stream else { continue };
            let lines = self.script.lines_mut(stream.spec.form);
            let is_finished = stream.spec.chunks.is_some_and(|chunks| stream.written >= chunks);
            stream.written += 1;
            let pace = stream.spec.pace.as_nanos() as u64;
            let sent = if is_finished {
                connection.stream = None;
                connection.send(lines.last())
            } else {
                self.due.push(Reverse((at + pace, key, generation)));
                connection.send(lines.chunk(now))
            };
            let is_pending = !connection.unsent.is_empty();
            if sent.is_err() || (is_pending && self.poll.set_write(&connection.socket, key, true).is_err()) {
                self.close(key);
            }
        }
    }
}

impl Connection {
    /// Reads a piece of a request. Returns its spec once it is whole. A body of known length is counted and not kept.
    fn receive(&mut self, piece: &[u8]) -> io::Result<Option<Option<AnswerSpec>>> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let (spec, left) = match self.upload.take() {
            Some((spec, left)) => (spec, left.checked_sub(piece.len() as u64).ok_or_else(broken)?),
            None => {
                self.request.extend_from_slice(piece);
                let Some((head, left)) = missing(&self.request) else {
                    return if self.request.len() > MAX_REQUEST { Err(broken()) } else { Ok(None) };
                };
                let spec = AnswerSpec::parse(&self.request[..head]);
                self.request.clear();
                (spec, left)
            }
        };
        if left > 0 {
            self.upload = Some((spec, left));
            return Ok(None);
        }
        Ok(Some(spec))
    }

    /// Writes, and keeps the bytes that the socket does not accept.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let taken = match self.socket.write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Writes the kept bytes. Returns whether none are left.
    fn flush(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            return Ok(true);
        }
        match self.socket.write(&self.unsent) {
            Ok(taken) => drop(self.unsent.drain(..taken)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.unsent.is_empty())
    }
}

/// The length of the head, and how many bytes of the body are missing. `None` while the head is incomplete, or a
/// chunked body.
fn missing(request: &[u8]) -> Option<(usize, u64)> {
    let head = memchr::memmem::find(request, b"\r\n\r\n")? + 4;
    let body = &request[head..];
    let field = |name: &[u8]| crate::script::field(&request[..head], name);
    if field(b"transfer-encoding: ").is_some() {
        return body.ends_with(b"0\r\n\r\n").then_some((head, 0));
    }
    let length = field(b"content-length: ").and_then(crate::script::number).unwrap_or(0);
    Some((head, length.saturating_sub(body.len() as u64)))
}
