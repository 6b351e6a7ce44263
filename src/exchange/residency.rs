//! Which models have exchanges in flight, which are in memory and why the others left it: separates cold starts
//! from queueing, and names their cause.
//!
//! What counts, the strongest first:
//!
//! 1. A remote model is never cold.
//! 2. A reported load below `COLD_LOAD` means that the model was in memory, whatever `/api/ps` lists: it may be loaded
//!    under another name of the same weights.
//! 3. A model that `/api/ps` listed at the last poll was in memory, however long a load the answer reports: Ollama's load
//!    includes the time in its queue, and other servers report a constant. Only other load options make it cold.
//! 4. A model that was absent at the last poll is cold for every exchange that begins before the model answers, also
//!    where the answer reports no load (`/v1` routes): all of them wait for the load. Where a model in memory may have
//!    the same weights, that is certain only once a poll lists the model under this name; until then the cold start is
//!    pending, and it is dropped where the poll does not.
//! 5. A model that answers and that polls do not list is never cold: a long load may be the queue.
//! 6. Where polls are impossible, a load of `COLD_LOAD` or more is a cold start, if no other exchange was on the model.
//!
//! An answer shows that the model is in memory, or was unloaded, before the next poll does.
//!
//! The result is a lower bound: a model that is loaded and unloaded between two polls without an answer through the
//! proxy, and a change of options that only the server's default undoes, are not seen.
//!
//! Memory is bounded by the exchanges in flight, by what backends hold and by `MAX_MODELS`, which also limits the
//! harm of colliding names chosen by clients. A backend's lock is taken four times an exchange and never while a
//! response streams.

mod model;
mod models;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;

pub use model::{ColdStart, LoadedModel};
use model::{ReloadNeed, is_cloud_name};
use models::{KnownModels, MAX_MODELS};
pub use models::{PollFindings, Weights};

use super::outcome::ColdCause;
use crate::wire::request::LoadOptions;
use crate::wire::spelling;

/// A shorter reported load means that nothing was loaded. A longer one is a cold start where polls are impossible and
/// no other exchange was in flight on the model.
const COLD_LOAD: Duration = Duration::from_millis(100);

/// The models in the memory of each backend, the exchanges in flight on each model, and what was learned about cut
/// prompts, which depends on the context length of the loaded model.
#[derive(Default)]
pub struct Residency {
    backends: RwLock<HashMap<Arc<str>, Arc<BackendModels>>>,
    request_poll: OnceLock<RequestPoll>,
}

/// Requests a poll of the backend with this name.
type RequestPoll = Box<dyn Fn(&str) + Send + Sync>;

/// The models of one backend.
#[derive(Debug, Default)]
struct BackendModels(Mutex<KnownModels>);

impl std::fmt::Debug for Residency {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Residency").field("backends", &self.backends).finish_non_exhaustive()
    }
}

impl Residency {
    /// Sets the callback that gets a backend's name whenever the models in its memory have probably changed. It must
    /// not block. Only the first call has an effect.
    pub fn on_change(&self, request_poll: impl Fn(&str) + Send + Sync + 'static) {
        let _first = self.request_poll.set(Box::new(request_poll));
    }

    /// The backend is about to be polled for the models in memory.
    pub fn begin_poll(&self, backend: &Arc<str>) {
        self.models(backend).lock().begin_poll();
    }

    /// The poll found these models in memory, and no other. A model with several names comes once for each, first under
    /// the backend's own. `now` is the backend's time, to the second; `None` where it sends none.
    pub fn end_poll<'a>(
        &self,
        backend: &Arc<str>,
        loaded: impl Iterator<Item = LoadedModel<'a>>,
        now: Option<SystemTime>,
    ) -> PollFindings<'a> {
        self.models(backend).lock().end_poll(loaded, now)
    }

    /// The backend lists these models with their context lengths, and cannot be polled for those in memory. Returns as
    /// [`PollFindings::cut`].
    pub fn set_served<'a>(
        &self,
        backend: &Arc<str>,
        models: impl Iterator<Item = LoadedModel<'a>>,
    ) -> Vec<(&'a str, u64)> {
        self.models(backend).lock().set_served(models)
    }

    /// The backend lists these models, and no other, as running on other hosts.
    pub fn set_remote<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = &'a str>) {
        self.models(backend).lock().set_remote(models);
    }

    /// The backend lists these models, and no other, with what it says of their weights.
    pub fn set_weights<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = (&'a str, Weights)>) {
        self.models(backend).lock().set_weights(models);
    }

    /// The backend refused a connection: the server that starts next has no model in memory.
    pub fn connection_refused(&self, backend: &Arc<str>) {
        self.models(backend).lock().mark_restarted();
    }

    /// Whether backends have this model in memory. No backend becomes known while this is kept, so it is not to be kept.
    #[must_use]
    pub fn residents<'a>(&'a self, model: &'a str) -> Residents<'a> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        Residents { backends, model: spelling::folded(model) }
    }

    /// Counts an exchange as in flight on this model until the returned value is dropped.
    pub(super) fn enter(&self, backend: &Arc<str>, model: &str, options: LoadOptions) -> ModelUse {
        let (backend, name) = (self.models(backend), spelling::folded(model));
        let mut known = backend.lock();
        known.entered += 1;
        known.in_flight += 1;
        let (order, polls, polled) = (known.entered, known.polls, known.is_polled);
        let backend_idle = known.in_flight == 1;
        let entry = known.entry(&name);
        let (model, known_model) = (Arc::clone(entry.key()), entry.into_mut());
        let alone = known_model.in_flight == 0;
        known_model.in_flight += 1;
        let remote = known_model.is_remote(&model);
        let (absent, reload) = (known_model.absence(polled).map(Box::new), known_model.reload_need(options));
        let (first, hidden) = (known_model.is_unseen(), known_model.is_hidden());
        let ambiguous = absent.is_some() && known.may_share_weights(&model);
        drop(known);
        ModelUse {
            backend,
            model,
            options,
            order,
            polls,
            alone,
            backend_idle,
            polled,
            remote,
            hidden,
            absent,
            ambiguous,
            reload,
            first,
            answered: false,
            answered_at: polls,
            left: false,
        }
    }

    /// Learns from the prompt of a completed exchange on a model that its request did not name. Returns whether the
    /// prompt was probably cut.
    pub(super) fn observe_prompt(&self, backend: &Arc<str>, model: &str, characters: u64, tokens: u64) -> bool {
        let options = LoadOptions::default();
        self.models(backend).lock().observe_prompt(&spelling::folded(model), options, characters, tokens)
    }

    /// Requests a poll: the models in the backend's memory have probably changed.
    pub(super) fn report_change(&self, backend: &str) {
        if let Some(request_poll) = self.request_poll.get() {
            request_poll(backend);
        }
    }

    fn models(&self, backend: &Arc<str>) -> Arc<BackendModels> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = backends.get(backend) {
            return Arc::clone(known);
        }
        drop(backends);
        let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(backends.entry_ref(backend).or_default())
    }
}

/// Which backends have a model in memory.
#[derive(Debug)]
pub struct Residents<'a> {
    backends: RwLockReadGuard<'a, HashMap<Arc<str>, Arc<BackendModels>>>,
    /// Its name, folded.
    model: Cow<'a, str>,
}

impl Residents<'_> {
    /// Whether this backend has, as far as is known.
    #[must_use]
    pub fn has(&self, backend: &str) -> bool {
        let Some(models) = self.backends.get(backend) else { return false };
        models.lock().models.get(&*self.model).is_some_and(|model| model.is_resident())
    }
}

impl BackendModels {
    fn lock(&self) -> MutexGuard<'_, KnownModels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange in flight on a model.
#[derive(Debug)]
pub(super) struct ModelUse {
    backend: Arc<BackendModels>,
    model: Arc<str>,
    /// The options with which the request wants the model loaded.
    options: LoadOptions,
    /// Its number among the exchanges of the backend.
    order: u64,
    /// The number of polls begun before it.
    polls: u64,
    /// No other exchange was in flight on the model when this one began.
    alone: bool,
    /// No other exchange was in flight on the backend when this one began.
    backend_idle: bool,
    /// The backend is polled for the models in memory.
    polled: bool,
    /// The model runs on another host, as far as was known when this exchange began.
    remote: bool,
    /// Polls do not show whether the model is in memory.
    hidden: bool,
    /// Why the model was not in memory before it answered; `None` where it was, or that is unknown. Boxed, as it is rare.
    absent: Option<Box<ColdStart>>,
    /// A model in memory may have had the same weights.
    ambiguous: bool,
    /// Whether the backend has to reload the model because of the options.
    reload: ReloadNeed,
    /// Nothing was known of the model.
    first: bool,
    answered: bool,
    /// The number of polls begun before it answered; before that, the number begun before the exchange.
    answered_at: u64,
    /// It no longer counts as in flight.
    left: bool,
}

/// What an exchange says at its end of how long the backend keeps the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepAlive {
    /// The request left that to the backend, or to the requests before it.
    Unset,
    /// The request asked for some time after the last answer.
    Some,
    /// The request asked for none.
    Zero,
    /// The backend said that it unloads the model.
    Unloaded,
}

impl ModelUse {
    /// The model answered, so it is in memory from now on. Returns whether that changes what is known. Only the first
    /// call has an effect.
    pub(super) fn mark_answered(&mut self) -> bool {
        if self.remote || std::mem::replace(&mut self.answered, true) {
            return false;
        }
        let mut known = self.backend.lock();
        let polls = known.polls;
        self.answered_at = polls;
        let Some(model) = known.models.get_mut(&self.model) else { return false };
        let may_be_cold = self.absent.is_none() && self.reload != ReloadNeed::Certain;
        let cold = model.unload_cause().filter(|_| may_be_cold);
        if cold.is_none() {
            return model.observe_answer(self.options, self.reload, polls);
        }
        // It was unloaded while this exchange waited.
        self.absent = cold.map(Box::new);
        self.ambiguous = known.may_share_weights(&self.model);
        let Some(model) = known.models.get_mut(&self.model) else { return false };
        model.observe_answer(self.options, self.reload, polls)
    }

    /// Whether the model runs on another host, as far as is known.
    pub(super) fn is_remote(&self) -> bool {
        self.remote
    }

    /// The answer reported a load and no remote host: a listing of the model as remote is out of date. Cloud models by
    /// name stay remote, since the backend forwards their answers unchanged.
    pub(super) fn mark_local(&mut self) {
        if !self.remote || is_cloud_name(&self.model) {
            return;
        }
        self.remote = false;
        if let Some(model) = self.backend.lock().models.get_mut(&self.model) {
            model.remote = false;
        }
    }

    /// Ends the use. Returns whether the backend has unloaded the model with it.
    pub(super) fn leave(mut self, keep_alive: KeepAlive) -> bool {
        self.release(keep_alive)
    }

    /// As [`Residency::observe_prompt`], for the model in use. `None` if another model answered.
    pub(super) fn observe_prompt(&self, model: &str, characters: u64, tokens: u64) -> Option<bool> {
        let same = *spelling::folded(model) == *self.model;
        same.then(|| self.observe_own_prompt(characters, tokens))
    }

    /// The same, where it is known that no other model answered.
    pub(super) fn observe_own_prompt(&self, characters: u64, tokens: u64) -> bool {
        self.backend.lock().observe_prompt(&self.model, self.options, characters, tokens)
    }

    /// Why a model that answered was cold; `None` where it was not, or that is not known yet: then the next poll may
    /// return it ([`PollFindings::cold`]). `load` is the reported duration. Call it once, after the answer.
    pub(super) fn cold_start(&self, load: Option<Duration>) -> Option<ColdStart> {
        if self.remote || self.hidden || load.is_some_and(|load| load < COLD_LOAD) {
            return None;
        }
        let waited = self.alone && load.is_some();
        let because = |cause: ColdCause| Some(cause.into());
        match (&self.absent, self.reload) {
            (Some(absent), _) if self.ambiguous => self.confirmed(absent),
            (Some(absent), _) => Some((**absent).clone()),
            (None, ReloadNeed::Certain) => because(ColdCause::OptionsChanged),
            // A long load may also be the queue behind the load of another model.
            (None, ReloadNeed::Possible) if waited && self.backend_idle => because(ColdCause::OptionsChanged),
            _ if self.polled || !waited => None,
            _ if self.first => because(ColdCause::First),
            _ => because(ColdCause::Unknown),
        }
    }
}

impl ModelUse {
    /// The cold start, if a poll that began after this exchange has listed the model.
    fn confirmed(&self, cold: &ColdStart) -> Option<ColdStart> {
        let mut known = self.backend.lock();
        let model = known.models.get_mut(&self.model)?;
        model.confirm(self.polls, self.answered_at, cold)
    }

    /// The exchange is no longer in flight. Returns whether the backend has unloaded the model with it.
    fn release(&mut self, keep_alive: KeepAlive) -> bool {
        if std::mem::replace(&mut self.left, true) {
            return false;
        }
        let mut known = self.backend.lock();
        known.in_flight -= 1;
        let (polls, polled, crowded) = (known.polls, known.is_polled, known.models.len() > MAX_MODELS);
        let Some(model) = known.models.get_mut(&self.model) else { return false };
        model.in_flight -= 1;
        model.used_at = polls;
        let unloads = match keep_alive {
            KeepAlive::Unloaded => Some(!self.remote),
            // Only servers that report their models in memory are known to unload one on request.
            KeepAlive::Zero => Some(self.answered && polled),
            KeepAlive::Some => Some(false),
            KeepAlive::Unset => None,
        };
        if let Some(unloads) = unloads {
            model.set_unloads(self.order, unloads);
        }
        let unloaded = model.in_flight == 0 && model.unloads_when_idle();
        if unloaded {
            model.mark_unloaded(ColdCause::Unloaded, polls);
        }
        if model.in_flight == 0 && (crowded || model.is_forgettable()) {
            known.models.remove(&self.model);
        }
        unloaded
    }
}

impl Drop for ModelUse {
    fn drop(&mut self) {
        self.release(KeepAlive::Unset);
    }
}
