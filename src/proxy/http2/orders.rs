//! Plays every order of the events around a stream on real sockets, and expects the same bytes and exactly one end.
//!
//! Smaller than the tests of HTTP/1, which play what both protocols share (attempts, downloads, framing). This is about
//! flow control, resets of a stream, and answers that wait in the library.

use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Instant;

use tokio::runtime::{Builder, LocalOptions};

use crate::exchange::outcome::Outcome;
use crate::proxy::http1;
use crate::proxy::orders::{PATIENCE, Peer, next_order};
use crate::proxy::polls::Polls;
use crate::proxy::stage::{self, Records};

/// Turns without a byte after which nothing more is expected.
const QUIET: usize = 8;
/// More than may wait in the library after the stream's task has ended.
const REST: usize = 24 * 1024;
const UPLOAD: usize = 20;

/// The preface, settings with a window of ten bytes for each stream, and a large window for the connection.
const GREETING: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x0a\0\0\x04\x08\0\0\0\0\0\x0f\xff\0\0";
/// `:method: POST`, `:scheme: http`, `:path: /`, `:authority: localhost`, `content-length: 20` (RFC 7541).
const HEAD: &[u8] = b"\0\0\x13\x01\x04\0\0\0\x01\x83\x86\x84\x01\x09localhost\x0f\x0d\x0220";
const ROOM: &[u8] = b"\0\0\x04\x08\0\0\0\0\x01\x0f\xff\0\0";
const CANCEL: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";

/// An event around the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Move {
    /// The client sends the rest of its request.
    Upload,
    /// The backend sends the next piece of its answer.
    Answer,
    /// The client opens the window for all of the answer.
    Room,
    ClientCancels,
    ClientLeaves,
    BackendCloses,
    BackendResets,
}

/// What the client has received on its stream: the data, and whether the stream has ended or was reset.
#[derive(Debug, Default)]
struct Received {
    data: Vec<u8>,
    ended: bool,
    reset: bool,
}

impl Received {
    fn of(mut bytes: &[u8]) -> Self {
        let mut received = Self::default();
        while let Some((&[a, b, c, kind, flags, _, _, _, stream], rest)) = bytes.split_first_chunk() {
            let Some((payload, rest)) = rest.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize) else { break };
            bytes = rest;
            if stream == 1 {
                received.ended |= kind <= 1 && flags & 1 != 0;
                received.reset |= kind == 3;
                received.data.extend_from_slice(if kind == 0 { payload } else { &[] });
            }
        }
        received
    }
}

struct Play {
    chunked: bool,
    listener: TcpListener,
    client: Peer,
    backend: Option<Peer>,
    records: Records,
    answered: usize,
}

impl Play {
    fn answer(&self) -> [Vec<u8>; 2] {
        let (first, rest) = (vec![b'a'; 1000], vec![b'b'; REST]);
        let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
        if self.chunked {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            return [[head, &chunk(&first)[..]].concat(), [&chunk(&rest)[..], b"0\r\n\r\n"].concat()];
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", first.len() + REST);
        [[head.as_bytes(), &first].concat(), rest]
    }

    fn received(&self) -> Received {
        Received::of(&self.client.got)
    }

    fn apply(&mut self, next: Move) {
        let answer = self.answer();
        let (client, backend) = (&mut self.client, self.backend.as_mut().expect("it has accepted"));
        match next {
            Move::Upload => client.send(&[b"\0\0\x0a\0\x01\0\0\0\x01", &[b'u'; UPLOAD / 2][..]].concat()),
            Move::Answer => {
                backend.send(&answer[self.answered]);
                self.answered += 1;
            }
            Move::Room => client.send(ROOM),
            Move::ClientCancels => client.send(CANCEL),
            Move::ClientLeaves => client.close(),
            Move::BackendCloses => backend.close(),
            Move::BackendResets => backend.reset(),
        }
    }

    /// Lets every party move until none can.
    async fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET {
            // Lets the runtime run the proxy's tasks.
            tokio::task::yield_now().await;
            let mut moved = self.client.pump();
            if self.backend.is_none()
                && let Ok((stream, _)) = self.listener.accept()
            {
                self.backend = Some(Peer::new(stream));
            }
            moved |= self.backend.as_mut().is_some_and(Peer::pump);
            quiet = if moved { 0 } else { quiet + 1 };
        }
    }

    async fn until(&mut self, case: &str, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "no end of {case}: {:?}", self.received());
            self.settle().await;
        }
    }

    /// Plays the moves on a new connection. `seen` says whether the proxy sees each before the next.
    async fn run(moves: &[Move], chunked: bool, seen: bool) {
        let case = format!("{moves:?}, chunked: {chunked}, seen: {seen}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let records = Records::default();
        let worker = stage::worker(listener.local_addr().expect("an address"), &records);
        let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = TcpStream::connect(front.local_addr().expect("an address")).expect("it listens");
        let (near, _) = front.accept().await.expect("a connection");
        let serving = tokio::task::spawn_local(http1::serve(worker, Rc::<Polls>::default(), near, stage::admission()));
        let mut play = Self { chunked, listener, client: Peer::new(client), backend: None, records, answered: 0 };
        play.client.send(&[GREETING, HEAD, b"\0\0\x0a\0\0\0\0\0\x01", &[b'u'; UPLOAD / 2]].concat());
        play.until(&case, |play| play.backend.as_ref().is_some_and(|backend| backend.got.ends_with(b"u"))).await;
        for next in moves {
            play.apply(*next);
            if seen {
                play.settle().await;
            }
        }
        play.until(&case, |play| play.records.len() > 0).await;
        let left = moves.iter().any(|next| matches!(next, Move::ClientCancels | Move::ClientLeaves));
        play.until(&case, |play| left || play.received().ended || play.received().reset).await;
        play.settle().await;
        play.client.close();
        play.until(&case, |_| serving.is_finished()).await;
        play.check(&case, left, moves.iter().any(|next| *next > Move::ClientLeaves));
        let last = moves.iter().rposition(|next| *next == Move::Answer);
        // After a complete answer, the rest of the request is not read.
        if moves.len() == 4 && seen && moves.iter().position(|next| *next == Move::Upload) < last {
            assert_eq!(play.uploaded(), UPLOAD, "the whole request: {case}");
        }
    }

    /// What must hold in every order.
    fn check(&self, case: &str, left: bool, failed: bool) {
        let (record, received) = (self.records.last(), self.received());
        let case = format!("{case}: {:?}, {} bytes, ended: {}", record.outcome, received.data.len(), received.ended);
        assert_eq!(self.records.len(), 1, "one end: {case}");
        let whole = [vec![b'a'; 1000], vec![b'b'; REST]].concat();
        let got = &received.data;
        assert!(record.status == 502 || whole.starts_with(got), "the client's bytes: {case}");
        match record.outcome {
            // What was sent is complete, whoever leaves afterwards.
            Outcome::Completed => assert!(*got == whole, "{case}"),
            Outcome::ClientCancelled => assert!(left && !received.ended, "{case}"),
            Outcome::BackendFailed => assert!(failed && (record.status == 502 || received.reset), "{case}"),
            other => panic!("{other:?}: {case}"),
        }
        if !left && !failed {
            assert_eq!((record.outcome, received.ended), (Outcome::Completed, true), "{case}");
        }
    }

    /// How many bytes of the request's body the backend has.
    fn uploaded(&self) -> usize {
        let sent = self.backend.as_ref().map(|backend| backend.got.as_slice()).unwrap_or_default();
        sent.iter().rev().take_while(|byte| **byte == b'u').count()
    }
}

fn play_all(end: Option<Move>) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    let mut moves = vec![Move::Upload, Move::Answer, Move::Answer, Move::Room];
    moves.extend(end);
    let mut plays = 0;
    loop {
        for (chunked, seen) in [(false, false), (false, true), (true, false), (true, true)] {
            runtime.block_on(Play::run(&moves, chunked, seen));
            plays += 1;
        }
        if !next_order(&mut moves) {
            break;
        }
    }
    println!("with {end:?}: {plays} orders");
}

#[test]
fn every_order_of_frames_gives_the_same_bytes_and_one_end() {
    play_all(None);
}

#[test]
fn every_order_with_a_client_that_leaves_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::ClientCancels));
    play_all(Some(Move::ClientLeaves));
}

#[test]
fn every_order_with_a_backend_that_leaves_gives_the_same_bytes_and_one_end() {
    play_all(Some(Move::BackendCloses));
    play_all(Some(Move::BackendResets));
}
