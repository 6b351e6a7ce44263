//! The models of one backend, as polls of the models in memory and the answers between them show them.
//!
//! A poll is authoritative but old: what an answer showed since the poll began holds until the next one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashMap;
use hashbrown::hash_map::{EntryRef, OccupiedEntry};

use super::model::{ColdStart, FinishedPoll, KnownModel, LoadedModel};
use crate::exchange::outcome::ColdCause;
use crate::wire::request::LoadOptions;
use crate::wire::spelling;

/// Models of a backend that are remembered while nothing is in flight on them. Further models count as seen for the
/// first time.
pub(super) const MAX_MODELS: usize = 2_000;

/// What a poll found out about earlier exchanges. Models have the names under which the poll listed them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PollFindings<'a> {
    /// The models whose prompts were probably cut before their context length was known, with the number of prompts.
    pub cut: Vec<(&'a str, u64)>,
    /// Cold starts of exchanges that have ended.
    pub cold: Vec<(&'a str, ColdStart)>,
}

/// What a listing says of a model's weights, as hashes; `None` is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights([Option<u64>; 4]);

impl Weights {
    /// From facts that are the same for every model with the same weights: format, family, size and quantization.
    #[must_use]
    pub fn new(facts: [Option<&str>; 4]) -> Self {
        let hash = |fact: &str| {
            let mut hasher = DefaultHasher::new();
            fact.hash(&mut hasher);
            hasher.finish()
        };
        Self(facts.map(|fact| fact.map(hash)))
    }

    /// Whether two models may have the same weights: no known fact differs.
    fn may_equal(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one.zip(*other).is_none_or(|(one, other)| one == other))
    }
}

/// The key of a model: its name, the same for all spellings.
fn folded_name(model: &str) -> Arc<str> {
    spelling::folded(model).into()
}

#[derive(Debug, Default)]
pub(super) struct KnownModels {
    /// The backend is polled for the models in memory: one that was never seen there is absent.
    pub(super) is_polled: bool,
    /// The number of polls begun.
    pub(super) polls: u64,
    /// When the last poll ended, by the backend's clock.
    last: Option<SystemTime>,
    /// The exchanges so far.
    pub(super) entered: u64,
    /// The exchanges in flight.
    pub(super) in_flight: usize,
    pub(super) models: HashMap<Arc<str>, KnownModel>,
    /// Of the listed models.
    weights: HashMap<Box<str>, Weights>,
}

impl KnownModels {
    pub(super) fn begin_poll(&mut self) {
        self.polls += 1;
    }

    pub(super) fn end_poll<'a>(
        &mut self,
        loaded: impl Iterator<Item = LoadedModel<'a>>,
        now: Option<SystemTime>,
    ) -> PollFindings<'a> {
        let loaded = loaded.map(|model| (folded_name(model.name), model));
        let loaded: Vec<(Arc<str>, LoadedModel<'a>)> =
            loaded.filter(|(name, model)| !self.is_unloading(name, model, now)).collect();
        let newcomer = loaded.iter().find(|(name, model)| self.is_newly_loaded(name, model));
        let newcomer = newcomer.map(|(_, model)| model.name.into());
        let poll = FinishedPoll { number: self.polls, now, last: std::mem::replace(&mut self.last, now), newcomer };
        self.is_polled = true;
        for (name, model) in &mut self.models {
            if !model.has_answered_since(poll.number) && loaded.iter().all(|(found, _)| found != name) {
                model.observe_absent(&poll);
            }
        }
        let mut findings = PollFindings::default();
        for (name, found) in loaded {
            let Some(model) = self.model(&name) else { continue };
            let suspected = if model.has_answered_since(poll.number) { 0 } else { model.observe_resident(&found) };
            if suspected > 0 {
                findings.cut.push((found.name, suspected));
            }
            let confirmed = model.observe_listed(poll.number);
            findings.cold.extend(confirmed.into_iter().map(|cold| (found.name, cold)));
        }
        findings
    }

    pub(super) fn set_weights<'a>(&mut self, models: impl Iterator<Item = (&'a str, Weights)>) {
        self.weights =
            models.take(MAX_MODELS).map(|(name, weights)| (spelling::folded(name).into(), weights)).collect();
    }

    /// Whether another model that is in memory may have the same weights as this one, by its folded name.
    pub(super) fn may_share_weights(&self, name: &str) -> bool {
        let own = self.weights.get(name);
        let may_equal = |other: &str| {
            let known = own.zip(self.weights.get(other));
            known.is_none_or(|(own, other)| own.may_equal(other))
        };
        let loaded = self.models.iter().filter(|(_, model)| model.is_resident());
        loaded.map(|(other, _)| &**other).any(|other| other != name && may_equal(other))
    }

    pub(super) fn set_served<'a>(&mut self, models: impl Iterator<Item = LoadedModel<'a>>) -> Vec<(&'a str, u64)> {
        let mut cut = Vec::new();
        for served in models.filter(|served| served.context.is_some()).take(MAX_MODELS) {
            let model = self.models.entry(folded_name(served.name)).or_default();
            let suspected = model.set_context(served.context);
            if suspected > 0 {
                cut.push((served.name, suspected));
            }
        }
        cut
    }

    pub(super) fn set_remote<'a>(&mut self, models: impl Iterator<Item = &'a str>) {
        self.models.retain(|_, model| {
            model.remote = false;
            model.in_flight > 0 || !model.is_forgettable()
        });
        for name in models.take(MAX_MODELS) {
            self.models.entry(folded_name(name)).or_default().remote = true;
        }
    }

    pub(super) fn mark_restarted(&mut self) {
        // As far as is known, a server that cannot be polled has loaded its model when it accepts connections.
        if !self.is_polled {
            return;
        }
        let polls = self.polls;
        for model in self.models.values_mut().filter(|model| model.is_resident() || model.is_hidden()) {
            model.mark_unloaded(ColdCause::Restart, polls);
        }
    }

    pub(super) fn observe_prompt(&mut self, name: &str, options: LoadOptions, characters: u64, tokens: u64) -> bool {
        let Some(model) = self.model(name) else { return false };
        // The other host does not load it with the options sent to this backend.
        if model.is_remote(name) {
            return false;
        }
        model.observe_prompt(options, characters, tokens)
    }

    /// A model by its folded name; `None` where there is no room for another.
    fn model(&mut self, name: &str) -> Option<&mut KnownModel> {
        if self.models.len() < MAX_MODELS { Some(self.entry(name).into_mut()) } else { self.models.get_mut(name) }
    }

    /// The entry of a model by its folded name, inserted if need be. The key is allocated only then.
    pub(super) fn entry(&mut self, name: &str) -> OccupiedEntry<'_, Arc<str>, KnownModel> {
        match self.models.entry_ref(name) {
            EntryRef::Occupied(entry) => entry,
            EntryRef::Vacant(entry) => entry.insert_entry_with_key(name.into(), KnownModel::default()),
        }
    }

    /// Whether a request has unloaded it although the poll still lists it: its time is over. One that another client has
    /// loaded again has some left.
    fn is_unloading(&self, name: &Arc<str>, found: &LoadedModel<'_>, now: Option<SystemTime>) -> bool {
        let unloaded = |model: &KnownModel| model.unload_cause().is_some_and(|cold| cold.cause == ColdCause::Unloaded);
        let is_over = found.expires.zip(now).is_some_and(|(at, now)| at <= now);
        is_over && self.models.get(name).is_some_and(unloaded)
    }

    /// Whether it was loaded since the last poll.
    fn is_newly_loaded(&self, name: &Arc<str>, found: &LoadedModel<'_>) -> bool {
        match self.models.get(name) {
            None => self.is_polled,
            Some(model) => model.is_newly_loaded(found, self.is_polled),
        }
    }
}
