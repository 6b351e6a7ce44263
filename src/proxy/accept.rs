//! Accepts clients and hands them round robin to the workers.
//!
//! One plain listener: several with SO_REUSEPORT would let a second instance take the port unnoticed, spread few
//! connections unevenly, and reset pending ones on close.
//!
//! Where places run short, the connection that has been idle longest is closed for the newcomer; where every connection
//! has an exchange in flight, the newcomer is refused in words. Both are bounded in time, so that clients who say nothing
//! keep nobody out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::slot::{Slot, Slots};
use super::worker::{Accepted, Admission, Handed, Life, Ticket};
use crate::backend::dial::is_exhausted;
use crate::tls::accept;

/// Connections above the limit that are told so at once; beyond these the system's queue holds them back for a moment.
const OVERFLOW: u64 = 64;
/// Pause where no more can be told.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Idle connections that are closed where the system has no descriptors, each for a descriptor at least.
const RELIEF: u64 = 16;

/// A stream of HTTP/2 that needs a place asks whether one can be made.
pub(super) type Room = mpsc::UnboundedSender<oneshot::Sender<bool>>;

/// Lets clients in.
pub(super) struct Acceptor {
    clients: Vec<mpsc::UnboundedSender<Handed>>,
    turns: Turns,
    slots: Slots,
    /// Connections and streams that are served, over all workers, and how many may be.
    served: Arc<AtomicU64>,
    most: u64,
    /// Connections above the limit, which are told so.
    refused: Arc<AtomicU64>,
    wanted: mpsc::UnboundedReceiver<oneshot::Sender<bool>>,
    life: watch::Receiver<Life>,
    /// Places run short, and the log says so.
    short: bool,
    /// Accepting fails, and the log says so.
    failing: bool,
}

impl Acceptor {
    pub(super) fn new(
        clients: Vec<mpsc::UnboundedSender<Handed>>,
        served: Arc<AtomicU64>,
        most: u64,
        wanted: mpsc::UnboundedReceiver<oneshot::Sender<bool>>,
        life: watch::Receiver<Life>,
    ) -> Self {
        let (slots, refused) = (Slots::new(Instant::now()), Arc::default());
        let turns = Turns::new(clients.len());
        Self { clients, turns, slots, served, most, refused, wanted, life, short: false, failing: false }
    }

    /// Accepts until the process drains, or no worker is left.
    pub(super) async fn accept(mut self, listener: TcpListener) {
        let mut life = self.life.clone();
        loop {
            let has_room = self.has_room();
            tokio::select! {
                _ = life.wait_for(|now| *now != Life::Running) => return,
                Some(tell) = self.wanted.recv() => drop(tell.send(self.make_room_for_all())),
                () = tokio::time::sleep(BACK_OFF), if !has_room => {}
                accepted = listener.accept(), if has_room => match accepted.and_then(|(stream, _)| prepare(stream)) {
                    Ok(stream) => {
                        if !self.hand_over(stream) {
                            return;
                        }
                    }
                    Err(error) => {
                        if let Some(pause) = self.relieve(&error) {
                            tokio::time::sleep(pause).await;
                        }
                    }
                }
            }
        }
    }

    /// Whether the next client can be served or at least be told that it cannot.
    fn has_room(&mut self) -> bool {
        self.refused.load(Relaxed) < OVERFLOW || self.served.load(Relaxed) < self.most || self.slots.has_idle()
    }

    /// Hands a client to the worker whose turn it is. False where none is left.
    fn hand_over(&mut self, mut stream: std::net::TcpStream) -> bool {
        self.failing = false;
        let (mut ticket, taken) = Ticket::take(&self.served);
        self.short &= taken > self.most - self.most / 8;
        let over_limit = !self.make_room(taken.saturating_sub(self.most));
        if over_limit {
            (ticket, _) = Ticket::take(&self.refused);
        }
        let now = Instant::now();
        while let Some(worker) = self.turns.next() {
            let seat = self.slots.make(worker, now);
            if !over_limit {
                self.slots.keep(&seat);
            }
            let accepted = Accepted { stream, ticket, admission: Admission { seat, over_limit, at: now.into() } };
            match self.clients[worker].send(Handed::Client(accepted)) {
                Err(SendError(Handed::Client(returned))) => (stream, ticket) = (returned.stream, returned.ticket),
                _ => return true,
            }
            self.turns.bury(worker);
        }
        false
    }

    /// Has the connections close that have been idle longest, so many that what is taken fits. False where too few have
    /// nothing in flight.
    fn make_room(&mut self, excess: u64) -> bool {
        if excess == 0 {
            return true;
        }
        if !std::mem::replace(&mut self.short, true) {
            tracing::warn!(
                max_connections = self.most,
                "as many connections as are allowed: idle ones are closed for new ones, and where none is idle new ones \
                 are refused; raise max_connections or the limit of open files"
            );
        }
        let clients = &self.clients;
        self.slots.make_room(excess, |slot| wake(clients, slot))
    }

    /// The same for all that is taken now.
    fn make_room_for_all(&mut self) -> bool {
        self.make_room(self.served.load(Relaxed).saturating_sub(self.most))
    }

    /// Accepting has failed: has idle connections close where the system has no descriptor or memory left. Gives the pause
    /// before the next attempt; none where only that client is lost.
    fn relieve(&mut self, error: &io::Error) -> Option<Duration> {
        let Some(pause) = accept::pause(error) else {
            tracing::debug!(%error, "a connection was lost before it was accepted");
            return None;
        };
        let exhausted = is_exhausted(error);
        if !std::mem::replace(&mut self.failing, true) {
            let then = if exhausted { "closing idle ones and going on trying" } else { "going on trying" };
            tracing::warn!(%error, "cannot accept connections; {then}");
        }
        if exhausted {
            let clients = &self.clients;
            self.slots.make_room(RELIEF, |slot| wake(clients, slot));
        }
        Some(pause)
    }
}

/// The workers that live, and whose turn it is.
struct Turns {
    living: Vec<usize>,
    next: usize,
}

impl Turns {
    fn new(workers: usize) -> Self {
        Self { living: (0..workers).collect(), next: 0 }
    }

    fn next(&mut self) -> Option<usize> {
        if self.next >= self.living.len() {
            self.next = 0;
        }
        let worker = self.living.get(self.next).copied();
        self.next += 1;
        worker
    }

    /// A worker is gone, which means that it has panicked: its clients went with it, and the others share what it would
    /// have got.
    fn bury(&mut self, worker: usize) {
        if let Some(at) = self.living.iter().position(|living| *living == worker) {
            self.living.remove(at);
            self.next -= usize::from(at < self.next);
        }
        let left = self.living.len();
        tracing::error!(worker, left, "a worker thread has died: its connections are cut, restart soon");
    }
}

/// Has a connection look at its slot.
fn wake(clients: &[mpsc::UnboundedSender<Handed>], slot: &Slot) {
    drop(clients[slot.worker].send(Handed::Wake(slot.number)));
}

/// Small writes leave at once, and a peer that vanished without a word is noticed in time.
fn prepare(stream: TcpStream) -> io::Result<std::net::TcpStream> {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    let socket = socket2::SockRef::from(&stream);
    // A socket that is closed already refuses both; it ends by itself.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&keepalive));
    stream.into_std()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_client_that_is_lost_before_accept_costs_no_idle_connection() {
        let (clients, mut woken) = mpsc::unbounded_channel();
        let (_room, wanted) = mpsc::unbounded_channel();
        let (_life, life) = watch::channel(Life::Running);
        let mut acceptor = Acceptor::new(vec![clients], Arc::default(), 1000, wanted, life);
        let idle: Vec<_> = (0..20).map(|_| acceptor.slots.make(0, Instant::now())).collect();
        idle.iter().for_each(|seat| acceptor.slots.keep(seat));
        let mut fails_with = |errno: Errno| {
            let pauses = acceptor.relieve(&io::Error::from(errno));
            (pauses.is_some(), std::iter::from_fn(|| woken.try_recv().ok()).count() as u64)
        };
        for errno in [Errno::CONNABORTED, Errno::CONNRESET, Errno::PROTO, Errno::INTR] {
            assert_eq!(fails_with(errno), (false, 0), "{errno:?}");
        }
        for errno in [Errno::PERM, Errno::INVAL] {
            assert_eq!(fails_with(errno), (true, 0), "no idle connection can help: {errno:?}");
        }
        assert_eq!(fails_with(Errno::MFILE), (true, RELIEF));
        for errno in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(fails_with(errno), (true, 0), "those that were asked are on their way out: {errno:?}");
        }
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_listener_that_fails_for_good_is_asked_again_after_a_pause() {
        let (clients, _woken) = mpsc::unbounded_channel();
        let (_room, wanted) = mpsc::unbounded_channel();
        let (_life, life) = watch::channel(Life::Running);
        let acceptor = Acceptor::new(vec![clients], Arc::default(), 1000, wanted, life);
        assert!(accept::tests::failing::waits(std::pin::pin!(
            acceptor.accept(accept::tests::failing::listener().await)
        )));
    }

    #[tokio::test]
    async fn the_share_of_a_dead_worker_goes_to_the_living() {
        let (clients, mut workers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::unbounded_channel()).unzip();
        let (_room, wanted) = mpsc::unbounded_channel();
        let (_life, life) = watch::channel(Life::Running);
        let mut acceptor = Acceptor::new(clients, Arc::default(), 1000, wanted, life);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let stream = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let mut hand_over =
            |times: usize| (0..times).all(|_| acceptor.hand_over(stream.try_clone().expect("a duplicate")));
        assert!(hand_over(3));
        drop(workers.remove(1));
        assert!(hand_over(100), "no client is lost");
        let shares: Vec<usize> = workers.iter().map(mpsc::UnboundedReceiver::len).collect();
        assert_eq!(shares, [51, 51]);
        workers.clear();
        assert!(!hand_over(1), "no worker is left");
    }
}
