//! Which backends are loading which models, as far as exchanges began a load, and how long that took before.
//!
//! Many clients may ask for a cold model at once. The first begins a load; the lock makes sure that the others see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::wire::spelling;

/// How long a load is assumed to take where none was seen.
const UNKNOWN_LOAD: Duration = Duration::from_secs(20);

/// The weight of one more load in the mean.
const SHARE: f64 = 0.3;

/// Most models of which load times are kept.
const MAX_MODELS: usize = 2_000;

/// The loads in progress and the times of earlier ones, shared by all snapshots of a fleet.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads(Arc<Mutex<Known>>);

/// All by the folded name of the model.
#[derive(Debug, Default)]
struct Known {
    loading: HashMap<Box<str>, Vec<ModelLoad>>,
    /// The mean time on each backend that has loaded the model.
    times: HashMap<Box<str>, Vec<(Arc<str>, Duration)>>,
}

#[derive(Debug)]
struct ModelLoad {
    backend: Arc<str>,
    /// When it is expected to end.
    until: Instant,
    /// Exchanges that wait for it.
    waiting: usize,
}

/// The loads, while one choice is made.
pub(super) struct LockedLoads<'a> {
    loads: &'a Loads,
    known: MutexGuard<'a, Known>,
}

/// The loads of one model, and how long they took.
pub(super) struct ModelLoads<'a> {
    loading: &'a [ModelLoad],
    times: &'a [(Arc<str>, Duration)],
}

/// An exchange that began a load or waits for one. On drop it waits no more.
#[derive(Debug)]
pub(super) struct LoadGuard {
    loads: Loads,
    backend: Arc<str>,
    model: Box<str>,
    /// It began the load: what it waited is the whole of it.
    began: bool,
}

impl Loads {
    pub(super) fn lock(&self) -> LockedLoads<'_> {
        LockedLoads { loads: self, known: self.0.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Whether the backend loads a model.
    pub(super) fn is_loading(&self, backend: &str) -> bool {
        self.lock().known.loading.values().flatten().any(|load| *load.backend == *backend)
    }
}

impl LockedLoads<'_> {
    /// Those of one model.
    pub(super) fn of(&self, model: &str) -> ModelLoads<'_> {
        let model = spelling::folded(model);
        ModelLoads {
            loading: self.known.loading.get(&*model).map_or(&[], Vec::as_slice),
            times: self.known.times.get(&*model).map_or(&[], Vec::as_slice),
        }
    }

    /// An exchange waits for the backend to load the model, from now on where it does not do so yet.
    pub(super) fn join(&mut self, backend: &Arc<str>, model: &str, until: Instant) -> LoadGuard {
        let model: Box<str> = spelling::folded(model).into();
        let loads = self.known.loading.entry(model.clone()).or_default();
        let running = loads.iter_mut().find(|load| load.backend == *backend);
        let began = running.is_none();
        match running {
            Some(load) => load.waiting += 1,
            None => loads.push(ModelLoad { backend: backend.clone(), until, waiting: 1 }),
        }
        LoadGuard { loads: self.loads.clone(), backend: backend.clone(), model, began }
    }
}

impl ModelLoads<'_> {
    /// When the backend is expected to have loaded the model; `None` where it does not load it.
    pub(super) fn until(&self, backend: &str) -> Option<Instant> {
        self.loading.iter().find(|load| *load.backend == *backend).map(|load| load.until)
    }

    /// How long the backend takes to load the model: as before, else as the slowest of the others that have loaded it.
    pub(super) fn duration(&self, backend: &str) -> Duration {
        let own = self.times.iter().find(|(name, _)| **name == *backend).map(|(_, mean)| *mean);
        own.or_else(|| self.times.iter().map(|(_, mean)| *mean).max()).unwrap_or(UNKNOWN_LOAD)
    }
}

impl LoadGuard {
    /// The load took this long.
    pub(super) fn learn(&self, took: Duration) {
        let Known { times, .. } = &mut *self.loads.lock().known;
        if !self.began || times.len() >= MAX_MODELS && !times.contains_key(&self.model) {
            return;
        }
        let times = times.entry(self.model.clone()).or_default();
        match times.iter_mut().find(|(name, _)| *name == self.backend) {
            Some((_, mean)) => *mean = mean.mul_f64(1.0 - SHARE) + took.mul_f64(SHARE),
            None => times.push((self.backend.clone(), took)),
        }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        let Known { loading, .. } = &mut *self.loads.lock().known;
        let Some(loads) = loading.get_mut(&self.model) else { return };
        loads.retain_mut(|load| {
            load.waiting -= usize::from(load.backend == self.backend);
            load.waiting > 0
        });
        if loads.is_empty() {
            loading.remove(&self.model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_lasts_as_long_as_an_exchange_waits_for_it() {
        let (loads, now) = (Loads::default(), Instant::now());
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let later = now + Duration::from_secs(5);
        let first = loads.lock().join(&one, "m:latest", now);
        let second = loads.lock().join(&one, "M", later);
        let third = loads.lock().join(&other, "m", later);
        let until = |backend: &str| loads.lock().of("m").until(backend);
        assert_eq!((until("one"), until("other")), (Some(now), Some(later)));
        drop(first);
        assert_eq!(until("one"), Some(now));
        drop(second);
        assert_eq!(until("one"), None);
        drop(third);
        assert!(loads.lock().known.loading.is_empty());
    }

    #[test]
    fn a_load_takes_what_it_took_before_else_what_it_took_elsewhere() {
        let (loads, now, seconds) = (Loads::default(), Instant::now(), Duration::from_secs);
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let takes = |backend: &str, model: &str| loads.lock().of(model).duration(backend);
        assert_eq!(takes("one", "m"), UNKNOWN_LOAD);
        let first = loads.lock().join(&one, "m:latest", now);
        let joined = loads.lock().join(&one, "m", now);
        joined.learn(seconds(1));
        assert_eq!(takes("one", "M"), UNKNOWN_LOAD, "who came later has not waited for all of it");
        first.learn(seconds(4));
        assert_eq!((takes("one", "m"), takes("other", "m"), takes("one", "n")), (seconds(4), seconds(4), UNKNOWN_LOAD));
        let elsewhere = loads.lock().join(&other, "m", now);
        elsewhere.learn(seconds(10));
        first.learn(seconds(14));
        assert_eq!(
            (takes("one", "m"), takes("other", "m"), takes("third", "m")),
            (seconds(7), seconds(10), seconds(10))
        );
    }
}
