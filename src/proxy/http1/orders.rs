//! Plays every order of the events around a relay on real sockets, and expects the same bytes and exactly one end.
//!
//! The connection's task is polled by hand, so that it sees each move before the next, or several at once. A client
//! reads only after [`Move::Read`]: until then writes to it block.

use std::future::poll_fn;
use std::io::Write;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use socket2::SockRef;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::coop::{consume_budget, has_budget_remaining};

use crate::exchange::outcome::Outcome;
use crate::proxy::orders::{PATIENCE, Peer, next_order};
use crate::proxy::polls::Polls;
use crate::proxy::stage::{self, Records};

/// Small enough that most of an answer exceeds the system's buffers.
const BUFFER: usize = 2048;
const PIECE: usize = 24 * 1024;

/// An event around the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Move {
    /// The client sends the next piece of its request.
    Upload,
    /// The backend sends the next piece of its answer.
    Answer,
    /// The client reads from now on.
    Read,
    /// The task is polled with its budget spent.
    Spent,
    ClientCloses,
    ClientResets,
    BackendCloses,
    BackendResets,
}

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    Close,
    /// A `Content-Length`, with a content coding that the observation decodes: how much is read at once is limited.
    Coded,
}

/// Decodes to twenty times its size. It is not an answer of its route, so only its end completes it.
fn coded() -> &'static [u8] {
    static CODED: OnceLock<Vec<u8>> = OnceLock::new();
    CODED.get_or_init(|| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let bits = |number: u64| (number * number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        for number in 0..12_000 {
            write!(gzip, "{:040} ", bits(number)).expect("memory");
        }
        gzip.finish().expect("memory")
    })
}

impl Framing {
    /// The head with a piece of the body, and the rest of the body.
    fn answer(self) -> [Vec<u8>; 2] {
        let (first, rest) = (vec![b'a'; 1000], vec![b'b'; PIECE]);
        let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
        match self {
            Self::Length => {
                [[format!("{head}Content-Length: {}\r\n\r\n", 1000 + PIECE).as_bytes(), &first].concat(), rest]
            }
            Self::Chunked => [
                [format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &chunk(&first)].concat(),
                [&chunk(&rest)[..], b"0\r\n\r\n"].concat(),
            ],
            Self::Close => [[format!("{head}\r\n").as_bytes(), &first].concat(), rest],
            Self::Coded => {
                let head = head.replace("text/plain", "application/json\r\nContent-Encoding: gzip");
                let (first, rest) = coded().split_at(10_000);
                let length = coded().len();
                [[format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), first].concat(), rest.to_vec()]
            }
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Play {
    framing: Framing,
    listener: TcpListener,
    client: Peer,
    backend: Option<Peer>,
    serving: Option<Pin<Box<dyn Future<Output = ()>>>>,
    polls: Rc<Polls>,
    woken: Arc<Woken>,
    records: Records,
    /// Pieces of the answer that the backend has sent.
    answered: usize,
    /// A write to the client was blocked.
    blocked: bool,
}

impl Play {
    /// Starts an exchange: the backend has the head of a request and the first of two pieces of its body.
    async fn begin(framing: Framing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let records = Records::default();
        let worker = stage::worker(listener.local_addr().expect("an address"), &records);
        let front = TcpListener::bind("127.0.0.1:0").expect("a free port");
        SockRef::from(&front).set_send_buffer_size(BUFFER).expect("a socket");
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(BUFFER).expect("a socket");
        socket.connect(&front.local_addr().expect("an address").into()).expect("it listens");
        let mut client = Peer::new(socket.into());
        client.reads = false;
        let near = front.accept().expect("a connection").0;
        near.set_nonblocking(true).expect("a socket");
        let near = tokio::net::TcpStream::from_std(near).expect("a socket");
        let polls = Rc::<Polls>::default();
        let serving = super::serve(worker, polls.clone(), near, stage::admission());
        assert!(size_of_val(&serving) < 1536, "{} bytes for every connection", size_of_val(&serving));
        let mut play = Self {
            framing,
            listener,
            client,
            backend: None,
            serving: Some(Box::pin(serving)),
            polls,
            woken: Arc::new(Woken(AtomicBool::new(false))),
            records,
            answered: 0,
            blocked: false,
        };
        let path = if framing == Framing::Coded { "/api/embed" } else { "/" };
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n");
        play.client.send(head.as_bytes());
        play.client.send(&[b'u'; 1000]);
        play.until("the head", |play| play.backend.as_ref().is_some_and(|backend| backend.got.ends_with(b"u"))).await;
        play
    }

    /// Polls the task once.
    async fn poll(&mut self, spent: bool) {
        let Some(serving) = &mut self.serving else { return };
        let (polls, waker) = (&self.polls, Waker::from(self.woken.clone()));
        let served = poll_fn(|_| {
            while spent && has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(&mut Context::from_waker(Waker::noop()));
            }
            polls.begin();
            let served = serving.as_mut().poll(&mut Context::from_waker(&waker));
            polls.end();
            Poll::Ready(served.is_ready())
        });
        if served.await {
            self.serving = None;
        }
    }

    /// Lets every party move until none can.
    async fn settle(&mut self, mut spent: bool) {
        loop {
            self.woken.0.store(false, Ordering::SeqCst);
            self.poll(std::mem::take(&mut spent)).await;
            // Lets the runtime poll the sockets.
            tokio::task::yield_now().await;
            let mut moved = self.client.pump();
            if self.backend.is_none()
                && let Ok((stream, _)) = self.listener.accept()
            {
                self.backend = Some(Peer::new(stream));
            }
            moved |= self.backend.as_mut().is_some_and(Peer::pump);
            if !moved && !self.woken.0.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    async fn until(&mut self, case: &str, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "no end of {case}");
            self.settle(false).await;
        }
    }

    fn apply(&mut self, next: Move) {
        let backend = self.backend.as_mut().expect("it has accepted");
        match next {
            Move::Upload if self.client.ended => {}
            Move::Upload => self.client.send(&[b'u'; 1000]),
            Move::Answer => {
                backend.send(&self.framing.answer()[self.answered]);
                self.answered += 1;
            }
            Move::Read => self.client.reads = true,
            Move::Spent => {}
            Move::ClientCloses => self.client.close(),
            Move::ClientResets => self.client.reset(),
            Move::BackendCloses => backend.close(),
            Move::BackendResets => backend.reset(),
        }
        self.client.pump();
        if let Some(backend) = &mut self.backend {
            backend.pump();
        }
    }

    /// Plays the moves. `seen` says whether the task sees each before the next.
    async fn play(&mut self, moves: &[Move], seen: impl Fn(usize) -> bool) {
        for (at, next) in moves.iter().enumerate() {
            self.apply(*next);
            if *next == Move::Spent || seen(at) {
                self.settle(*next == Move::Spent).await;
            }
            self.blocked |= self.answered == 2 && !self.client.reads && seen(at) && self.records.len() == 0;
        }
        let case = format!("{moves:?} {:?}", self.framing);
        // The parties that are left end the exchange, and the client closes.
        self.client.reads = true;
        if let (Framing::Close, Some(backend)) = (self.framing, &mut self.backend) {
            backend.close();
        }
        self.until(&case, |play| play.records.len() > 0).await;
        let whole = self.framing.answer().concat().len();
        let completed = self.records.last().outcome == Outcome::Completed;
        self.until(&case, |play| {
            let heard = completed && play.client.got.len() >= whole || play.client.got.ends_with(b"}");
            play.client.closed || (heard && play.backend_has_all())
        })
        .await;
        self.client.stream = None;
        self.until(&case, |play| play.serving.is_none()).await;
    }

    /// The backend has the whole request, or takes nothing more.
    fn backend_has_all(&self) -> bool {
        let Some(backend) = &self.backend else { return true };
        backend.closed || backend.body().is_some_and(|body| body.len() == 2000)
    }

    /// What must hold in every order.
    fn check(&self, moves: &[Move]) {
        let record = self.records.last();
        let case = format!("{moves:?} {:?}: {:?}", self.framing, record.outcome);
        assert_eq!(self.records.len(), 1, "one end: {case}");
        let answer = self.framing.answer().concat();
        let at = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let whole = &answer[at..];
        let ours = self.client.got.starts_with(b"HTTP/1.1 502 ");
        let got = if ours { &[] } else { self.client.body().unwrap_or_default() };
        let uploaded = self.backend.as_ref().and_then(Peer::body).unwrap_or_default();
        assert!(whole.starts_with(got), "the client's bytes: {case}");
        assert!(uploaded.len() <= 2000 && uploaded.iter().all(|byte| *byte == b'u'), "the backend's bytes: {case}");
        let left = moves.iter().find(|next| **next >= Move::ClientCloses);
        let looks_whole = match self.framing {
            Framing::Length | Framing::Chunked | Framing::Coded => got == whole,
            Framing::Close => !got.is_empty() && !self.client.reset,
        };
        match (left, record.outcome) {
            (None, outcome) => {
                assert_eq!(outcome, Outcome::Completed, "{case}");
                // After an answer that ends with its connection, the rest of the request is not read.
                assert!(uploaded.len() == 2000 || self.framing == Framing::Close, "the whole request: {case}");
                assert!(got == whole && !self.client.reset, "the whole answer: {case}");
            }
            // A client that resets its connection does not read what the system holds for it.
            (Some(Move::ClientResets), outcome) => {
                assert!(matches!(outcome, Outcome::Completed | Outcome::ClientCancelled), "{case}");
            }
            (Some(Move::ClientCloses), Outcome::Completed) => assert!(got == whole, "{case}"),
            (Some(Move::ClientCloses), outcome) => {
                assert!(outcome == Outcome::ClientCancelled && !looks_whole, "{case}");
            }
            (Some(Move::BackendCloses), Outcome::Completed) if self.framing == Framing::Close => {
                assert!(looks_whole, "{case}");
            }
            (Some(_), Outcome::Completed) => assert!(got == whole && !self.client.reset, "{case}"),
            (Some(_), outcome) => assert!(outcome == Outcome::BackendFailed && !looks_whole, "{case}"),
        }
    }
}

/// Plays all orders of the rest of a request, an answer in two pieces, a client that starts to read, a spent budget,
/// and `end`.
fn play_all(end: Option<Move>) {
    for framing in [Framing::Length, Framing::Chunked, Framing::Close, Framing::Coded] {
        play_framed(framing, end);
    }
}

fn play_framed(framing: Framing, end: Option<Move>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    let last = end.unwrap_or(Move::Spent);
    let mut moves = vec![Move::Upload, Move::Answer, Move::Answer, Move::Read, Move::Spent, last];
    let (mut plays, mut blocked) = (0_u32, 0_u32);
    loop {
        let seen = |at| match plays % 3 {
            0 => true,
            1 => at % 2 == 1,
            _ => false,
        };
        let play = runtime.block_on(async {
            let mut play = Play::begin(framing).await;
            play.play(&moves, seen).await;
            play
        });
        play.check(&moves);
        (plays, blocked) = (plays + 1, blocked + u32::from(play.blocked));
        if !next_order(&mut moves) {
            break;
        }
    }
    println!("{framing:?} with {end:?}: {plays} orders, in {blocked} of them a write had to wait");
    assert!(blocked > 0);
}

#[test]
fn every_order_of_pieces_gives_the_same_bytes_and_one_end() {
    play_all(None);
}

#[test]
fn every_order_with_a_client_that_closes_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::ClientCloses));
}

#[test]
fn every_order_with_a_client_that_resets_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::ClientResets));
}

#[test]
fn every_order_with_a_backend_that_closes_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::BackendCloses));
}

#[test]
fn every_order_with_a_backend_that_resets_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::BackendResets));
}
