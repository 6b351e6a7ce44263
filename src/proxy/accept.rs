//! Accepts clients and hands them round robin to the workers.
//!
//! One plain listener. Several with SO_REUSEPORT would let a second instance take the port unnoticed, balance few
//! connections badly, and reset pending ones on close.
//!
//! Clients are accepted in batches, and a worker is woken once for its share of a batch: under a burst this saves a
//! wake-up and a context switch for each client.
//!
//! When the connection limit is reached, the connection that has been idle longest is closed for the new one; when
//! every connection has an exchange in flight, the new client gets an answer that says so. Both are bounded in time, so
//! that silent clients keep nobody out.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::admission::{Accepted, Admission, Life, Ticket, WorkerMessage};
use super::slot::{Slot, Slots};
use crate::backend::dial::is_exhausted;
use crate::tls::accept;

/// Most clients accepted in one batch.
const BATCH: usize = 64;
/// Connections above the limit that are answered at the same time; more wait in the system's backlog.
const OVERFLOW: u64 = 64;
/// How long to wait before accepting again when [`OVERFLOW`] is reached.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Idle connections to close when the system is out of descriptors; each frees at least one.
const RELIEF: u64 = 16;

/// Accepts clients and assigns each to a worker, within the connection limit.
pub(super) struct Acceptor {
    clients: Vec<mpsc::UnboundedSender<WorkerMessage>>,
    /// Clients of the current batch, by worker.
    taken: Vec<Vec<Accepted>>,
    turns: RoundRobin,
    slots: Slots,
    /// Connections and streams being served, over all workers, and the limit on them.
    served: Arc<AtomicU64>,
    most: u64,
    /// Connections above the limit, which are being answered that there are too many.
    refused: Arc<AtomicU64>,
    wanted: mpsc::UnboundedReceiver<oneshot::Sender<bool>>,
    life: watch::Receiver<Life>,
    /// The limit is reached, and a warning was logged.
    short: bool,
    /// Accepting fails, and a warning was logged.
    failing: bool,
    /// Whether accepted sockets inherit the listener's options; `None` before the first.
    inherits: Option<bool>,
}

impl Acceptor {
    pub(super) fn new(
        clients: Vec<mpsc::UnboundedSender<WorkerMessage>>,
        served: Arc<AtomicU64>,
        most: u64,
        wanted: mpsc::UnboundedReceiver<oneshot::Sender<bool>>,
        life: watch::Receiver<Life>,
    ) -> Self {
        let (slots, refused) = (Slots::new(Instant::now()), Arc::default());
        let turns = RoundRobin::new(clients.len());
        let taken = clients.iter().map(|_| Vec::new()).collect();
        Self {
            clients,
            taken,
            turns,
            slots,
            served,
            most,
            refused,
            wanted,
            life,
            short: false,
            failing: false,
            inherits: None,
        }
    }

    /// Accepts until the process drains or no worker is left.
    ///
    /// # Errors
    /// When the system cannot watch the listener.
    pub(super) async fn accept(mut self, listener: TcpListener) -> io::Result<()> {
        set_options(&listener);
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a listener keeps its descriptor, which is all that it asks"
        )]
        let listener = AsyncFd::with_interest(listener, Interest::READABLE)?;
        let mut life = self.life.clone();
        loop {
            let has_room = self.has_room();
            tokio::select! {
                _ = life.wait_for(|now| *now != Life::Running) => return Ok(()),
                Some(tell) = self.wanted.recv() => drop(tell.send(self.make_room())),
                () = tokio::time::sleep(BACK_OFF), if !has_room => {}
                ready = listener.readable(), if has_room => {
                    let mut ready = ready?;
                    let taken = self.take(|| match ready.try_io(|listener| accept(listener.get_ref())) {
                        Ok(accepted) => accepted.map(Some),
                        Err(_nobody_waits) => Ok(None),
                    });
                    if !self.hand_over() {
                        return Ok(());
                    }
                    match taken {
                        // The thread has other tasks to run.
                        Ok(BATCH) => tokio::task::yield_now().await,
                        Ok(_) => {}
                        Err(error) => if let Some(pause) = self.relieve(&error) {
                            tokio::time::sleep(pause).await;
                        }
                    }
                }
            }
        }
    }

    /// Accepts pending clients, at most one batch, and returns how many.
    fn take(&mut self, mut next: impl FnMut() -> io::Result<Option<TcpStream>>) -> io::Result<usize> {
        for taken in 0..BATCH {
            if !self.has_room() {
                return Ok(taken);
            }
            let Some(stream) = next()? else { return Ok(taken) };
            self.admit(stream);
        }
        Ok(BATCH)
    }

    /// Whether the next client can be served, or at least be answered that it cannot.
    fn has_room(&mut self) -> bool {
        self.refused.load(Relaxed) < OVERFLOW || self.served.load(Relaxed) < self.most || self.slots.has_idle()
    }

    /// Admits a client, above the limit or within it, and assigns it to the next worker.
    fn admit(&mut self, stream: TcpStream) {
        self.failing = false;
        if !*self.inherits.get_or_insert_with(|| has_options(&stream)) {
            set_options(&stream);
        }
        let (mut ticket, taken) = Ticket::take(&self.served);
        self.short &= taken > self.most - self.most / 8;
        // Connections of this batch can be closed for each other only after their workers have them.
        let over_limit = taken > self.most && !(self.make_room() || (self.hand_over() && self.make_room()));
        if over_limit {
            (ticket, _) = Ticket::take(&self.refused);
        }
        self.assign(stream, ticket, over_limit, Instant::now());
    }

    fn assign(&mut self, stream: TcpStream, ticket: Ticket, over_limit: bool, at: Instant) {
        let Some(worker) = self.turns.next() else { return };
        let seat = self.slots.make(worker, at);
        let admission = Admission { seat, over_limit, at: at.into() };
        self.taken[worker].push(Accepted { stream, ticket, admission });
    }

    /// Sends every worker its clients. False where no worker is left.
    fn hand_over(&mut self) -> bool {
        while let Some(worker) = self.taken.iter().position(|taken| !taken.is_empty()) {
            let batch = std::mem::take(&mut self.taken[worker]);
            // Listed only now: otherwise connections of one batch would be asked to close for each other before a
            // worker has seen them.
            batch
                .iter()
                .filter(|taken| !taken.admission.over_limit)
                .for_each(|taken| self.slots.keep(&taken.admission.seat));
            if let Err(SendError(WorkerMessage::Clients(returned))) =
                self.clients[worker].send(WorkerMessage::Clients(batch))
            {
                self.turns.remove(worker);
                for Accepted { stream, ticket, admission: Admission { over_limit, at, .. } } in returned {
                    self.assign(stream, ticket, over_limit, at.into());
                }
            }
        }
        !self.turns.living.is_empty()
    }

    /// Asks the connections that have been idle longest to close, as many as are above the limit. False where too few
    /// are idle.
    fn make_room(&mut self) -> bool {
        let excess = || self.served.load(Relaxed).saturating_sub(self.most);
        if excess() > 0 && !std::mem::replace(&mut self.short, true) {
            tracing::warn!(
                max_connections = self.most,
                "as many connections as are allowed: idle ones are closed for new ones, and where none is idle new ones \
                 are refused; raise max_connections or the limit of open files"
            );
        }
        let clients = &self.clients;
        self.slots.make_room(excess, |slot| wake(clients, slot))
    }

    /// After a failed accept: asks idle connections to close if the system is out of descriptors or memory. Returns the
    /// pause before the next attempt; `None` where only that client is lost.
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
            self.slots.make_room(|| RELIEF, |slot| wake(clients, slot));
        }
        Some(pause)
    }
}

/// The workers that are alive, and which is next.
struct RoundRobin {
    living: Vec<usize>,
    next: usize,
}

impl RoundRobin {
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

    /// Removes a worker that is gone, which means that it panicked: its clients are lost, and the others take over its
    /// share.
    fn remove(&mut self, worker: usize) {
        if let Some(at) = self.living.iter().position(|living| *living == worker) {
            self.living.remove(at);
            self.next -= usize::from(at < self.next);
        }
        let left = self.living.len();
        tracing::error!(worker, left, "a worker thread has died: its connections are cut, restart soon");
    }
}

/// Makes a connection check its slot.
fn wake(clients: &[mpsc::UnboundedSender<WorkerMessage>], slot: &Slot) {
    drop(clients[slot.worker].send(WorkerMessage::Wake(slot.number)));
}

/// Idle time before the system probes whether a peer still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Sends small writes at once, and notices peers that vanished. To be called on a listener before it listens: most
/// systems pass the options on to accepted sockets, which saves three system calls for each client.
pub fn set_options(socket: impl AsFd) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    let socket = SockRef::from(&socket);
    // On a socket that is closed already both fail, which does not matter.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&keepalive));
}

fn has_options(socket: impl AsFd) -> bool {
    let socket = SockRef::from(&socket);
    [socket.tcp_nodelay(), socket.keepalive()].iter().all(|set| matches!(set, Ok(true)))
}

/// Accepts one client as a non-blocking socket.
#[cfg(not(target_vendor = "apple"))]
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    use rustix::net::{SocketFlags, accept_with};
    Ok(accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?.into())
}

/// Accepts one client as a non-blocking socket.
#[cfg(target_vendor = "apple")]
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
