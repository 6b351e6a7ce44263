//! One thread with a runtime of its own: it serves the clients it is handed, and shares nothing on their way.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use hashbrown::HashMap;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::accept::Room;
use super::answer::{Answer, too_many};
use super::http1;
use super::polls::Polls;
use super::pools::Pools;
use super::slot::Seat;
use super::{Parts, Settings, Shared};
use crate::exchange;
use crate::exchange::outcome::ErrorType;
use crate::exchange::sink::AnySink;
use crate::exchange::trace::TraceId;
use crate::fleet::{Fleet, Lease};
use crate::tls::server::TlsServer;
use crate::wire::budget::{Budget, Limits};

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Serving.
    Running,
    /// No new connections; exchanges in flight are finished.
    Draining,
    /// The time to drain is over.
    Killed,
}

/// What a worker is handed.
pub(super) enum Handed {
    /// Clients to serve.
    Clients(Vec<Accepted>),
    /// The number of a connection that is to look at its slot.
    Wake(u64),
}

/// A client's socket on its way to the thread that serves it.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    /// Counts the connection until it is dropped.
    pub(super) ticket: Ticket,
    pub(super) admission: Admission,
}

/// How a connection was let in.
pub(super) struct Admission {
    pub(super) seat: Seat,
    /// Above the connection limit: it is told so and closed.
    pub(super) over_limit: bool,
    /// When it was accepted.
    pub(super) at: Instant,
}

/// A connection above the limit that has sent no whole head by then is told unasked.
const OVER_LIMIT: Duration = Duration::from_secs(1);

impl Admission {
    /// When the first head has to be there, where heads have so much time. None is no limit.
    pub(super) fn first_head(&self, limit: Option<Duration>) -> Option<Instant> {
        let limit = if self.over_limit { Some(limit.unwrap_or(OVER_LIMIT).min(OVER_LIMIT)) } else { limit };
        limit.and_then(|limit| self.at.checked_add(limit))
    }
}

/// Holds one place among the connections.
pub(super) struct Ticket(Arc<AtomicU64>);

impl Ticket {
    /// Takes a place and tells how many are taken now.
    pub(super) fn take(count: &Arc<AtomicU64>) -> (Self, u64) {
        let taken = count.fetch_add(1, Ordering::Relaxed) + 1;
        (Self(count.clone()), taken)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Most bytes taken from a socket at once. The memory is the thread's, so that a quiet connection has none.
const READ: usize = 64 * 1024;

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) settings: Settings,
    /// Where clients speak TLS, how.
    pub(super) tls: Option<TlsServer>,
    /// How exchanges are observed.
    pub(super) observe: exchange::ObservationContext,
    pub(super) sink: Arc<dyn AnySink>,
    /// Client connections now, and streams within them, over all threads.
    pub(super) connections: Arc<AtomicU64>,
    room: Room,
    /// What decoded heads of HTTP/2 hold, over all threads.
    pub(super) heads: Arc<AtomicU64>,
    /// Client connections that are closed in two steps now, over all threads.
    pub(super) lingering: Arc<AtomicU64>,
    ids: Arc<AtomicU64>,
    /// Numbers that no two processes share.
    random: [u64; 2],
    life: watch::Receiver<Life>,
    pub(super) thread: Rc<Thread>,
}

/// What belongs to the thread, whatever its settings.
pub(super) struct Thread {
    /// The backends that may serve, as far as this thread knows, and where a change of them shows.
    fleet: RefCell<(Arc<Fleet>, watch::Receiver<Arc<Fleet>>)>,
    /// Idle connections to them.
    pub(super) pools: Pools,
    /// What is read goes here first.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Where a head and what follows it are put together.
    pub(super) build: RefCell<Vec<u8>>,
    /// Memory for the next request's head.
    spare: Cell<Vec<u8>>,
    /// How far the process has come, for asking at every turn.
    pub(super) stage: Cell<Life>,
    /// The tasks of the connections, to be told of a change.
    tasks: RefCell<HashMap<u64, Option<Waker>>>,
    idle: Notify,
    /// What the reading of coded bodies may cost.
    pub(super) decoding: Rc<Budget>,
}

impl Thread {
    fn new(settings: &Settings, mut fleets: watch::Receiver<Arc<Fleet>>, held_by_decoders: Arc<AtomicU64>) -> Self {
        let fleet = fleets.borrow_and_update().clone();
        Self {
            fleet: RefCell::new((fleet, fleets)),
            pools: Pools::new(settings.max_connections, settings.threads),
            decoding: Budget::new(Limits::default(), held_by_decoders),
            scratch: RefCell::new(vec![0; READ].into()),
            build: RefCell::default(),
            spare: Cell::default(),
            stage: Cell::new(Life::Running),
            tasks: RefCell::default(),
            idle: Notify::new(),
        }
    }
}

impl Thread {
    /// Chooses the backend for an exchange that begins now, by what is configured now.
    pub(super) fn choose(&self) -> Lease {
        let mut known = self.fleet.borrow_mut();
        let (fleet, fleets) = &mut *known;
        // Without its owner the fleet stays as it is.
        if fleets.has_changed().unwrap_or(false) {
            *fleet = fleets.borrow_and_update().clone();
            self.pools.keep_only(fleet);
        }
        fleet.choose()
    }
}

/// Longest head whose memory is kept for the next.
const MAX_SPARE: usize = 16 * 1024;

impl Thread {
    /// Memory for a head; to be given back.
    pub(super) fn lend(&self) -> Vec<u8> {
        self.spare.take()
    }

    /// The memory is needed no more.
    pub(super) fn give_back(&self, mut memory: Vec<u8>) {
        if (1..=MAX_SPARE).contains(&memory.capacity()) {
            memory.clear();
            self.spare.set(memory);
        }
    }
}

impl Worker {
    /// Starts the thread; it ends when its channel is closed and its last connection is over, or when it is killed.
    ///
    /// # Errors
    /// When the system gives no thread or no poller.
    pub(super) fn spawn(
        index: usize,
        parts: Parts,
        life: watch::Receiver<Life>,
        clients: mpsc::UnboundedReceiver<Handed>,
    ) -> io::Result<JoinHandle<()>> {
        let (started, starting) = std::sync::mpsc::sync_channel(1);
        let thread =
            std::thread::Builder::new().name(format!("proxy-{index}")).spawn(
                move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => {
                        drop(started.send(Ok(())));
                        let settings = parts.settings.clone();
                        runtime.block_on(Self::new(parts, life).run(clients, settings));
                    }
                    Err(error) => drop(started.send(Err(error))),
                },
            )?;
        starting.recv().map_err(|_| io::Error::other("a proxy thread died while it started"))??;
        Ok(thread)
    }

    pub(super) fn new(parts: Parts, life: watch::Receiver<Life>) -> Rc<Self> {
        let Parts { settings, shared, ids, connections, room, held_by_decoders, heads, lingering } = parts;
        let Shared { fleet, sink, tls, residency, names } = shared;
        let settings = settings.borrow().clone();
        let observe = exchange::ObservationContext { settings: settings.observe, residency, names };
        Rc::new(Self {
            thread: Rc::new(Thread::new(&settings, fleet, held_by_decoders)),
            settings,
            tls,
            observe,
            sink,
            ids,
            connections,
            room,
            heads,
            lingering,
            random: [0_u8, 1].map(|which| RandomState::new().hash_one(which)),
            life,
        })
    }

    /// The same with other settings, for the connections that come from now on; those that are served keep theirs.
    fn with(&self, settings: Settings) -> Rc<Self> {
        Rc::new(Self {
            observe: exchange::ObservationContext { settings: settings.observe, ..self.observe.clone() },
            settings,
            tls: self.tls.clone(),
            sink: self.sink.clone(),
            connections: self.connections.clone(),
            room: self.room.clone(),
            heads: self.heads.clone(),
            lingering: self.lingering.clone(),
            ids: self.ids.clone(),
            random: self.random,
            life: self.life.clone(),
            thread: self.thread.clone(),
        })
    }

    /// Serves what it is handed until the channel is closed and the last connection is over.
    async fn run(
        mut self: Rc<Self>,
        mut clients: mpsc::UnboundedReceiver<Handed>,
        mut settings: watch::Receiver<Settings>,
    ) {
        let follower = tokio::task::spawn_local(self.clone().follow_life());
        while let Some(handed) = clients.recv().await {
            match handed {
                Handed::Clients(batch) => {
                    if settings.has_changed().unwrap_or(false) {
                        self = self.with(settings.borrow_and_update().clone());
                    }
                    batch.into_iter().for_each(|accepted| self.serve(accepted));
                }
                Handed::Wake(number) => {
                    self.thread.tasks.borrow().get(&number).into_iter().flatten().for_each(Waker::wake_by_ref);
                }
            }
        }
        self.thread.pools.clear();
        while !self.thread.tasks.borrow().is_empty() {
            self.thread.idle.notified().await;
        }
        follower.abort();
    }

    /// Serves one client, in a task of its own.
    fn serve(self: &Rc<Self>, Accepted { stream, ticket, admission }: Accepted) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let place = Place::take(self, admission.seat.number);
        // Boxed here: a task moves its future about when it is made and when it is over.
        tokio::task::spawn_local(Box::pin(async move {
            let polls = Rc::<Polls>::default();
            let serving = pin!(http1::serve(place.worker.clone(), polls.clone(), stream, admission));
            place.attend(&polls, serving).await;
            drop(ticket);
        }));
    }

    /// Tells every connection when the process comes further.
    async fn follow_life(self: Rc<Self>) {
        let mut life = self.life.clone();
        // Without its owner the process stays as it is.
        while life.changed().await.is_ok() {
            self.thread.stage.set(*life.borrow_and_update());
            self.thread.tasks.borrow().values().flatten().for_each(Waker::wake_by_ref);
        }
    }

    /// How far the process has come.
    pub(super) fn life(&self) -> Life {
        self.thread.stage.get()
    }

    /// Waits until the process drains. It never does once its owner is gone.
    pub(super) async fn draining(&self) {
        if self.life.clone().wait_for(|now| *now >= Life::Draining).await.is_err() {
            std::future::pending().await
        }
    }

    /// The next exchange's number, unique within the process.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A trace id for an exchange whose client named none: no other exchange has it, in this process or another.
    pub(super) fn make_trace(&self, exchange: u64) -> TraceId {
        let [high, low] = self.random.map(|random| u128::from(mix(random.wrapping_add(exchange))));
        TraceId::from_random(high << 64 | low)
    }

    /// Whether all connections and streams that are counted now have a place, or can be given one by closing others.
    pub(super) async fn make_room(&self) -> bool {
        let (tell, told) = oneshot::channel();
        self.room.send(tell).is_ok() && told.await.unwrap_or(false)
    }

    /// Why no exchange can be served now, if so.
    pub(super) fn refusal(&self, over_limit: bool) -> Option<Answer> {
        if self.life() != Life::Running {
            let text = "shutting down: try again in a moment".to_owned();
            return Some(Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::Draining, text });
        }
        over_limit.then(too_many)
    }
}

/// Spreads numbers that differ in a few bits over all of them, each to another one: the finalizer of SplitMix64 (Steele,
/// Lea, Flood: Fast splittable pseudorandom number generators, 2014).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// One connection among those of a worker, given back also when its task panics.
struct Place {
    worker: Rc<Worker>,
    number: u64,
}

impl Place {
    fn take(worker: &Rc<Worker>, number: u64) -> Self {
        worker.thread.tasks.borrow_mut().insert(number, None);
        Self { worker: worker.clone(), number }
    }

    /// Serves the connection to its end, or until the process has no more time for it.
    async fn attend(self, polls: &Polls, mut serving: Pin<&mut impl Future<Output = ()>>) {
        let mut known = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut known, true) {
                self.worker.thread.tasks.borrow_mut().insert(self.number, Some(cx.waker().clone()));
            }
            self.worker.thread.decoding.turn(polls.begin());
            let served = serving.as_mut().poll(cx);
            polls.end();
            if self.worker.life() == Life::Killed { Poll::Ready(()) } else { served }
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.thread.tasks.borrow_mut().remove(&self.number);
        self.worker.thread.idle.notify_one();
    }
}
