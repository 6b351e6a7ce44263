//! Which models have exchanges in flight, so that a cold start can be told from a wait.
//!
//! Ollama's reported load includes the time in its queue: a long load means a cold model only for an exchange that
//! found no other on that model. Memory is bounded by the exchanges in flight. The lock is taken twice an exchange and
//! never while a stream is running.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A reported load from here on means that the model was not resident, if no other exchange was in flight on it.
const COLD_LOAD: Duration = Duration::from_millis(100);

type Key = (Arc<str>, Box<str>);

/// Exchanges in flight for each backend and model.
#[derive(Debug, Default)]
pub struct Residency {
    in_flight: Mutex<HashMap<Key, usize>>,
}

impl Residency {
    /// An exchange on this model begins; it lasts until the returned value is dropped. A tag of `latest` and no tag
    /// are the same model.
    pub(super) fn enter(self: &Arc<Self>, backend: &Arc<str>, model: &str) -> Stay {
        let model = model.strip_suffix(":latest").unwrap_or(model);
        let key = (Arc::clone(backend), Box::from(model));
        let mut in_flight = self.lock();
        let others = in_flight.entry(key.clone()).or_insert(0);
        let alone = *others == 0;
        *others += 1;
        Stay { residency: Arc::clone(self), key, alone }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange in flight on a model.
#[derive(Debug)]
pub(super) struct Stay {
    residency: Arc<Residency>,
    key: Key,
    /// No other exchange was in flight on the model when this one came.
    alone: bool,
}

impl Stay {
    /// Whether a reported load was that of a cold model.
    pub(super) fn cold(&self, load: Duration) -> bool {
        self.alone && load >= COLD_LOAD
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut in_flight = self.residency.lock();
        if let Some(count) = in_flight.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                in_flight.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(2);

    #[test]
    fn only_the_first_exchange_on_a_model_can_be_cold() {
        let residency = Arc::new(Residency::default());
        let backend: Arc<str> = "a".into();
        let first = residency.enter(&backend, "m:latest");
        let second = residency.enter(&backend, "m");
        let elsewhere = residency.enter(&"b".into(), "m");
        assert!(first.cold(LONG) && elsewhere.cold(LONG));
        assert!(!second.cold(LONG));
        drop((first, second, elsewhere));
        assert!(residency.enter(&backend, "m").cold(LONG));
    }

    #[test]
    fn a_short_load_is_not_cold() {
        let residency = Arc::new(Residency::default());
        let stay = residency.enter(&"a".into(), "m");
        assert!(!stay.cold(Duration::from_micros(99_999)));
        assert!(stay.cold(Duration::from_millis(100)));
    }

    #[test]
    fn nothing_is_kept_of_exchanges_that_ended() {
        let residency = Arc::new(Residency::default());
        drop((residency.enter(&"a".into(), "m"), residency.enter(&"a".into(), "m")));
        assert!(residency.lock().is_empty());
    }
}
