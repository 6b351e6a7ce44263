//! Which backends are loading which models, as far as exchanges began a load.
//!
//! Many clients may ask for a cold model at once. The first begins a load; the lock makes sure that the others see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hashbrown::HashMap;

use crate::wire::spelling;

/// The loads in progress, shared by all snapshots of a fleet.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads(Arc<Mutex<Loading>>);

/// By the folded name of the model.
type Loading = HashMap<Box<str>, Vec<ModelLoad>>;

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
    loading: MutexGuard<'a, Loading>,
}

/// An exchange that began a load or waits for one. On drop it waits no more.
#[derive(Debug)]
pub(super) struct LoadGuard {
    loads: Loads,
    backend: Arc<str>,
    model: Box<str>,
}

impl Loads {
    pub(super) fn lock(&self) -> LockedLoads<'_> {
        LockedLoads { loads: self, loading: self.0.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl LockedLoads<'_> {
    /// When the backend is expected to have loaded the model; `None` where it does not load it.
    pub(super) fn until(&self, backend: &str, model: &str) -> Option<Instant> {
        let loads = self.loading.get(&*spelling::folded(model))?;
        loads.iter().find(|load| *load.backend == *backend).map(|load| load.until)
    }

    /// An exchange waits for the backend to load the model, from now on where it does not do so yet.
    pub(super) fn join(&mut self, backend: &Arc<str>, model: &str, until: Instant) -> LoadGuard {
        let model: Box<str> = spelling::folded(model).into();
        let loads = self.loading.entry(model.clone()).or_default();
        match loads.iter_mut().find(|load| load.backend == *backend) {
            Some(load) => load.waiting += 1,
            None => loads.push(ModelLoad { backend: backend.clone(), until, waiting: 1 }),
        }
        LoadGuard { loads: self.loads.clone(), backend: backend.clone(), model }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        let mut loading = self.loads.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_load_lasts_as_long_as_an_exchange_waits_for_it() {
        let (loads, now) = (Loads::default(), Instant::now());
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let later = now + Duration::from_secs(5);
        let first = loads.lock().join(&one, "m:latest", now);
        let second = loads.lock().join(&one, "M", later);
        let third = loads.lock().join(&other, "m", later);
        let until = |backend: &str| loads.lock().until(backend, "m");
        assert_eq!((until("one"), until("other")), (Some(now), Some(later)));
        drop(first);
        assert_eq!(until("one"), Some(now));
        drop(second);
        assert_eq!(until("one"), None);
        drop(third);
        assert!(loads.0.lock().expect("no panic").is_empty());
    }
}
