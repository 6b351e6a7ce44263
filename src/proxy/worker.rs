//! What the connections of one thread share: settings, backends, memory and handles to the rest of the program.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use hashbrown::HashMap;
use http::StatusCode;
use tokio::sync::{Notify, oneshot, watch};

use super::admission::{Life, RoomRequests};
use super::alarm::Alarm;
use super::answer::{Answer, too_many};
use super::decoding::{Decoding, HeldByDecoders};
use super::hold::HeldBodies;
use super::polls::Polls;
use super::pools::Pools;
use super::products::Products;
use super::settings::{Settings, Shared};
use crate::exchange;
use crate::exchange::outcome::ErrorType;
use crate::exchange::sink::AnySink;
use crate::exchange::trace::TraceId;
use crate::fleet::Fleet;
use crate::tls::server::TlsServer;

/// Most bytes read from a socket at once. The memory belongs to the thread, so that an idle connection holds none.
const READ: usize = 64 * 1024;

/// What every worker is built from.
#[derive(Clone)]
pub(super) struct WorkerParts {
    /// For connections accepted from now on.
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) shared: Shared,
    pub(super) ids: Arc<AtomicU64>,
    /// Client connections, and streams within them, that are open now.
    pub(super) connections: Arc<AtomicU64>,
    pub(super) room: RoomRequests,
    pub(super) held_by_decoders: HeldByDecoders,
    /// Bytes that decoded HTTP/2 heads hold.
    pub(super) heads: Arc<AtomicU64>,
    /// Client connections that are lingering now.
    pub(super) lingering: Arc<AtomicU64>,
    pub(super) alarm: Alarm,
}

/// What the connections of one thread share.
pub(super) struct Worker {
    pub(super) settings: Settings,
    /// TLS for clients; `None` where the listener is plain.
    pub(super) tls: Option<TlsServer>,
    /// How exchanges are observed.
    pub(super) observe: Rc<exchange::ObservationContext>,
    pub(super) sink: Arc<dyn AnySink>,
    /// Client connections, and streams within them, that are open now, over all threads.
    pub(super) connections: Arc<AtomicU64>,
    room: RoomRequests,
    /// Bytes that decoded HTTP/2 heads hold, over all threads.
    pub(super) heads: Arc<AtomicU64>,
    /// Bytes of bodies whose backend is not chosen yet, over all threads.
    pub(super) held_bodies: HeldBodies,
    /// Client connections that are lingering now, over all threads.
    pub(super) lingering: Arc<AtomicU64>,
    ids: Arc<AtomicU64>,
    /// Random, and so different in every process.
    random: [u64; 2],
    pub(super) life: watch::Receiver<Life>,
    pub(super) thread: Rc<Thread>,
}

/// How a task is reached from outside.
pub(super) struct Task {
    pub(super) waker: Waker,
    pub(super) polls: Rc<Polls>,
}

impl Task {
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }
}

/// The state of the thread, which outlives a change of settings.
pub(super) struct Thread {
    /// The backends as last read by this thread, and where to read them after a change.
    fleet: RefCell<(Arc<Fleet>, watch::Receiver<Arc<Fleet>>)>,
    pub(super) pools: Pools,
    /// Buffer that sockets are read into.
    pub(super) scratch: RefCell<Box<[u8]>>,
    /// Buffer that heads, and what follows them, are assembled in.
    pub(super) build: RefCell<Vec<u8>>,
    /// A copy of the process's phase, which is cheap to read at every turn.
    pub(super) life: Cell<Life>,
    /// The tasks of the connections, woken when something changes for all.
    pub(super) tasks: RefCell<HashMap<u64, Option<Task>>>,
    /// The tasks of HTTP/2 streams, by the numbers of their exchanges.
    pub(super) streams: RefCell<HashMap<u64, Task>>,
    /// Notified whenever a task ends.
    pub(super) idle: Notify,
    /// The products of clients that were seen lately.
    pub(super) products: Products,
    /// What decoding copies of compressed bodies may cost.
    pub(super) decoding: Decoding,
}

impl Thread {
    fn new(
        settings: &Settings,
        mut fleets: watch::Receiver<Arc<Fleet>>,
        held_by_decoders: HeldByDecoders,
        alarm: Alarm,
    ) -> Self {
        let fleet = fleets.borrow_and_update().clone();
        Self {
            fleet: RefCell::new((fleet, fleets)),
            pools: Pools::new(settings.max_connections, settings.threads, alarm),
            products: Products::default(),
            decoding: Decoding::new(held_by_decoders),
            scratch: RefCell::new(vec![0; READ].into()),
            build: RefCell::default(),
            life: Cell::new(Life::Running),
            tasks: RefCell::default(),
            streams: RefCell::default(),
            idle: Notify::new(),
        }
    }
}

impl Thread {
    /// Ends an exchange. Returns whether it is in progress on this thread.
    pub(super) fn stop(&self, exchange: u64) -> bool {
        let (tasks, streams) = (self.tasks.borrow(), self.streams.borrow());
        let mut all = tasks.values().flatten().chain(streams.get(&exchange));
        let found = all.find(|task| task.polls.stop(exchange));
        found.inspect(|task| task.wake()).is_some()
    }

    /// Calls `look` with the fleet as it is configured now.
    pub(super) fn with_fleet<T>(&self, look: impl FnOnce(&Fleet) -> T) -> T {
        let mut known = self.fleet.borrow_mut();
        let (fleet, fleets) = &mut *known;
        // If the sender is dropped, the fleet stays as it is.
        if fleets.has_changed().unwrap_or(false) {
            *fleet = fleets.borrow_and_update().clone();
            self.pools.keep_only(fleet);
        }
        look(fleet)
    }
}

impl Worker {
    pub(super) fn new(parts: WorkerParts, life: watch::Receiver<Life>) -> Rc<Self> {
        let WorkerParts { settings, shared, ids, connections, room, held_by_decoders, heads, lingering, alarm } = parts;
        let Shared { fleet, sink, tls, residency, names, held } = shared;
        let settings = settings.borrow().clone();
        let observe = Rc::new(exchange::ObservationContext { settings: settings.observe, residency, names });
        Rc::new(Self {
            thread: Rc::new(Thread::new(&settings, fleet, held_by_decoders, alarm)),
            settings,
            tls,
            observe,
            sink,
            ids,
            connections,
            room,
            heads,
            held_bodies: held,
            lingering,
            random: [0_u8, 1].map(|which| RandomState::new().hash_one(which)),
            life,
        })
    }

    /// A worker with other settings, for connections accepted from now on; existing ones keep theirs.
    pub(super) fn with(&self, settings: Settings) -> Rc<Self> {
        Rc::new(Self {
            observe: Rc::new(exchange::ObservationContext {
                settings: settings.observe,
                ..exchange::ObservationContext::clone(&self.observe)
            }),
            settings,
            tls: self.tls.clone(),
            sink: self.sink.clone(),
            connections: self.connections.clone(),
            room: self.room.clone(),
            heads: self.heads.clone(),
            held_bodies: self.held_bodies.clone(),
            lingering: self.lingering.clone(),
            ids: self.ids.clone(),
            random: self.random,
            life: self.life.clone(),
            thread: self.thread.clone(),
        })
    }

    /// The phase that the process is in.
    pub(super) fn life(&self) -> Life {
        self.thread.life.get()
    }

    /// Whether the process is draining or killed.
    pub(super) fn is_draining(&self) -> bool {
        self.life() != Life::Running
    }

    /// A number that is uniform over all values, for the exchange with this number.
    pub(super) fn random(&self, exchange: u64) -> u64 {
        mix(self.random[0] ^ exchange.rotate_left(32))
    }

    /// A number from 0 to 1, not to be foreseen from outside.
    pub(super) fn fraction(&self) -> f64 {
        let bits = self.random(self.ids.load(Ordering::Relaxed));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Waits until the process drains; for ever if the sender is dropped.
    pub(super) async fn draining(&self) {
        if self.life.clone().wait_for(|now| *now >= Life::Draining).await.is_err() {
            std::future::pending().await
        }
    }

    /// The number of the next exchange, unique within the process.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A trace id for an exchange whose client sent none. Unique in this process, and with overwhelming probability
    /// elsewhere.
    pub(super) fn make_trace(&self, exchange: u64) -> TraceId {
        let [high, low] = self.random.map(|random| u128::from(mix(random.wrapping_add(exchange))));
        TraceId::from_random(high << 64 | low)
    }

    /// Whether every connection and stream counted now has a place, or can be given one by closing others.
    pub(super) async fn make_room(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.room.send(reply).is_ok() && answer.await.unwrap_or(false)
    }

    /// The answer that refuses an exchange, if none can be served now.
    pub(super) fn refusal(&self, over_limit: bool) -> Option<Answer> {
        if self.is_draining() {
            let text = "shutting down: try again in a moment".to_owned();
            return Some(Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::Draining, text });
        }
        over_limit.then(too_many)
    }
}

/// Maps numbers that differ in a few bits to distinct numbers that differ in many: the finalizer of SplitMix64 (Steele,
/// Lea, Flood: Fast splittable pseudorandom number generators, 2014).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
