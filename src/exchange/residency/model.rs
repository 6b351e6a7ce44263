//! What is known of the models of one backend: from looks at what is in memory, and from answers between them.
//!
//! A look is authoritative but old: what an answer said since the look was begun stands until the next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;
use hashbrown::hash_map::{EntryRef, OccupiedEntry};

use super::{Held, MODELS, plain};
use crate::exchange::outcome::ColdCause;
use crate::exchange::truncation::{Context, Evidence, Truncation};
use crate::wire::request::LoadOptions;

/// So far the backend's clock may be ahead of ours: what would leave by then, and is gone for no other reason, has expired.
const CLOCKS_APART: Duration = Duration::from_secs(30);

/// Prompts of a model that wait until its context is known.
const WAITING: usize = 16;

/// Why a model was not in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cold {
    /// In a word.
    pub cause: ColdCause,
    /// The model that came in its place, as the backend names it.
    pub by: Option<Arc<str>>,
}

/// Whether an exchange makes its backend load a model that is in memory once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// It is loaded as this exchange wants it, as far as is known.
    No,
    /// It may be: one of the two leaves to the server what the other asks for.
    Perhaps,
    /// It is loaded otherwise.
    Surely,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Somebody looks at what is in memory: a model that was not seen there is not.
    pub(super) watched: bool,
    /// Looks that were begun.
    pub(super) asked: u64,
    /// When the last look came back.
    last: Option<SystemTime>,
    pub(super) models: HashMap<Arc<str>, Model>,
}

/// Where a model is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Memory {
    /// Nothing was heard of it.
    #[default]
    Unseen,
    Resident,
    Absent(Cold),
    /// It answers and is not listed: it shares the weights of a model that is, or the backend calls it otherwise there.
    Hidden,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) in_flight: usize,
    /// The look that had been begun when the last exchange on it ended.
    pub(super) used: u64,
    /// The backend lists it as running on another host.
    pub(super) elsewhere: bool,
    memory: Memory,
    /// The look that had been begun when an answer last said where it is.
    heard: Option<u64>,
    /// An answer brought it into memory, and no look has seen it there.
    came: bool,
    /// The same, and the last look did not list it; nothing explained that.
    missed: bool,
    /// It was gone at the last look, and nothing explained it: what comes next has taken its place.
    puzzling: bool,
    expires: Option<SystemTime>,
    /// What the last exchange that it answered wanted it to be loaded with.
    options: Option<LoadOptions>,
    /// Length of the context that it is loaded with.
    context: Option<u64>,
    /// Length of the context that it gets if nobody asks for one.
    usual_context: Option<u64>,
    truncation: Truncation,
    /// Prompts that can be judged only once the context is known.
    waiting: Vec<(LoadOptions, Evidence)>,
}

impl Known {
    pub(super) fn looks(&mut self) {
        self.asked += 1;
    }

    pub(super) fn looked<'a>(&mut self, held: impl Iterator<Item = Held<'a>>, now: SystemTime) -> Vec<(&'a str, u64)> {
        let held = held.map(|held| (plain(held.name), held));
        let held: Vec<(Arc<str>, Held<'a>)> = held.filter(|(name, held)| !self.is_leaving(name, held, now)).collect();
        let newcomer = held.iter().find(|(name, held)| self.is_news(name, held)).map(|(_, held)| held.name.into());
        let look = Look { number: self.asked, now, last: self.last.replace(now), newcomer };
        self.watched = true;
        for (name, model) in &mut self.models {
            if model.heard != Some(look.number) && held.iter().all(|(held, _)| held != name) {
                model.is_gone(&look);
            }
        }
        let mut cut = Vec::new();
        for (name, held) in held {
            let Some(model) = self.model(&name) else { continue };
            let suspected = if model.heard == Some(look.number) { 0 } else { model.is_held(&held) };
            if suspected > 0 {
                cut.push((held.name, suspected));
            }
        }
        cut
    }

    pub(super) fn serves<'a>(&mut self, models: impl Iterator<Item = Held<'a>>) -> Vec<(&'a str, u64)> {
        let mut cut = Vec::new();
        for held in models.filter(|held| held.context.is_some()).take(MODELS) {
            let model = self.models.entry(plain(held.name)).or_default();
            model.context = held.context;
            let suspected = model.judge();
            if suspected > 0 {
                cut.push((held.name, suspected));
            }
        }
        cut
    }

    pub(super) fn elsewhere<'a>(&mut self, models: impl Iterator<Item = &'a str>) {
        self.models.retain(|_, model| {
            model.elsewhere = false;
            model.in_flight > 0 || !model.is_forgettable()
        });
        for name in models.take(MODELS) {
            self.models.entry(plain(name)).or_default().elsewhere = true;
        }
    }

    pub(super) fn restarts(&mut self) {
        // What cannot be looked at has its model ready when it accepts connections, as far as is known.
        if !self.watched {
            return;
        }
        let asked = self.asked;
        for model in self.models.values_mut().filter(|model| model.memory == Memory::Resident || model.is_hidden()) {
            model.leaves(ColdCause::Restart, None);
            model.heard = Some(asked);
        }
    }

    pub(super) fn suspects(&mut self, name: &str, options: LoadOptions, characters: u64, tokens: u64) -> bool {
        let Some(model) = self.model(name) else { return false };
        // What is asked of this backend is not what the other host loads it with.
        if model.is_elsewhere(name) {
            return false;
        }
        let asked = options.context.map_or(Context::Unknown, Context::Asked);
        let context = model.context.map_or(asked, Context::Told);
        let evidence = Evidence { characters, tokens, context };
        let suspected = model.truncation.observe(evidence);
        if !suspected && model.context.is_none() && model.waiting.len() < WAITING {
            model.waiting.push((options, evidence));
        }
        suspected
    }

    /// A model, as long as there is room for it.
    fn model(&mut self, name: &str) -> Option<&mut Model> {
        if self.models.len() < MODELS { Some(self.entry(name).into_mut()) } else { self.models.get_mut(name) }
    }

    /// The place of a model by its folded name. It has a key of its own only the first time.
    pub(super) fn entry(&mut self, name: &str) -> OccupiedEntry<'_, Arc<str>, Model> {
        match self.models.entry_ref(name) {
            EntryRef::Occupied(entry) => entry,
            EntryRef::Vacant(entry) => entry.insert_entry_with_key(name.into(), Model::default()),
        }
    }

    /// Whether it was sent away and is still listed: as expiring at once, no later than it would have if it had not been
    /// sent away. Whoever loads it again puts that off.
    fn is_leaving(&self, name: &Arc<str>, held: &Held<'_>, now: SystemTime) -> bool {
        let sent_away = |model: &&Model| model.left().is_some_and(|cold| cold.cause == ColdCause::Unloaded);
        // By our clock, or by its own.
        let ends = |model: &Model, at: SystemTime| at <= now || model.expires.is_some_and(|before| at <= before);
        self.models.get(name).filter(sent_away).zip(held.expires).is_some_and(|(model, at)| ends(model, at))
    }

    /// Whether it has come into memory since the last look.
    fn is_news(&self, name: &Arc<str>, held: &Held<'_>) -> bool {
        match self.models.get(name) {
            None => self.watched,
            Some(model) => {
                let reloaded = model.context.is_some() && held.context.is_some() && model.context != held.context;
                model.came || (self.watched && (model.memory != Memory::Resident || reloaded))
            }
        }
    }
}

/// One look at what is in memory.
struct Look {
    number: u64,
    now: SystemTime,
    /// When the one before came back.
    last: Option<SystemTime>,
    /// A model that came into memory since the last.
    newcomer: Option<Arc<str>>,
}

/// Ollama's names for models of its cloud.
pub(super) fn is_of_a_cloud(plain: &str) -> bool {
    plain.ends_with("-cloud") || plain.ends_with(":cloud")
}

impl Model {
    /// It runs on another host: the backend lists it so, or its name says so. To be in memory outranks both, and a name
    /// says nothing of a server that lists its models with their contexts.
    pub(super) fn is_elsewhere(&self, plain: &str) -> bool {
        match self.memory {
            Memory::Resident => false,
            Memory::Unseen => self.elsewhere || (self.context.is_none() && is_of_a_cloud(plain)),
            Memory::Absent(_) | Memory::Hidden => self.elsewhere,
        }
    }

    /// Looks do not show where it is.
    pub(super) fn is_hidden(&self) -> bool {
        self.memory == Memory::Hidden
    }

    /// Nothing was heard of it.
    pub(super) fn is_unseen(&self) -> bool {
        self.memory == Memory::Unseen
    }

    /// Nothing of it is worth remembering.
    pub(super) fn is_forgettable(&self) -> bool {
        self.is_unseen() && !self.elsewhere && self.context.is_none() && self.waiting.is_empty()
    }

    /// Why it is not in memory, if that is known.
    pub(super) fn absent(&self, watched: bool) -> Option<Cold> {
        match &self.memory {
            Memory::Unseen => watched.then_some(Cold { cause: ColdCause::First, by: None }),
            _ => self.left(),
        }
    }

    /// Why it left, if it is known to have left.
    pub(super) fn left(&self) -> Option<Cold> {
        match &self.memory {
            Memory::Absent(cold) => Some(cold.clone()),
            Memory::Unseen | Memory::Resident | Memory::Hidden => None,
        }
    }

    /// Whether an exchange with these options makes it be loaded again, once it is in memory.
    pub(super) fn reload(&self, options: LoadOptions) -> Reload {
        if self.options == Some(options) || self.memory != Memory::Resident {
            return Reload::No;
        }
        let loaded = self.options.unwrap_or_default();
        if !loaded.differ_in_context_alone(options) {
            return Reload::Perhaps;
        }
        let wanted = options.context.or(self.usual_context);
        match (wanted, self.context.or(loaded.context)) {
            (Some(wanted), Some(loaded)) if wanted == loaded => Reload::No,
            // A server gives no more than the model was made for.
            (Some(wanted), Some(loaded)) if wanted < loaded => Reload::Surely,
            // Nobody asked for anything so far.
            (None, _) if self.options.is_none() => Reload::No,
            _ => Reload::Perhaps,
        }
    }

    /// It answered an exchange with these options. Tells whether what is in memory has changed, or may have.
    pub(super) fn answered(&mut self, options: LoadOptions, reload: Reload, look: u64) -> bool {
        let comes = self.memory != Memory::Resident && !self.is_hidden();
        if self.left().is_some() || reload != Reload::No {
            self.context = None;
        }
        if comes {
            (self.came, self.memory) = (true, Memory::Resident);
        }
        self.puzzling = false;
        self.heard = Some(look);
        self.used = look;
        self.options = Some(options);
        comes || reload != Reload::No
    }

    pub(super) fn unloaded(&mut self, asked: u64) {
        self.leaves(ColdCause::Unloaded, None);
        self.heard = Some(asked);
    }

    fn leaves(&mut self, cause: ColdCause, by: Option<Arc<str>>) {
        self.puzzling = cause == ColdCause::Unknown;
        self.memory = Memory::Absent(Cold { cause, by });
        (self.came, self.missed, self.context, self.options) = (false, false, None, None);
        self.waiting.clear();
    }

    /// A look did not find it.
    fn is_gone(&mut self, look: &Look) {
        let resident = self.memory == Memory::Resident;
        if !resident && !self.puzzling {
            return;
        }
        // What was used since the last look expires later than that said.
        let unused = resident && self.used + 1 < look.number;
        let expires = self.expires.filter(|_| unused);
        // What was due before the last look, and was still there, shows a clock that is behind ours.
        let expired = expires.is_some_and(|at| at <= look.now && look.last.is_none_or(|last| at > last));
        match &look.newcomer {
            _ if expired => self.leaves(ColdCause::Expired, None),
            Some(newcomer) => self.leaves(ColdCause::Evicted, Some(Arc::clone(newcomer))),
            None if expires.is_some_and(|at| at <= look.now + CLOCKS_APART) => self.leaves(ColdCause::Expired, None),
            None => self.is_missing(),
        }
    }

    /// A look did not find it, and nothing explains that: if an answer had brought it into memory before, and the look
    /// before did not find it either, it is one that looks do not find.
    fn is_missing(&mut self) {
        let (came, missed) = (self.came, self.missed);
        if missed {
            (self.memory, self.came, self.puzzling) = (Memory::Hidden, false, false);
        } else if self.memory == Memory::Resident {
            self.leaves(ColdCause::Unknown, None);
            self.missed = came;
        } else {
            self.puzzling = false;
        }
    }

    /// A look found it. Tells how many of the prompts that waited for its context were probably cut.
    fn is_held(&mut self, held: &Held<'_>) -> u64 {
        let reloaded = self.context.is_some() && self.context != held.context;
        if self.memory != Memory::Resident || reloaded {
            // It was loaded by somebody else, nobody knows how.
            self.options = None;
        }
        self.memory = Memory::Resident;
        (self.came, self.missed, self.puzzling) = (false, false, false);
        (self.context, self.expires) = (held.context, held.expires);
        if self.options == Some(LoadOptions::default()) {
            self.usual_context = held.context.or(self.usual_context);
        }
        self.judge()
    }

    /// Judges the prompts that waited, if the context is known by now.
    fn judge(&mut self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(context) = self.context else { return 0 };
        let options = self.options;
        // A prompt of an exchange that wanted it loaded otherwise was cut to another length.
        let same = waiting.into_iter().filter(|(wanted, _)| options.is_none_or(|options| options == *wanted));
        let evidence = same.map(|(_, evidence)| Evidence { context: Context::Told(context), ..evidence });
        evidence.filter(|evidence| self.truncation.observe(*evidence)).count() as u64
    }
}
