//! Which models have exchanges in flight, which are in memory and how the others left it, so that a cold start is not
//! taken for a wait, and its cause has a name.
//!
//! What `/api/ps` says outranks what a long load suggests: Ollama's reported load includes the time in its queue, and
//! other servers report a constant. A model that was not in memory at the last look is cold for every exchange that comes
//! before an answer in the model's name, also where that reports no load (`/v1` routes): those that come together all wait
//! for it. A short load outranks `/api/ps`: the model was in memory, under the name of another one with the same weights.
//! An answer says that the model is in memory by now, and is heard sooner than the backend is asked again; one that says
//! that it was sent away is heard too. Only where nobody can look, or looks do not show the model, does a long load mean
//! a cold model, and then only for an exchange that found no other on it. A model that runs elsewhere is never cold.
//!
//! A lower bound all the same: a model that comes and goes between two looks without an answer through us, and a change of
//! options that only the server's default undoes, are not seen.
//!
//! Memory is bounded by the exchanges in flight, by what backends hold and by [`MODELS`], and so is the harm of names that
//! clients choose to collide in a table. A backend's lock is taken four times an exchange and never while a stream is
//! running.

mod model;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;

pub use model::Cold;
use model::{Known, Reload, is_of_a_cloud};

use super::outcome::ColdCause;
use crate::wire::request::LoadOptions;
use crate::wire::spelling;

/// A reported load from here on means that the model was not resident, where nobody can look and no other exchange was in
/// flight on it. Below it nothing was loaded.
const COLD_LOAD: Duration = Duration::from_millis(100);

/// Models of a backend that are remembered while nothing is in flight on them. Of others each is as if met for the first
/// time.
const MODELS: usize = 2_000;

/// What backends were heard to hold in memory, what is in flight on each model, and what was learnt of prompts that were
/// cut, which needs the length of the loaded context.
#[derive(Default)]
pub struct Residency {
    backends: RwLock<HashMap<Arc<str>, Arc<Backend>>>,
    look: OnceLock<Look>,
}

/// Brings on a look at the backend of a name.
type Look = Box<dyn Fn(&str) + Send + Sync>;

/// A model that is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its name.
    pub name: &'a str,
    /// Tokens of context that it was loaded with, where the backend says.
    pub context: Option<u64>,
    /// When it leaves unless it is used.
    pub expires: Option<SystemTime>,
}

/// What is known of the models of one backend.
#[derive(Debug, Default)]
struct Backend(Mutex<Known>);

fn plain(model: &str) -> Arc<str> {
    spelling::folded(model).into()
}

impl std::fmt::Debug for Residency {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Residency").field("backends", &self.backends).finish_non_exhaustive()
    }
}

impl Residency {
    /// Calls this with a backend's name whenever what that holds in memory has probably changed. Only the first call
    /// counts. It must not block.
    pub fn on_change(&self, look: impl Fn(&str) + Send + Sync + 'static) {
        let _first = self.look.set(Box::new(look));
    }

    /// The backend is about to be asked what is in memory.
    pub fn looks(&self, backend: &Arc<str>) {
        self.of(backend).lock().looks();
    }

    /// The backend was asked and holds these models in memory, and no other; a model with several names comes once for
    /// each, first under the backend's own. Returns the models of which prompts were probably cut before their context was known, with how many.
    pub fn looked<'a>(
        &self,
        backend: &Arc<str>,
        held: impl Iterator<Item = Held<'a>>,
        now: SystemTime,
    ) -> Vec<(&'a str, u64)> {
        self.of(backend).lock().looked(held, now)
    }

    /// The backend serves these models with contexts of so many tokens, and does not say what is in memory.
    pub fn serves<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = Held<'a>>) -> Vec<(&'a str, u64)> {
        self.of(backend).lock().serves(models)
    }

    /// The backend lists these models as running elsewhere, and no other.
    pub fn elsewhere<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = &'a str>) {
        self.of(backend).lock().elsewhere(models);
    }

    /// Nothing accepts connections there: a server that comes holds nothing in memory.
    pub fn refuses(&self, backend: &Arc<str>) {
        self.of(backend).lock().restarts();
    }

    /// An exchange on this model begins; it lasts until the returned value is dropped.
    pub(super) fn enter(&self, backend: &Arc<str>, model: &str, options: LoadOptions) -> Stay {
        let (backend, name) = (self.of(backend), spelling::folded(model));
        let mut known = backend.lock();
        let is_watched = known.watched;
        let entry = known.entry(&name);
        let (model, of) = (Arc::clone(entry.key()), entry.into_mut());
        let alone = of.in_flight == 0;
        of.in_flight += 1;
        let (elsewhere, watched) = (of.is_elsewhere(&model), is_watched && !of.is_hidden());
        let (absent, reload, first) = (of.absent(watched), of.reload(options), of.is_unseen());
        drop(known);
        Stay {
            backend,
            model,
            options,
            alone,
            watched,
            elsewhere,
            absent,
            reload,
            first,
            answered: false,
            leaves: false,
        }
    }

    /// Learns from a completed exchange on a model that it did not name, and tells whether its prompt was probably cut.
    pub(super) fn suspects(&self, backend: &Arc<str>, model: &str, characters: u64, tokens: u64) -> bool {
        self.of(backend).lock().suspects(&spelling::folded(model), LoadOptions::default(), characters, tokens)
    }

    /// What the backend holds in memory has probably changed.
    pub(super) fn changed(&self, backend: &str) {
        if let Some(look) = self.look.get() {
            look(backend);
        }
    }

    fn of(&self, backend: &Arc<str>) -> Arc<Backend> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = backends.get(backend) {
            return Arc::clone(known);
        }
        drop(backends);
        let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(backends.entry_ref(backend).or_default())
    }
}

impl Backend {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange in flight on a model.
#[derive(Debug)]
pub(super) struct Stay {
    backend: Arc<Backend>,
    model: Arc<str>,
    /// What it wants the model to be loaded with.
    options: LoadOptions,
    /// No other exchange was in flight on the model when this one came.
    alone: bool,
    /// Somebody looks at what is in memory, and would see the model there.
    watched: bool,
    /// The model runs on another host, as far as was known when this one came.
    elsewhere: bool,
    /// The model was heard not to be in memory, before it answered.
    absent: Option<Cold>,
    /// Whether the model is in memory with other options.
    reload: Reload,
    /// Nothing was heard of the model yet.
    first: bool,
    answered: bool,
    /// The model leaves memory with the end of this exchange.
    leaves: bool,
}

impl Stay {
    /// The model answered: whoever comes from now on finds it in memory. Tells whether that is news. Only the first call
    /// counts.
    pub(super) fn answered(&mut self) -> bool {
        if self.elsewhere || std::mem::replace(&mut self.answered, true) {
            return false;
        }
        let mut known = self.backend.lock();
        let asked = known.asked;
        let Some(model) = known.models.get_mut(&self.model) else { return false };
        if self.absent.is_none() && self.reload != Reload::Surely {
            // It left while this one was waiting.
            self.absent = model.left();
        }
        model.answered(self.options, self.reload, asked)
    }

    /// The answer reported a load, and no other host: a listing that says that the model runs elsewhere is old. The name
    /// of a cloud's model stands, since such an answer is handed on as it is.
    pub(super) fn ran_here(&mut self) {
        if !self.elsewhere || is_of_a_cloud(&self.model) {
            return;
        }
        self.elsewhere = false;
        if let Some(model) = self.backend.lock().models.get_mut(&self.model) {
            model.elsewhere = false;
        }
    }

    /// The model is to leave memory once nothing is in flight on it.
    pub(super) fn leaves(&mut self) {
        self.leaves = true;
    }

    /// The model was sent away.
    pub(super) fn unloaded(&self) {
        if self.elsewhere {
            return;
        }
        let mut known = self.backend.lock();
        let asked = known.asked;
        if let Some(model) = known.models.get_mut(&self.model) {
            model.unloaded(asked);
        }
    }

    /// As [`Residency::suspects`], of the model that it is on. None if the answer was another one's.
    pub(super) fn suspects(&self, model: &str, characters: u64, tokens: u64) -> Option<bool> {
        let same = *spelling::folded(model) == *self.model;
        same.then(|| self.backend.lock().suspects(&self.model, self.options, characters, tokens))
    }

    /// Why a model that answered was cold, if it was; `load` is what it reported.
    pub(super) fn cold(&self, load: Option<Duration>) -> Option<Cold> {
        if self.elsewhere || load.is_some_and(|load| load < COLD_LOAD) {
            return None;
        }
        let waited = self.alone && load.is_some();
        let because = |cause| Some(Cold { cause, by: None });
        match (&self.absent, self.reload) {
            (Some(absent), _) => Some(absent.clone()),
            (None, Reload::Surely) => because(ColdCause::OptionsChanged),
            (None, Reload::Perhaps) if waited => because(ColdCause::OptionsChanged),
            _ if self.watched || !waited => None,
            _ if self.first => because(ColdCause::First),
            _ => because(ColdCause::Unknown),
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut known = self.backend.lock();
        let (asked, crowded) = (known.asked, known.models.len() > MODELS);
        let Some(model) = known.models.get_mut(&self.model) else { return };
        model.in_flight -= 1;
        model.used = asked;
        if model.in_flight == 0 {
            if self.leaves && self.answered {
                model.unloaded(asked);
            }
            if crowded || model.is_forgettable() {
                known.models.remove(&self.model);
            }
        }
    }
}
