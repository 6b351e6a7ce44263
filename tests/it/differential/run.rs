//! Plays one case, step by step, and keeps the raw bytes that each side received.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::message::{Direction, Message, parse};
use crate::support::PATIENCE;

/// One thing that happens, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client sends these bytes.
    Client(Vec<u8>),
    /// The client closes its sending side.
    ClientEnds,
    /// The backend sends these bytes on the connection that it was last sent something on.
    Backend(Vec<u8>),
    /// The backend closes that connection.
    BackendCloses,
    /// Waits until the backend has received that many whole requests.
    BackendHas(usize),
    /// Waits until the backend has received bytes that end like this.
    BackendSees(Vec<u8>),
    /// Waits until the client's end of sending has reached the backend.
    BackendEnds,
    /// Waits until the client has received that many whole responses, interim ones included.
    ClientHas(usize),
    /// Waits until the client has received bytes that end like this.
    ClientSees(Vec<u8>),
    /// Waits until the client has a whole response, or its connection is over without one.
    ClientAnswered,
    /// Waits until the client's connection is over.
    ClientClosed,
}

/// A case of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    /// The proxy answers by itself; there is nothing to compare with.
    pub(crate) refused: bool,
    /// The backend's reply is one that the proxy does not hand on.
    pub(crate) bad_reply: bool,
    /// The methods of the client's requests, for reading the responses.
    pub(crate) methods: Vec<String>,
}

/// How the client's connection stands after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
    Reset,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Message>,
    /// Bytes behind the last request.
    pub(crate) behind_requests: Vec<u8>,
    pub(crate) responses: Vec<Message>,
    pub(crate) behind_responses: Vec<u8>,
    pub(crate) end: End,
    /// Waits that were in vain.
    pub(crate) stuck: Vec<String>,
}

/// What a socket has received so far; its reader fills it.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    end: Option<End>,
    /// Connections that are over.
    ended: usize,
    /// The backend's connections, the one last heard of at the back.
    writers: Vec<TcpStream>,
}

impl Inbox {
    fn follow(self: Arc<Self>, mut stream: TcpStream, owner: bool) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = stream.read(&mut buffer);
            let mut state = self.state.lock().expect("no panic");
            match read {
                Ok(0) => state.end = Some(state.end.unwrap_or(End::Closed)),
                Ok(read) => {
                    state.bytes.extend_from_slice(&buffer[..read]);
                    if owner {
                        state.writers.push(stream.try_clone().expect("a descriptor"));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => state.end = Some(End::Reset),
            }
            let over = state.end.is_some();
            if owner && over {
                state.end = None;
                state.ended += 1;
            }
            self.changed.notify_all();
            if over {
                return;
            }
        }
    }

    /// Waits until that is so; false if it never is.
    fn wait(&self, done: impl Fn(&State) -> bool) -> bool {
        let begun = Instant::now();
        let mut state = self.state.lock().expect("no panic");
        loop {
            if done(&state) {
                return true;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            // Nothing more comes from a connection that is over.
            if left.is_zero() || state.end.is_some() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).expect("no panic").0;
        }
    }
}

impl Seen {
    /// Nothing at all.
    pub(crate) fn nothing() -> Self {
        let (requests, responses) = (Vec::new(), Vec::new());
        let (behind_requests, behind_responses) = (Vec::new(), Vec::new());
        Self { requests, behind_requests, responses, behind_responses, end: End::Open, stuck: Vec::new() }
    }
}

/// Plays a case with the backend behind `listener` and the client connected to `address`.
pub(crate) fn play(case: &Case, listener: &TcpListener, address: SocketAddr) -> Seen {
    let (backend, client) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    let accepting = {
        let (listener, backend) = (listener.try_clone().expect("a descriptor"), backend.clone());
        std::thread::spawn(move || accept(&listener, &backend))
    };
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.set_nodelay(true).expect("nodelay");
    let reading = {
        let (socket, client) = (socket.try_clone().expect("a descriptor"), client.clone());
        std::thread::spawn(move || client.follow(socket, false))
    };
    let mut stuck = Vec::new();
    for step in &case.steps {
        if !take(case, step, &mut socket, &backend, &client) {
            stuck.push(format!("{step:?}"));
        }
    }
    let seen = Seen { stuck, ..look(case, &backend, &client) };
    let _ = socket.shutdown(Shutdown::Both);
    // A connection without a byte tells the accepting thread that the case is over.
    drop(TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens"));
    let handled: Vec<_> = accepting.join().expect("no panic");
    for writer in backend.state.lock().expect("no panic").writers.drain(..) {
        let _ = writer.shutdown(Shutdown::Both);
    }
    for thread in handled.into_iter().chain([reading]) {
        thread.join().expect("no panic");
    }
    seen
}

/// Accepts until a connection arrives that ends without a byte.
fn accept(listener: &TcpListener, backend: &Arc<Inbox>) -> Vec<std::thread::JoinHandle<()>> {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        if stream.peek(&mut [0]).unwrap_or(0) == 0 {
            break;
        }
        let backend = backend.clone();
        threads.push(std::thread::spawn(move || backend.follow(stream, true)));
    }
    threads
}

fn take(case: &Case, step: &Step, socket: &mut TcpStream, backend: &Inbox, client: &Inbox) -> bool {
    let last = || {
        let state = backend.state.lock().expect("no panic");
        state.writers.last().map(|writer| writer.try_clone().expect("a descriptor"))
    };
    // Either side may have closed already, which is what some cases are about.
    let write = |writer: Option<TcpStream>, bytes: &[u8]| writer.map(|mut writer| drop(writer.write_all(bytes)));
    match step {
        Step::Client(bytes) => write(socket.try_clone().ok(), bytes).is_some(),
        Step::ClientEnds => socket.shutdown(Shutdown::Write).is_ok(),
        Step::Backend(bytes) => write(last(), bytes).is_some(),
        Step::BackendCloses => last().map(|writer| drop(writer.shutdown(Shutdown::Both))).is_some(),
        Step::BackendHas(count) => backend.wait(|state| whole(&requests(state).0) >= *count),
        Step::BackendEnds => backend.wait(|state| state.ended > 0),
        Step::BackendSees(end) => backend.wait(|state| state.bytes.ends_with(end)),
        Step::ClientHas(count) => client.wait(|state| whole(&responses(case, state).0) >= *count),
        Step::ClientSees(end) => client.wait(|state| state.bytes.ends_with(end)),
        Step::ClientAnswered => client.wait(|state| state.end.is_some() || whole(&responses(case, state).0) > 0),
        Step::ClientClosed => client.wait(|state| state.end.is_some()),
    }
}

fn whole(messages: &[Message]) -> usize {
    messages.iter().filter(|message| message.complete).count()
}

fn requests(state: &State) -> (Vec<Message>, Vec<u8>) {
    parse(&state.bytes, Direction::Requests, false)
}

fn responses(case: &Case, state: &State) -> (Vec<Message>, Vec<u8>) {
    parse(&state.bytes, Direction::Responses(&case.methods), state.end == Some(End::Closed))
}

fn look(case: &Case, backend: &Inbox, client: &Inbox) -> Seen {
    let (requests, behind_requests) = requests(&backend.state.lock().expect("no panic"));
    let state = client.state.lock().expect("no panic");
    let (responses, behind_responses) = responses(case, &state);
    let closes = case.steps.iter().any(|step| matches!(step, Step::ClientClosed));
    let end = if closes { state.end.unwrap_or(End::Open) } else { End::Open };
    Seen { requests, behind_requests, responses, behind_responses, end, stuck: Vec::new() }
}
