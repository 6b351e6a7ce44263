//! Which models have exchanges in flight and which are not in memory, so that a cold start can be told from a wait.
//!
//! Ollama's reported load includes the time in its queue: a long load means a cold model only for an exchange that
//! found no other on that model. Where the backend was heard to have a model and not to hold it in memory, every
//! exchange that comes before an answer in the model's name is cold whatever it reports (`/v1` routes report no load):
//! those that come together all wait for it. An answer says that it is in memory by now, and is heard sooner than the
//! backend is asked again. Memory is bounded by the exchanges in flight and by what backends list, and so is the harm of
//! names that clients choose to collide in a table. A backend's lock is taken four times an exchange and never while a
//! stream is running.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::truncation::{Evidence, Truncation};

/// A reported load from here on means that the model was not resident, if no other exchange was in flight on it.
const COLD_LOAD: Duration = Duration::from_millis(100);

/// Exchanges in flight for each backend and model, what each backend has and does not hold in memory, and what was learnt
/// of prompts that were cut, which needs the length of the loaded context.
#[derive(Debug, Default)]
pub struct Residency(RwLock<HashMap<Arc<str>, Arc<Backend>>>);

/// What is known of the models of one backend.
#[derive(Debug, Default)]
struct Backend(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    in_flight: HashMap<Arc<str>, usize>,
    absent: HashSet<Arc<str>>,
    /// Length of the context of each model in memory, where it is told.
    contexts: HashMap<Arc<str>, u64>,
    truncation: Truncation,
}

/// A tag of `latest` and no tag are the same model, and Ollama does not tell large letters from small ones.
fn plain(model: &str) -> Arc<str> {
    let mut plain: Arc<str> = without_latest(model).into();
    if let Some(letters) = Arc::get_mut(&mut plain) {
        letters.make_ascii_lowercase();
    }
    plain
}

fn without_latest(model: &str) -> &str {
    model.strip_suffix(":latest").unwrap_or(model)
}

impl Residency {
    /// The backend was heard to have these models and not to hold them in memory. It replaces what was heard before;
    /// nothing is absent where nobody knows.
    pub fn absent<'a>(&self, backend: &Arc<str>, models: impl IntoIterator<Item = &'a str>) {
        let models = models.into_iter().map(plain).collect();
        self.of(backend).lock().absent = models;
    }

    /// The backend was heard to hold these models in memory, with contexts of so many tokens. It replaces what was heard
    /// before.
    pub fn contexts<'a>(&self, backend: &Arc<str>, models: impl IntoIterator<Item = (&'a str, u64)>) {
        let contexts = models.into_iter().map(|(model, length)| (plain(model), length)).collect();
        self.of(backend).lock().contexts = contexts;
    }

    /// An exchange on this model begins; it lasts until the returned value is dropped.
    pub(super) fn enter(&self, backend: &Arc<str>, model: &str) -> Stay {
        let (backend, model) = (self.of(backend), plain(model));
        let mut known = backend.lock();
        let absent = known.absent.contains(&model);
        let others = known.in_flight.entry_ref(&model).or_insert(0);
        let alone = *others == 0;
        *others += 1;
        drop(known);
        Stay { backend, model, alone, absent }
    }

    /// Learns from a completed exchange, and tells whether its prompt was probably cut.
    pub(super) fn suspects(&self, backend: &Arc<str>, model: &str, characters: u64, tokens: u64) -> bool {
        self.of(backend).lock().suspects(&plain(model), characters, tokens)
    }

    fn of(&self, backend: &Arc<str>) -> Arc<Backend> {
        let backends = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = backends.get(backend) {
            return Arc::clone(known);
        }
        drop(backends);
        let mut backends = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(backends.entry_ref(backend).or_default())
    }
}

impl Backend {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn suspects(&mut self, model: &str, characters: u64, tokens: u64) -> bool {
        let context = self.contexts.get(model).copied();
        self.truncation.observe(model, Evidence { characters, tokens, context })
    }
}

/// One exchange in flight on a model.
#[derive(Debug)]
pub(super) struct Stay {
    backend: Arc<Backend>,
    model: Arc<str>,
    /// No other exchange was in flight on the model when this one came.
    alone: bool,
    /// The model was heard not to be in memory.
    absent: bool,
}

impl Stay {
    /// The model answered: whoever comes from now on finds it in memory.
    pub(super) fn answered(&self) {
        let mut known = self.backend.lock();
        if !known.absent.is_empty() {
            known.absent.remove(&self.model);
        }
    }

    /// As [`Residency::suspects`], of the model that it is on. None if the answer was another one's.
    pub(super) fn suspects(&self, model: &str, characters: u64, tokens: u64) -> Option<bool> {
        let same = without_latest(model).eq_ignore_ascii_case(&self.model);
        same.then(|| self.backend.lock().suspects(&self.model, characters, tokens))
    }

    /// Whether a model that answered was cold; `load` is what it reported.
    pub(super) fn cold(&self, load: Option<Duration>) -> bool {
        self.absent || (self.alone && load.is_some_and(|load| load >= COLD_LOAD))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut known = self.backend.lock();
        if let Some(count) = known.in_flight.get_mut(&self.model) {
            *count -= 1;
            if *count == 0 {
                known.in_flight.remove(&self.model);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_held_against_the_context_that_is_loaded() {
        let residency = Residency::default();
        let backend: Arc<str> = "a".into();
        assert!(!residency.suspects(&backend, "m", 15_000, 2_048), "the context is not known");
        residency.contexts(&backend, [("m:latest", 2_048)]);
        assert!(residency.suspects(&backend, "m", 15_000, 2_048));
        assert!(!residency.suspects(&backend, "m", 600, 140));
    }

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
    fn nothing_is_kept_of_exchanges_that_ended() {
        let residency = Arc::new(Residency::default());
        drop((residency.enter(&"a".into(), "m"), residency.enter(&"a".into(), "m")));
        assert!(residency.of(&"a".into()).lock().in_flight.is_empty());
    }

    #[test]
    fn until_a_model_that_is_not_in_memory_answers_all_on_it_are_cold_whatever_they_report() {
        let residency = Arc::new(Residency::default());
        let (here, there): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        residency.absent(&here, ["M:latest", "n"]);
        assert!(!residency.enter(&there, "m").cold(None), "nothing was heard of that backend");
        let together = [residency.enter(&here, "m"), residency.enter(&here, "m")];
        together[1].answered();
        let later = residency.enter(&here, "m");
        assert!(together.iter().all(|stay| stay.cold(None) && stay.cold(Some(Duration::ZERO))), "all waited for it");
        assert!(!later.cold(None) && !later.cold(LONG), "it waited for others, not for the model");
        residency.absent(&here, ["m"]);
        assert!(residency.enter(&here, "m").cold(None), "it was sent away");
        assert!(!residency.enter(&here, "n").cold(None), "it is in memory by now");
    }
}
