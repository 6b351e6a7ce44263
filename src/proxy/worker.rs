//! What the connections of one thread share: settings, backends, memory and the way to the rest of the program.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use hashbrown::HashMap;
use http::StatusCode;
use tokio::sync::{Notify, oneshot, watch};

use super::admission::{Life, RoomRequests};
use super::answer::{Answer, too_many};
use super::decoding::{Decoding, HeldByDecoders};
use super::pools::Pools;
use super::settings::{Settings, Shared};
use crate::exchange;
use crate::exchange::outcome::ErrorType;
use crate::exchange::sink::AnySink;
use crate::exchange::trace::TraceId;
use crate::fleet::{Fleet, Lease};
use crate::tls::server::TlsServer;

/// Most bytes taken from a socket at once. The memory is the thread's, so that a quiet connection has none.
const READ: usize = 64 * 1024;

/// What every worker gets.
#[derive(Clone)]
pub(super) struct WorkerParts {
    /// For clients that are accepted from now on.
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) shared: Shared,
    pub(super) ids: Arc<AtomicU64>,
    /// Client connections now, and streams within them.
    pub(super) connections: Arc<AtomicU64>,
    pub(super) room: RoomRequests,
    pub(super) held_by_decoders: HeldByDecoders,
    /// What decoded heads of HTTP/2 hold.
    pub(super) heads: Arc<AtomicU64>,
    /// Client connections that are closed in two steps now.
    pub(super) lingering: Arc<AtomicU64>,
}

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
    room: RoomRequests,
    /// What decoded heads of HTTP/2 hold, over all threads.
    pub(super) heads: Arc<AtomicU64>,
    /// Client connections that are closed in two steps now, over all threads.
    pub(super) lingering: Arc<AtomicU64>,
    ids: Arc<AtomicU64>,
    /// Numbers that no two processes share.
    random: [u64; 2],
    pub(super) life: watch::Receiver<Life>,
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
    /// How far the process has come, for asking at every turn.
    pub(super) life: Cell<Life>,
    /// The tasks of the connections, woken when something changes.
    pub(super) tasks: RefCell<HashMap<u64, Option<Waker>>>,
    /// Notified whenever a task ends.
    pub(super) idle: Notify,
    /// What decoding copies of coded bodies may cost.
    pub(super) decoding: Decoding,
    /// Set when the thread has waited for its sockets.
    woken: Arc<AtomicBool>,
    /// When the first poll after that began.
    heard: Cell<Option<Instant>>,
}

impl Thread {
    fn new(
        settings: &Settings,
        mut fleets: watch::Receiver<Arc<Fleet>>,
        held_by_decoders: HeldByDecoders,
        woken: Arc<AtomicBool>,
    ) -> Self {
        let fleet = fleets.borrow_and_update().clone();
        Self {
            fleet: RefCell::new((fleet, fleets)),
            pools: Pools::new(settings.max_connections, settings.threads),
            decoding: Decoding::new(held_by_decoders),
            scratch: RefCell::new(vec![0; READ].into()),
            build: RefCell::default(),
            life: Cell::new(Life::Running),
            tasks: RefCell::default(),
            idle: Notify::new(),
            woken,
            heard: Cell::default(),
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

    /// A task of a connection is polled, from now on.
    pub(super) fn begin_poll(&self, now: Instant) {
        if self.woken.load(Ordering::Relaxed) {
            self.woken.store(false, Ordering::Relaxed);
            self.heard.set(Some(now));
        }
        self.decoding.begin_turn(now);
    }

    /// The thread does something else first, for so long that more may become of its sockets.
    pub(super) fn miss_wake(&self) {
        self.woken.store(false, Ordering::Relaxed);
    }

    /// When the thread last heard what had become of each of its sockets; `None` is unknown.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }
}

impl Worker {
    /// `woken` is to be set whenever the thread has waited for its sockets.
    pub(super) fn new(parts: WorkerParts, life: watch::Receiver<Life>, woken: Arc<AtomicBool>) -> Rc<Self> {
        let WorkerParts { settings, shared, ids, connections, room, held_by_decoders, heads, lingering } = parts;
        let Shared { fleet, sink, tls, residency, names } = shared;
        let settings = settings.borrow().clone();
        let observe = exchange::ObservationContext { settings: settings.observe, residency, names };
        Rc::new(Self {
            thread: Rc::new(Thread::new(&settings, fleet, held_by_decoders, woken)),
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
    pub(super) fn with(&self, settings: Settings) -> Rc<Self> {
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

    /// How far the process has come.
    pub(super) fn life(&self) -> Life {
        self.thread.life.get()
    }

    /// Whether the process drains, or is about to end.
    pub(super) fn is_draining(&self) -> bool {
        self.life() != Life::Running
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
        if self.is_draining() {
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
