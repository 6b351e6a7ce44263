//! What is known of the models of one backend, from polls of the models in memory and from answers between them.
//!
//! A poll is authoritative but old: what an answer said since the poll began holds until the next one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;
use hashbrown::hash_map::{EntryRef, OccupiedEntry};

use crate::exchange::outcome::ColdCause;
use crate::exchange::truncation::{ContextLength, PromptSize, Truncation};
use crate::wire::request::LoadOptions;
use crate::wire::spelling;

/// By how much the backend's clock may be ahead of the local one: a model that is gone without another cause, and would
/// expire within that time, has expired.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// Models of a backend that are remembered while nothing is in flight on them. Further models count as seen for the
/// first time.
pub(super) const MAX_MODELS: usize = 2_000;

/// Prompts of a model that are kept until its context length is known.
const MAX_PENDING_PROMPTS: usize = 16;

/// Why a model was not in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdStart {
    /// The reason.
    pub cause: ColdCause,
    /// The model that took its memory, as the backend names it. `None` for other causes, and where it is unknown.
    pub evicted_by: Option<Arc<str>>,
}

impl From<ColdCause> for ColdStart {
    fn from(cause: ColdCause) -> Self {
        Self { cause, evicted_by: None }
    }
}

/// A model in memory.
#[derive(Clone, Copy, Debug)]
pub struct LoadedModel<'a> {
    /// Its name.
    pub name: &'a str,
    /// The context length with which it was loaded, in tokens. `None` where the backend does not say.
    pub context: Option<u64>,
    /// When it is unloaded unless it is used. `None` where that is never, or unknown.
    pub expires: Option<SystemTime>,
}

/// The key of a model: its name, the same for all spellings.
fn folded_name(model: &str) -> Arc<str> {
    spelling::folded(model).into()
}

/// Whether an exchange makes its backend reload a model that is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReloadNeed {
    /// The model is loaded with these options, as far as is known.
    None,
    /// One of the two leaves an option to the server that the other sets.
    Possible,
    /// The model is loaded with other options.
    Certain,
}

#[derive(Debug, Default)]
pub(super) struct KnownModels {
    /// The backend is polled for the models in memory: one that was never seen there is absent.
    pub(super) is_polled: bool,
    /// The number of polls begun.
    pub(super) polls: u64,
    /// When the last poll ended.
    last: Option<SystemTime>,
    pub(super) models: HashMap<Arc<str>, KnownModel>,
}

/// Whether a model is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// Nothing is known.
    #[default]
    Unseen,
    Resident,
    Absent(ColdStart),
    /// It answers but is not listed: it shares the weights of a listed model, or is listed under another name.
    Hidden,
}

#[derive(Debug, Default)]
pub(super) struct KnownModel {
    pub(super) in_flight: usize,
    /// The number of polls begun when the last exchange on it ended.
    pub(super) used_at: u64,
    /// The backend lists it as running on another host.
    pub(super) remote: bool,
    presence: Presence,
    /// The number of polls begun when an answer last showed its presence.
    answered_at: Option<u64>,
    /// An answer showed that it was loaded, and no poll has found it since.
    loaded_unseen: bool,
    /// As `loaded_unseen`, and the last poll did not list it for no known reason.
    missed: bool,
    /// It was gone at the last poll for no known reason: the next model to be loaded has evicted it.
    unexplained: bool,
    expires: Option<SystemTime>,
    /// The load options of the last exchange that it answered.
    options: Option<LoadOptions>,
    /// The context length with which it is loaded.
    context: Option<u64>,
    /// The context length that it gets where no request asks for one.
    default_context: Option<u64>,
    truncation: Truncation,
    /// Prompts that can be judged only once the context length is known.
    pending: Vec<(LoadOptions, PromptSize)>,
}

impl KnownModels {
    pub(super) fn begin_poll(&mut self) {
        self.polls += 1;
    }

    pub(super) fn end_poll<'a>(
        &mut self,
        loaded: impl Iterator<Item = LoadedModel<'a>>,
        now: SystemTime,
    ) -> Vec<(&'a str, u64)> {
        let loaded = loaded.map(|model| (folded_name(model.name), model));
        let loaded: Vec<(Arc<str>, LoadedModel<'a>)> =
            loaded.filter(|(name, model)| !self.is_unloading(name, model, now)).collect();
        let newcomer = loaded.iter().find(|(name, model)| self.is_newly_loaded(name, model));
        let newcomer = newcomer.map(|(_, model)| model.name.into());
        let poll = FinishedPoll { number: self.polls, now, last: self.last.replace(now), newcomer };
        self.is_polled = true;
        for (name, model) in &mut self.models {
            if model.answered_at != Some(poll.number) && loaded.iter().all(|(found, _)| found != name) {
                model.observe_absent(&poll);
            }
        }
        let mut cut = Vec::new();
        for (name, found) in loaded {
            let Some(model) = self.model(&name) else { continue };
            let suspected = if model.answered_at == Some(poll.number) { 0 } else { model.observe_resident(&found) };
            if suspected > 0 {
                cut.push((found.name, suspected));
            }
        }
        cut
    }

    pub(super) fn set_served<'a>(&mut self, models: impl Iterator<Item = LoadedModel<'a>>) -> Vec<(&'a str, u64)> {
        let mut cut = Vec::new();
        for served in models.filter(|served| served.context.is_some()).take(MAX_MODELS) {
            let model = self.models.entry(folded_name(served.name)).or_default();
            model.context = served.context;
            let suspected = model.judge_pending();
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
        for model in self.models.values_mut().filter(|model| model.presence == Presence::Resident || model.is_hidden())
        {
            model.mark_absent(ColdCause::Restart.into());
            model.answered_at = Some(polls);
        }
    }

    pub(super) fn observe_prompt(&mut self, name: &str, options: LoadOptions, characters: u64, tokens: u64) -> bool {
        let Some(model) = self.model(name) else { return false };
        // The other host does not load it with the options sent to this backend.
        if model.is_remote(name) {
            return false;
        }
        let requested = options.context.map_or(ContextLength::Unknown, ContextLength::Requested);
        let context = model.context.map_or(requested, ContextLength::Reported);
        let prompt = PromptSize { characters, tokens, context };
        let suspected = model.truncation.observe(prompt);
        if !suspected && model.context.is_none() && model.pending.len() < MAX_PENDING_PROMPTS {
            model.pending.push((options, prompt));
        }
        suspected
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

    /// Whether a request has unloaded it although the poll still lists it: its expiry is now, and not later than
    /// before. A reload would postpone it.
    fn is_unloading(&self, name: &Arc<str>, found: &LoadedModel<'_>, now: SystemTime) -> bool {
        let unloaded = |model: &&KnownModel| model.unload_cause().is_some_and(|cold| cold.cause == ColdCause::Unloaded);
        // By the local clock, or by the backend's.
        let ends = |model: &KnownModel, at: SystemTime| at <= now || model.expires.is_some_and(|before| at <= before);
        self.models.get(name).filter(unloaded).zip(found.expires).is_some_and(|(model, at)| ends(model, at))
    }

    /// Whether it was loaded since the last poll.
    fn is_newly_loaded(&self, name: &Arc<str>, found: &LoadedModel<'_>) -> bool {
        match self.models.get(name) {
            None => self.is_polled,
            Some(model) => {
                let reloaded = model.context.is_some() && found.context.is_some() && model.context != found.context;
                model.loaded_unseen || (self.is_polled && (model.presence != Presence::Resident || reloaded))
            }
        }
    }
}

/// One poll of the models in memory.
struct FinishedPoll {
    number: u64,
    now: SystemTime,
    /// When the previous poll ended.
    last: Option<SystemTime>,
    /// A model that was loaded since then.
    newcomer: Option<Arc<str>>,
}

/// Whether Ollama names models of its cloud like this.
pub(super) fn is_cloud_name(folded: &str) -> bool {
    folded.ends_with("-cloud") || folded.ends_with(":cloud")
}

impl KnownModel {
    /// Whether it runs on another host: the backend lists it so, or its name says so. Being in memory outranks both,
    /// and the name means nothing on a server that lists context lengths.
    pub(super) fn is_remote(&self, folded: &str) -> bool {
        match self.presence {
            Presence::Resident => false,
            Presence::Unseen => self.remote || (self.context.is_none() && is_cloud_name(folded)),
            Presence::Absent(_) | Presence::Hidden => self.remote,
        }
    }

    /// Whether polls do not show its presence.
    pub(super) fn is_hidden(&self) -> bool {
        self.presence == Presence::Hidden
    }

    /// Whether nothing is known of its presence.
    pub(super) fn is_unseen(&self) -> bool {
        self.presence == Presence::Unseen
    }

    /// Whether the entry holds nothing worth keeping.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_unseen() && !self.remote && self.context.is_none() && self.pending.is_empty()
    }

    /// Why it is not in memory. `None` where it is, or that is unknown. `polled`: a poll would have found it.
    pub(super) fn absence(&self, polled: bool) -> Option<ColdStart> {
        match &self.presence {
            Presence::Unseen => polled.then_some(ColdCause::First.into()),
            _ => self.unload_cause(),
        }
    }

    /// Why it was unloaded. `None` where it is not known to have been.
    pub(super) fn unload_cause(&self) -> Option<ColdStart> {
        match &self.presence {
            Presence::Absent(cold) => Some(cold.clone()),
            Presence::Unseen | Presence::Resident | Presence::Hidden => None,
        }
    }

    /// Whether an exchange with these options makes the backend reload it.
    pub(super) fn reload_need(&self, options: LoadOptions) -> ReloadNeed {
        if self.options == Some(options) || !matches!(self.presence, Presence::Resident | Presence::Hidden) {
            return ReloadNeed::None;
        }
        let loaded = self.options.unwrap_or_default();
        if !loaded.differ_in_context_alone(options) {
            return ReloadNeed::Possible;
        }
        let wanted = options.context.or(self.default_context);
        match (wanted, self.context.or(loaded.context)) {
            (Some(wanted), Some(loaded)) if wanted == loaded => ReloadNeed::None,
            // A larger one may exceed the model's limit, to which the server reduces it.
            (Some(wanted), Some(loaded)) if wanted < loaded => ReloadNeed::Certain,
            // No request has set an option so far.
            (None, _) if self.options.is_none() => ReloadNeed::None,
            _ => ReloadNeed::Possible,
        }
    }

    /// Notes that it answered an exchange with these options, after `polls` polls were begun. Returns whether the
    /// models in memory have changed, or may have.
    pub(super) fn observe_answer(&mut self, options: LoadOptions, reload: ReloadNeed, polls: u64) -> bool {
        let loaded = self.presence != Presence::Resident && !self.is_hidden();
        if self.unload_cause().is_some() || reload != ReloadNeed::None {
            self.context = None;
        }
        if loaded {
            (self.loaded_unseen, self.presence) = (true, Presence::Resident);
        }
        self.unexplained = false;
        self.answered_at = Some(polls);
        self.used_at = polls;
        self.options = Some(options);
        loaded || reload != ReloadNeed::None
    }

    pub(super) fn mark_unloaded(&mut self, polls: u64) {
        self.mark_absent(ColdCause::Unloaded.into());
        self.answered_at = Some(polls);
    }

    fn mark_absent(&mut self, cold: ColdStart) {
        self.unexplained = cold.cause == ColdCause::Unknown;
        self.presence = Presence::Absent(cold);
        (self.loaded_unseen, self.missed, self.context, self.options) = (false, false, None, None);
        self.pending.clear();
    }

    /// Notes that a poll did not find it.
    fn observe_absent(&mut self, poll: &FinishedPoll) {
        let resident = self.presence == Presence::Resident;
        if !resident && !self.unexplained {
            return;
        }
        // A use since the last poll has postponed the expiry that the poll gave.
        let unused = resident && self.used_at + 1 < poll.number;
        let expires = self.expires.filter(|_| unused);
        // An expiry before the last poll, which still found the model, shows that the backend's clock is behind.
        let expired = expires.is_some_and(|at| at <= poll.now && poll.last.is_none_or(|last| at > last));
        match &poll.newcomer {
            _ if expired => self.mark_absent(ColdCause::Expired.into()),
            Some(newcomer) => {
                self.mark_absent(ColdStart { cause: ColdCause::Evicted, evicted_by: Some(Arc::clone(newcomer)) });
            }
            None if expires.is_some_and(|at| at <= poll.now + MAX_CLOCK_SKEW) => {
                self.mark_absent(ColdCause::Expired.into());
            }
            None => self.mark_missing(),
        }
    }

    /// Notes an absence without a known cause. A model that two polls in a row did not list although an answer had shown
    /// it as loaded before each of them is hidden from polls.
    fn mark_missing(&mut self) {
        let (loaded_unseen, missed) = (self.loaded_unseen, self.missed);
        if missed && self.presence == Presence::Resident {
            (self.presence, self.loaded_unseen, self.unexplained) = (Presence::Hidden, false, false);
        } else if self.presence == Presence::Resident {
            self.mark_absent(ColdCause::Unknown.into());
            self.missed = loaded_unseen;
        } else {
            self.unexplained = false;
        }
    }

    /// Notes that a poll found it. Returns how many of its pending prompts were probably cut.
    fn observe_resident(&mut self, found: &LoadedModel<'_>) -> u64 {
        let reloaded = self.context.is_some() && self.context != found.context;
        if self.presence != Presence::Resident || reloaded {
            // Another client has loaded it, with unknown options.
            self.options = None;
        }
        self.presence = Presence::Resident;
        (self.loaded_unseen, self.missed, self.unexplained) = (false, false, false);
        (self.context, self.expires) = (found.context, found.expires);
        if self.options == Some(LoadOptions::default()) {
            self.default_context = found.context.or(self.default_context);
        }
        self.judge_pending()
    }

    /// Drops the pending prompts. Returns how many were probably cut: 0 where the context length is still unknown.
    fn judge_pending(&mut self) -> u64 {
        let pending = std::mem::take(&mut self.pending);
        let Some(context) = self.context else { return 0 };
        let options = self.options;
        // A prompt sent with other load options was cut to another length.
        let same = pending.into_iter().filter(|(wanted, _)| options.is_none_or(|options| options == *wanted));
        let prompts = same.map(|(_, prompt)| PromptSize { context: ContextLength::Reported(context), ..prompt });
        prompts.filter(|prompt| self.truncation.observe(*prompt)).count() as u64
    }
}
