//! Handles of the series that the start and the end of an exchange feed, cached for each model.
//!
//! Nearly every exchange on a model ends like many before it. Looking each family up by its labels would be half the cost
//! of recording an end, so the handles are cached with the model's series, by what distinguishes ends. A handle is cached
//! only where the labels have a series of their own: what a cap refuses is refused, and counted, each time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use prometheus::IntCounter;

use super::family::{Child, Family};
use super::histogram::Histogram;
use super::traced::TracedHistogram;
use crate::exchange::outcome::Outcome;
use crate::exchange::record::{Method, Record};
use crate::exchange::vocabulary::{Defect, Dialect, Source};

/// Most keys of one kind cached for one model; beyond them every look-up is by labels. So many ends differ only where a
/// backend answers with statuses that no documentation names.
const MAX_KEYS: usize = 64;

/// At most one handle.
pub(super) struct CachedHandle<C>(OnceLock<C>);

impl<C> Default for CachedHandle<C> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<C: Child> CachedHandle<C> {
    /// Calls `action` with the family's child that has these label values, which must be the same at every call.
    pub(super) fn with<T>(&self, family: &Family<C>, values: &[&str], action: impl FnOnce(&C) -> T) -> T {
        if let Some(child) = self.0.get() {
            return action(child);
        }
        let (child, is_own) = family.child_and_is_own(values);
        let result = action(&child);
        if is_own {
            // Another thread that set it first has set a handle of the same child.
            let _ = self.0.set(child);
        }
        result
    }
}

/// Handles by what distinguishes their series.
struct ByKey<K, H>(RwLock<Vec<(K, H)>>);

impl<K, H> Default for ByKey<K, H> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: PartialEq, H: Default> ByKey<K, H> {
    fn with<T>(&self, key: K, action: impl FnOnce(&H) -> T) -> T {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, handles)) = all.iter().find(|(known, _)| *known == key) {
            return action(handles);
        }
        drop(all);
        let handles = H::default();
        let result = action(&handles);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_KEYS && all.iter().all(|(known, _)| *known != key) {
            all.push((key, handles));
        }
        result
    }
}

/// The cached handles of one model on one backend.
#[derive(Default)]
pub(super) struct HandleCache {
    /// By the source of the count, in the order of [`Source::ALL`].
    pub(super) prompt: [CachedHandle<IntCounter>; Source::ALL.len()],
    /// By the source of the count, in the order of [`Source::ALL`].
    pub(super) generated: [CachedHandle<IntCounter>; Source::ALL.len()],
    pub(super) context: CachedHandle<Histogram>,
    pub(super) truncation: CachedHandle<IntCounter>,
    /// Whether an exchange on the endpoint has named the model.
    named: ByKey<&'static str, AtomicBool>,
    /// By the endpoint.
    started: ByKey<&'static str, CachedHandle<IntCounter>>,
    ends: ByKey<EndKey, EndHandles>,
    defects: ByKey<(Dialect, Defect), CachedHandle<IntCounter>>,
}

/// What distinguishes ends: exchanges that agree in this feed the same series.
#[derive(Clone, Copy, PartialEq, Eq)]
struct EndKey {
    method: Method,
    endpoint: &'static str,
    status: u16,
    outcome: Outcome,
}

/// The handles of exchanges that end alike.
#[derive(Default)]
pub(super) struct EndHandles {
    pub(super) total: CachedHandle<IntCounter>,
    pub(super) duration: CachedHandle<TracedHistogram>,
    pub(super) request_size: CachedHandle<Histogram>,
    pub(super) response_size: CachedHandle<Histogram>,
    pub(super) usage_missing: CachedHandle<IntCounter>,
}

impl HandleCache {
    /// Calls `action` with the handles of exchanges that end like this one.
    pub(super) fn with_end(&self, record: &Record, action: impl FnOnce(&EndHandles)) {
        let (method, endpoint) = (record.start.method, record.start.route.endpoint);
        let key = EndKey { method, endpoint, status: record.status, outcome: record.outcome };
        self.ends.with(key, action);
    }

    /// True at the first call for the endpoint: an exchange on it has named the model.
    pub(super) fn is_first_naming_on(&self, endpoint: &'static str) -> bool {
        // Loaded first, as a store at each exchange would take the cache line from every other thread.
        self.named.with(endpoint, |flag| !flag.load(Ordering::Relaxed) && !flag.swap(true, Ordering::Relaxed))
    }

    /// Calls `action` with the handle of such defects.
    pub(super) fn with_defect(&self, dialect: Dialect, defect: Defect, action: impl FnOnce(&CachedHandle<IntCounter>)) {
        self.defects.with((dialect, defect), action);
    }

    /// Calls `action` with the handle of requests that begin on this endpoint.
    pub(super) fn with_started<T>(
        &self,
        endpoint: &'static str,
        action: impl FnOnce(&CachedHandle<IntCounter>) -> T,
    ) -> T {
        self.started.with(endpoint, action)
    }
}
