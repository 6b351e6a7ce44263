//! Which models have exchanges in flight and which are in memory, so that a cold start can be told from a wait.
//!
//! Ollama's reported load includes the time in its queue: a long load means a cold model only for an exchange that
//! found no other on that model. Where the backend lists what is in its memory (`/api/ps`), a model that was not there
//! is cold whatever its load; one that an exchange has used since then is taken to be there. What is learnt of prompts
//! that were cut lives here too, because it needs the length of the loaded context. Memory is bounded by the models
//! that a backend lists and by the exchanges in flight. Locks are taken a few times an exchange and never while a
//! stream is running.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::truncation::{Evidence, Truncation};

/// A reported load from here on means that the model was not resident, if no other exchange was in flight on it.
const COLD_LOAD: Duration = Duration::from_millis(100);

type Key = (Arc<str>, Box<str>);

/// Models in memory, with the length of their context where it is told.
type Models = HashMap<Box<str>, Option<u64>>;

/// What is known of the models of each backend.
#[derive(Debug, Default)]
pub struct Residency {
    in_flight: Mutex<HashMap<Key, usize>>,
    /// Backends that list what is in their memory.
    resident: Mutex<HashMap<Arc<str>, Models>>,
    truncation: Mutex<HashMap<Arc<str>, Truncation>>,
}

impl Residency {
    /// A backend listed these models, and no others, as being in its memory.
    pub fn listed<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = (&'a str, Option<u64>)>) {
        let models = models.map(|(model, context)| (Box::from(untagged(model)), context)).collect();
        lock(&self.resident).insert(Arc::clone(backend), models);
    }

    /// An exchange on this model begins; it lasts until the returned value is dropped. A tag of `latest` and no tag
    /// are the same model.
    pub(super) fn enter(self: &Arc<Self>, backend: &Arc<str>, model: &str) -> Stay {
        let key: Key = (Arc::clone(backend), Box::from(untagged(model)));
        let resident = lock(&self.resident).get(backend).map(|models| models.contains_key(&key.1));
        let mut in_flight = self.lock();
        let others = in_flight.entry(key.clone()).or_insert(0);
        let alone = *others == 0;
        *others += 1;
        Stay { residency: Arc::clone(self), key, alone, resident }
    }

    /// Learns from a completed exchange, and tells whether its prompt was probably cut.
    pub(super) fn suspects(&self, backend: &Arc<str>, model: &str, characters: u64, tokens: u64) -> bool {
        let model = untagged(model);
        let context = lock(&self.resident).get(backend).and_then(|models| models.get(model).copied().flatten());
        let mut truncation = lock(&self.truncation);
        truncation.entry(Arc::clone(backend)).or_default().observe(model, Evidence { characters, tokens, context })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        lock(&self.in_flight)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn untagged(model: &str) -> &str {
    model.strip_suffix(":latest").unwrap_or(model)
}

/// One exchange in flight on a model.
#[derive(Debug)]
pub(super) struct Stay {
    residency: Arc<Residency>,
    key: Key,
    /// No other exchange was in flight on the model when this one came.
    alone: bool,
    /// The model was in memory when this one came. None where the backend does not list that.
    resident: Option<bool>,
}

impl Stay {
    /// Whether the model was cold, given the reported load.
    pub(super) fn cold(&self, load: Option<Duration>) -> bool {
        self.resident == Some(false) || (self.alone && load.is_some_and(|load| load >= COLD_LOAD))
    }

    /// The model has answered: until the next listing it is taken to be in memory.
    pub(super) fn answered(&self) {
        let (backend, model) = &self.key;
        if let Some(models) = lock(&self.residency.resident).get_mut(backend) {
            models.entry(model.clone()).or_insert(None);
        }
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

    const LONG: Option<Duration> = Some(Duration::from_secs(2));

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
        assert!(!stay.cold(Some(Duration::from_micros(99_999))));
        assert!(stay.cold(Some(Duration::from_millis(100))));
    }

    #[test]
    fn a_model_that_was_not_listed_is_cold_until_it_has_answered() {
        let residency = Arc::new(Residency::default());
        let backend: Arc<str> = "a".into();
        let quick = Some(Duration::from_millis(3));
        assert!(!residency.enter(&backend, "m").cold(quick), "nothing was listed");
        residency.listed(&backend, [("other:1", None)].into_iter());
        let first = residency.enter(&backend, "m");
        let beside = residency.enter(&backend, "m");
        assert!(first.cold(quick) && beside.cold(None), "both waited for the load");
        first.answered();
        assert!(!residency.enter(&backend, "m:latest").cold(quick), "it is in memory by now");
        residency.listed(&backend, [("m:latest", Some(4096))].into_iter());
        assert!(!residency.enter(&backend, "m").cold(quick));
    }

    #[test]
    fn a_prompt_is_held_against_the_context_that_is_loaded() {
        let residency = Residency::default();
        let backend: Arc<str> = "a".into();
        assert!(!residency.suspects(&backend, "m", 15_000, 2_048), "the context is not known");
        residency.listed(&backend, [("m:latest", Some(2_048))].into_iter());
        assert!(residency.suspects(&backend, "m", 15_000, 2_048));
        assert!(!residency.suspects(&backend, "m", 600, 140));
    }

    #[test]
    fn nothing_is_kept_of_exchanges_that_ended() {
        let residency = Arc::new(Residency::default());
        drop((residency.enter(&"a".into(), "m"), residency.enter(&"a".into(), "m")));
        assert!(residency.lock().is_empty());
    }
}
