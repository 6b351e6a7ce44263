//! One model of a backend: whether it is in memory, why it is not, and how it was loaded.

use std::sync::Arc;
use std::time::SystemTime;

use crate::exchange::outcome::ColdCause;
use crate::exchange::truncation::{ContextLength, PromptSize, Truncation};
use crate::wire::request::LoadOptions;
use crate::wire::spelling;

/// Prompts of a model that are kept until its context length is known.
const MAX_PENDING_PROMPTS: usize = 16;

/// Cold starts of a model that are kept until a poll shows whether it was loaded.
const MAX_PENDING_COLD_STARTS: usize = 16;

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
    /// It was gone at the last poll: if the next finds that a model was loaded, that one may have evicted it.
    unexplained: bool,
    /// The number of polls begun when a poll last listed it, or last did not although it had answered before that poll.
    listed_at: Option<u64>,
    missed_at: Option<u64>,
    /// Cold starts that a poll has yet to confirm, with the number of polls begun before each exchange.
    pending_cold: Vec<(u64, ColdStart)>,
    /// The number of the latest exchange that set the keep-alive time, and whether that time was zero.
    keep_alive: (u64, bool),
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

/// One poll of the models in memory.
pub(super) struct FinishedPoll {
    pub(super) number: u64,
    /// When it ended, by the backend's clock.
    pub(super) now: Option<SystemTime>,
    /// When the previous poll ended, by the backend's clock.
    pub(super) last: Option<SystemTime>,
    /// A model that was loaded since then.
    pub(super) newcomer: Option<Arc<str>>,
}

/// Whether Ollama names models of its cloud like this.
pub(super) fn is_cloud_name(folded: &str) -> bool {
    spelling::cloud_base(folded).is_some()
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

    pub(super) fn is_resident(&self) -> bool {
        self.presence == Presence::Resident
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

    /// Whether an answer has shown its presence or absence since the poll with this number began.
    pub(super) fn has_answered_since(&self, poll: u64) -> bool {
        self.answered_at == Some(poll)
    }

    /// Notes that it was unloaded for this reason, after `polls` polls were begun.
    pub(super) fn mark_unloaded(&mut self, cause: ColdCause, polls: u64) {
        self.mark_absent(cause.into());
        self.answered_at = Some(polls);
    }

    /// Notes the context length that a listing states. Returns how many pending prompts were probably cut.
    pub(super) fn set_context(&mut self, context: Option<u64>) -> u64 {
        self.context = context;
        self.judge_pending()
    }

    /// Returns whether the prompt of a completed exchange was probably cut. One that only the context length can decide
    /// is kept until that is known.
    pub(super) fn observe_prompt(&mut self, options: LoadOptions, characters: u64, tokens: u64) -> bool {
        let requested = options.context.map_or(ContextLength::Unknown, ContextLength::Requested);
        let context = self.context.map_or(requested, ContextLength::Reported);
        let prompt = PromptSize { characters, tokens, context };
        let suspected = self.truncation.observe(prompt);
        if !suspected && self.context.is_none() && self.pending.len() < MAX_PENDING_PROMPTS {
            self.pending.push((options, prompt));
        }
        suspected
    }

    /// Whether it was loaded since the last poll. `polled` says whether there was one.
    pub(super) fn is_newly_loaded(&self, found: &LoadedModel<'_>, polled: bool) -> bool {
        let reloaded = self.context.is_some() && found.context.is_some() && self.context != found.context;
        self.loaded_unseen || (polled && (!self.is_resident() || reloaded))
    }

    /// Notes whether the exchange with this number makes the backend unload the model once idle. The latest exchange
    /// decides, in whatever order they end.
    pub(super) fn set_unloads(&mut self, order: u64, unloads: bool) {
        self.keep_alive = self.keep_alive.max((order, unloads));
    }

    pub(super) fn unloads_when_idle(&self) -> bool {
        self.keep_alive.1
    }

    /// Returns the cold start of an exchange that began after `entered` polls if a later one has listed the model. Keeps
    /// it where none has and none has missed the model since it answered, after `answered` polls.
    pub(super) fn confirm(&mut self, entered: u64, answered: u64, cold: &ColdStart) -> Option<ColdStart> {
        if self.listed_at.is_some_and(|listed| listed > entered) {
            return Some(cold.clone());
        }
        let is_refuted = self.missed_at.is_some_and(|missed| missed > answered);
        if !is_refuted && self.pending_cold.len() < MAX_PENDING_COLD_STARTS {
            self.pending_cold.push((entered, cold.clone()));
        }
        None
    }

    /// Notes that the poll with this number listed it. Returns the cold starts that this confirms.
    pub(super) fn observe_listed(&mut self, number: u64) -> Vec<ColdStart> {
        self.listed_at = Some(number);
        let (confirmed, pending) = std::mem::take(&mut self.pending_cold).into_iter().partition(|(at, _)| *at < number);
        self.pending_cold = pending;
        let confirmed: Vec<(u64, ColdStart)> = confirmed;
        confirmed.into_iter().map(|(_, cold)| cold).collect()
    }

    fn mark_absent(&mut self, cold: ColdStart) {
        self.unexplained = matches!(cold.cause, ColdCause::Unknown | ColdCause::Expired);
        self.keep_alive.1 = false;
        self.presence = Presence::Absent(cold);
        (self.loaded_unseen, self.missed, self.context, self.options) = (false, false, None, None);
        self.pending.clear();
    }

    /// Notes that a poll did not find it.
    pub(super) fn observe_absent(&mut self, poll: &FinishedPoll) {
        self.missed_at = Some(poll.number);
        self.pending_cold.clear();
        let resident = self.presence == Presence::Resident;
        if !resident && !self.unexplained {
            return;
        }
        // A use since the last poll has postponed the expiry that the poll gave.
        let unused = resident && self.used_at + 1 < poll.number;
        let between = |at: SystemTime| poll.now.is_some_and(|now| at <= now) && poll.last.is_none_or(|last| at > last);
        let expired = self.unload_cause().is_some_and(|cold| cold.cause == ColdCause::Expired)
            || self.expires.is_some_and(|at| unused && between(at));
        match &poll.newcomer {
            // Either its time was over first, or the other one came first.
            Some(_) if expired => {
                self.mark_absent(ColdCause::Unknown.into());
                self.unexplained = false;
            }
            Some(newcomer) => {
                self.mark_absent(ColdStart { cause: ColdCause::Evicted, evicted_by: Some(Arc::clone(newcomer)) });
            }
            None if expired && resident => self.mark_absent(ColdCause::Expired.into()),
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
    pub(super) fn observe_resident(&mut self, found: &LoadedModel<'_>) -> u64 {
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
