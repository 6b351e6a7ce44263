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
use tokio::sync::{mpsc, oneshot, watch};

use super::slot::{Slot, Slots};
use super::worker::{Accepted, Admission, Handed, Life, Ticket};

/// Connections above the limit that are told so at once; beyond these the system's queue holds them back for a moment.
const OVERFLOW: u64 = 64;
/// Pause after a failed accept (without descriptors it fails at once and for some time), and where no more can be told.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Idle connections that are closed after a failed accept, each for a descriptor at least.
const RELIEF: u64 = 16;

/// A stream of HTTP/2 that needs a place asks whether one can be made.
pub(super) type Room = mpsc::UnboundedSender<oneshot::Sender<bool>>;

/// Lets clients in.
pub(super) struct Acceptor {
    clients: Vec<mpsc::UnboundedSender<Handed>>,
    /// The worker that gets the next one.
    next: usize,
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
        Self { clients, next: 0, slots, served, most, refused, wanted, life, short: false, failing: false }
    }

    /// Accepts until the process drains.
    pub(super) async fn accept(mut self, listener: TcpListener) {
        let mut life = self.life.clone();
        loop {
            let has_room = self.has_room();
            tokio::select! {
                _ = life.wait_for(|now| *now != Life::Running) => return,
                Some(tell) = self.wanted.recv() => drop(tell.send(self.make_room_for_all())),
                () = tokio::time::sleep(BACK_OFF), if !has_room => {}
                accepted = listener.accept(), if has_room => match accepted.and_then(|(stream, _)| prepare(stream)) {
                    Ok(stream) => self.hand_over(stream),
                    Err(error) => {
                        self.relieve(&error);
                        tokio::time::sleep(BACK_OFF).await;
                    }
                }
            }
        }
    }

    /// Whether the next client can be served or at least be told that it cannot.
    fn has_room(&mut self) -> bool {
        self.refused.load(Relaxed) < OVERFLOW || self.served.load(Relaxed) < self.most || self.slots.has_idle()
    }

    fn hand_over(&mut self, stream: std::net::TcpStream) {
        self.failing = false;
        let (mut ticket, taken) = Ticket::take(&self.served);
        self.short &= taken > self.most - self.most / 8;
        let over_limit = !self.make_room(taken.saturating_sub(self.most));
        if over_limit {
            (ticket, _) = Ticket::take(&self.refused);
        }
        let now = Instant::now();
        let worker = self.next;
        self.next = (worker + 1) % self.clients.len();
        let seat = self.slots.make(worker, now);
        if !over_limit {
            self.slots.keep(&seat);
        }
        let accepted = Accepted { stream, ticket, admission: Admission { seat, over_limit, at: now.into() } };
        // A worker that is gone has panicked; its clients go with it, the next ones to the others.
        drop(self.clients[worker].send(Handed::Client(accepted)));
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

    /// Accepting has failed: the descriptors are used up, most often.
    fn relieve(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "cannot accept connections; closing idle ones and going on trying");
        }
        let clients = &self.clients;
        self.slots.make_room(RELIEF, |slot| wake(clients, slot));
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
