//! The exchanges in flight.
//!
//! Promises: a lock is taken at an exchange's start, placement and end and by a snapshot, never for a token; an
//! exchange that is dropped is removed like one that finishes.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use hashbrown::HashMap;

use crate::exchange::names::NamedModel;
use crate::exchange::outcome::Phase;
use crate::exchange::placement::Placement;
use crate::exchange::record::{Method, Record, Start};
use crate::exchange::sink::{Sink, TokenFrame, Watch};
use crate::exchange::trace::TraceId;

/// The number of locks, so that the threads rarely contend for one.
const SHARDS: usize = 16;

/// A snapshot of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlightExchange {
    /// Unique within this process.
    pub id: u64,
    /// The request's method.
    pub method: Method,
    /// The endpoint's template.
    pub endpoint: &'static str,
    /// What it asks for.
    pub operation: &'static str,
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// The product of the client; `None` where it names none.
    pub client: Option<Arc<str>>,
    /// The configured name of the backend; `None` until one is chosen.
    pub backend: Option<Arc<str>>,
    /// The model that answers, else the one requested; `None` while neither is known.
    pub model: Option<Box<str>>,
    /// Time zero.
    pub started: Instant,
    /// The phase that it has reached.
    pub phase: Phase,
    /// Token-bearing events so far.
    pub chunks: u64,
}

/// The table of exchanges in flight. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Shards>);

type Shard = HashMap<u64, Arc<Entry>>;

#[derive(Debug, Default)]
struct Shards([Mutex<Shard>; SHARDS]);

#[derive(Debug)]
struct Entry {
    start: Start,
    backend: Mutex<Option<Arc<str>>>,
    requested: OnceLock<NamedModel>,
    answered: OnceLock<NamedModel>,
    /// Index in [`Phase::ALL`].
    phase: AtomicU8,
    chunks: AtomicU64,
}

impl Shards {
    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(id % SHARDS as u64).expect("below the number of shards");
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Every exchange in flight, the oldest first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<InFlightExchange> {
        let mut all = Vec::new();
        for shard in &self.0.0 {
            // Only pointers are copied under the lock.
            let entries: Vec<_> = shard.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
            all.extend(entries.iter().map(|entry| entry.snapshot()));
        }
        all.sort_by_key(|exchange| (exchange.started, exchange.id));
        all
    }

    /// Whether an exchange is in flight to this backend.
    #[must_use]
    pub fn is_busy(&self, backend: &str) -> bool {
        let busy = |shard: &Shard| shard.values().any(|entry| entry.backend().as_deref() == Some(backend));
        self.0.0.iter().any(|shard| busy(&shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The number of exchanges in flight.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl Entry {
    fn backend(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> InFlightExchange {
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        InFlightExchange {
            id: self.start.id,
            method: self.start.method,
            endpoint: self.start.route.endpoint,
            operation: self.start.route.operation.as_str(),
            trace: self.start.trace,
            client: self.start.client.clone(),
            backend: self.backend().clone(),
            model: self.answered.get().or(self.requested.get()).map(|name| (&**name).into()),
            started: self.start.at,
            phase: Phase::ALL.get(phase).copied().unwrap_or(Phase::Upload),
            chunks: self.chunks.load(Ordering::Relaxed),
        }
    }
}

impl Sink for InFlight {
    type Watch = InFlightGuard;

    fn started(&self, start: &Start) -> InFlightGuard {
        let entry = Arc::new(Entry {
            start: start.clone(),
            backend: Mutex::default(),
            requested: OnceLock::new(),
            answered: OnceLock::new(),
            phase: AtomicU8::new(Phase::Upload as u8),
            chunks: AtomicU64::new(0),
        });
        self.0.shard(start.id).insert(start.id, entry.clone());
        InFlightGuard { table: self.0.clone(), entry }
    }
}

/// Removes the exchange from the table when dropped.
#[derive(Debug)]
pub struct InFlightGuard {
    table: Arc<Shards>,
    entry: Arc<Entry>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.table.shard(self.entry.start.id).remove(&self.entry.start.id);
    }
}

impl Watch for InFlightGuard {
    fn placed(&mut self, placement: &Placement) {
        *self.entry.backend() = Some(placement.backend.clone());
    }

    fn requested(&mut self, model: Option<&NamedModel>) {
        if let Some(model) = model {
            self.entry.requested.get_or_init(|| model.clone());
        }
    }

    fn answered(&mut self, model: &NamedModel) {
        self.entry.answered.get_or_init(|| model.clone());
    }

    fn phase(&mut self, phase: Phase) {
        self.entry.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn tokens(&mut self, frame: TokenFrame) {
        self.entry.chunks.fetch_add(u64::from(frame.events), Ordering::Relaxed);
    }

    fn finished(&mut self, _record: &Record) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::trace::TraceId;
    use crate::wire::route::Route;

    fn start(id: u64, at: Instant) -> Start {
        Start {
            id,
            method: Method::Post,
            route: Route::OTHER,
            trace: TraceId::from_random(1),
            parent: None,
            client: None,
            conversation: None,
            at,
        }
    }

    #[test]
    fn an_exchange_is_listed_from_its_start_to_its_end_with_its_progress() {
        let table = InFlight::default();
        let begun = Instant::now();
        let mut watch = table.started(&start(7, begun));
        let seen = table.snapshot();
        assert_eq!((seen[0].id, seen[0].phase, seen[0].chunks, seen[0].model.clone()), (7, Phase::Upload, 0, None));

        watch.requested(Some(&"llama3".into()));
        watch.phase(Phase::Decode);
        watch.tokens(TokenFrame { events: 2, tokens: 2, gap: None, stalled: false });
        watch.tokens(TokenFrame { events: 1, tokens: 1, gap: Some(Duration::ZERO), stalled: false });
        let seen = table.snapshot();
        assert_eq!((seen[0].phase, seen[0].chunks, seen[0].model.as_deref()), (Phase::Decode, 3, Some("llama3")));

        watch.answered(&"llama3:latest".into());
        assert_eq!(table.snapshot()[0].model.as_deref(), Some("llama3:latest"));
        drop(watch);
        assert!(table.snapshot().is_empty());
    }

    #[test]
    fn every_phase_survives_its_encoding() {
        let table = InFlight::default();
        let mut watch = table.started(&start(1, Instant::now()));
        for phase in Phase::ALL {
            watch.phase(*phase);
            assert_eq!(table.snapshot()[0].phase, *phase);
        }
    }

    #[test]
    fn the_oldest_comes_first_and_each_is_removed_alone() {
        let table = InFlight::default();
        let now = Instant::now();
        let ages = [(1, 5), (2, 9), (33, 1), (17, 9)];
        let mut watches: Vec<_> =
            ages.iter().map(|(id, age)| table.started(&start(*id, now - Duration::from_secs(*age)))).collect();
        let ids = |table: &InFlight| table.snapshot().iter().map(|exchange| exchange.id).collect::<Vec<_>>();
        assert_eq!(ids(&table), [2, 17, 1, 33]);
        watches.remove(0);
        assert_eq!(ids(&table), [2, 17, 33]);
        assert_eq!(table.count(), 3);
    }
}
