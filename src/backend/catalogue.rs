//! The model names that a backend has confirmed, which alone may become label values, and their other spellings.
//!
//! Promises: bounded in number and length, without control characters, and cheap to read from many threads at once. An
//! admitted name stays, as its series exist anyway. Of a server that lists its models only listed names are admitted,
//! since many servers repeat any name they are asked for (llama.cpp, llamafile, `SGLang`). Ollama does not, and one of
//! its new models may answer before it is listed. Left out: what else is known of a model, and querying the backend.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use super::inventory::Runtime;
use crate::wire::route::Dialect;
use crate::wire::spelling::{self, LATEST};

/// Default limit of the models that have a label of their own.
pub const DEFAULT_MAX_MODELS: usize = 200;

/// Longest name that becomes a label, in bytes. Ollama's own names (host, namespace, model, tag) stay below it.
pub const MAX_NAME: usize = 256;

/// Names that may become labels.
#[derive(Debug)]
pub struct Catalogue {
    max_models: usize,
    labels: RwLock<LabelTable>,
    backends: RwLock<HashMap<Arc<str>, BackendNames>>,
}

/// The model names of one backend.
#[derive(Debug, Default)]
struct BackendNames {
    scheme: NamingScheme,
    /// As recognised last.
    runtime: Runtime,
    /// It serves further models that it does not list.
    is_partial: bool,
    /// It has listed its models, if only once.
    has_listed: bool,
    /// The names listed last.
    listed: HashSet<Box<str>>,
    /// The same, folded; empty where names are exact.
    folded: HashSet<Box<str>>,
    /// Notified when an unlisted name succeeds.
    relist: Arc<Notify>,
}

/// How a backend compares model names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NamingScheme {
    /// Not known yet: the backend is about to be recognised.
    Pending,
    /// As Ollama does, on all routes.
    Ollama,
    /// Exactly.
    Exact,
    /// As the route's dialect does: the backend was not recognised.
    #[default]
    ByDialect,
}

/// How a name is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameMatch {
    /// Exactly.
    Exact,
    /// As Ollama does: several spellings are one model.
    Folded,
    /// Not known yet.
    Unknown,
}

/// The model name of a success answer, as a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweredName {
    /// This model.
    Label(Arc<str>),
    /// A model without a label of its own: the catalogue is full, or the name is unfit.
    Other,
    /// Not listed by the backend, or the backend's naming scheme is not known yet.
    Unlisted,
}

#[derive(Debug, Default)]
struct LabelTable {
    /// Each admitted name, and `x` for `x:latest` unless `x` was admitted itself. A fast hash suffices, as backends
    /// choose the names in it and clients only look them up.
    labels: HashMap<Box<str>, Arc<str>>,
    /// The admitted names of Ollama models, folded.
    folded: HashMap<Box<str>, Arc<str>>,
    admitted: usize,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MODELS)
    }
}

impl NamingScheme {
    fn name_match(self, dialect: Dialect, name: &str) -> NameMatch {
        match self {
            Self::Ollama => NameMatch::Folded,
            Self::Exact => NameMatch::Exact,
            Self::ByDialect if dialect == Dialect::Ollama => NameMatch::Folded,
            Self::ByDialect => NameMatch::Exact,
            // The coming listing may spell it otherwise.
            Self::Pending if name.bytes().any(|byte| byte.is_ascii_uppercase()) => NameMatch::Unknown,
            Self::Pending if dialect == Dialect::Ollama => NameMatch::Folded,
            // A spelling that means the same on every server.
            Self::Pending if spelling::has_tag(name) && *spelling::folded(name) == *name => NameMatch::Exact,
            Self::Pending => NameMatch::Unknown,
        }
    }
}

impl BackendNames {
    fn has_listed(&self, name: &str, matching: NameMatch) -> bool {
        self.has_listed_as(name, &spelling::folded(name), matching)
    }

    fn has_listed_as(&self, name: &str, folded: &str, matching: NameMatch) -> bool {
        self.listed.contains(name) || (matching == NameMatch::Folded && self.folded.contains(folded))
    }

    /// The only model of a server that answers any name with it. `None` for other servers: one that lists a single name
    /// may be a gateway that forwards any name.
    fn only_model(&self) -> Option<&str> {
        if self.is_partial || !matches!(self.runtime, Runtime::LlamaCpp | Runtime::Sglang) {
            return None;
        }
        let mut listed = self.listed.iter();
        listed.next().filter(|_| listed.next().is_none()).map(|name| &**name)
    }
}

impl Catalogue {
    /// An empty catalogue that admits at most `max_models` names.
    #[must_use]
    pub fn new(max_models: usize) -> Self {
        Self { max_models, labels: RwLock::default(), backends: RwLock::default() }
    }

    /// The backend is about to be recognised.
    pub fn set_pending(&self, backend: &Arc<str>) {
        self.update(backend, |names| names.scheme = NamingScheme::Pending);
    }

    /// The backend was recognised as this server, or not ([`Runtime::Unknown`]).
    pub fn set_runtime(&self, backend: &Arc<str>, runtime: Runtime) {
        let scheme = match runtime {
            Runtime::Ollama => NamingScheme::Ollama,
            Runtime::Unknown => NamingScheme::ByDialect,
            _ => NamingScheme::Exact,
        };
        self.update(backend, |names| (names.scheme, names.runtime) = (scheme, runtime));
    }

    /// Which server the backend was recognised as.
    #[must_use]
    pub fn runtime(&self, backend: &str) -> Runtime {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        backends.get(backend).map_or(Runtime::Unknown, |names| names.runtime)
    }

    /// The backend lists these models, and no other. Names beyond the limit get no label.
    pub fn set_listed<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = &'a str>) {
        let scheme = self.update(backend, |names| names.scheme);
        let folds = scheme != NamingScheme::Exact;
        let (mut listed, mut folded) = (HashSet::new(), HashSet::new());
        for name in models {
            if scheme == NamingScheme::Ollama {
                let _full = self.insert(name, true);
            } else {
                self.insert_exact(name, folds);
            }
            listed.insert(name.into());
            if folds {
                folded.insert(spelling::folded(name).into());
            }
        }
        self.update(backend, |names| (names.has_listed, names.listed, names.folded) = (true, listed, folded));
    }

    /// Whether backends list a model of this name. No listing comes in between while this is kept, so it is not to be kept.
    #[must_use]
    pub fn holders<'a>(&'a self, dialect: Dialect, name: &'a str) -> Holders<'a> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        Holders { backends, dialect, name, folded: spelling::folded(name) }
    }

    /// Whether the backend serves further models that it does not list: then an unlisted name may be one of them.
    pub fn set_partial(&self, backend: &Arc<str>, is_partial: bool) {
        self.update(backend, |names| names.is_partial = is_partial);
    }

    /// Notified when the backend's models are to be listed again: an unlisted name has succeeded, or lists may have changed.
    pub fn relist_notify(&self, backend: &Arc<str>) -> Arc<Notify> {
        self.update(backend, |names| Arc::clone(&names.relist))
    }

    /// The models of every backend are listed again soon: a name was asked for that none lists.
    pub fn request_listings(&self) {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        backends.values().for_each(|names| names.relist.notify_one());
    }

    /// Forgets a backend. Admitted names stay.
    pub fn forget(&self, backend: &str) {
        self.backends.write().unwrap_or_else(PoisonError::into_inner).remove(backend);
    }

    fn update<T>(&self, backend: &Arc<str>, change: impl FnOnce(&mut BackendNames) -> T) -> T {
        let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        change(backends.entry_ref(backend).or_default())
    }

    /// The label of the model that this backend means by a name; `None` where no such model was admitted.
    #[must_use]
    pub fn label(&self, backend: &str, dialect: Dialect, name: &str) -> Option<Arc<str>> {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        let scheme = backends.get(backend).map(|names| names.scheme).unwrap_or_default();
        drop(backends);
        self.find(name, scheme.name_match(dialect, name))
    }

    /// The label for the model name in a success answer of this backend. Admits the name if it may have one.
    pub fn admit_answered(&self, backend: &str, dialect: Dialect, name: &str) -> AnsweredName {
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        let Some(names) = backends.get(backend) else {
            let matching = NamingScheme::default().name_match(dialect, name);
            return self.find(name, matching).or_else(|| self.admit_as(name, matching)).into();
        };
        let matching = names.scheme.name_match(dialect, name);
        if let Some(label) = self.find(name, matching) {
            return AnsweredName::Label(label);
        }
        if name.is_empty() {
            return AnsweredName::Unlisted;
        }
        if names.has_listed(name, matching) {
            return AnsweredName::Other;
        }
        names.relist.notify_one();
        match names.only_model() {
            _ if matching == NameMatch::Unknown => AnsweredName::Unlisted,
            _ if names.scheme == NamingScheme::Ollama || names.listed.is_empty() => {
                self.admit_as(name, matching).into()
            }
            Some(only) => self.find(only, NameMatch::Exact).into(),
            None => AnsweredName::Unlisted,
        }
    }

    /// Admits a name exactly as it is. Returns its label; `None` where the catalogue is full, or the name is empty,
    /// longer than [`MAX_NAME`] or contains control characters.
    pub fn admit(&self, name: &str) -> Option<Arc<str>> {
        self.insert(name, false)
    }

    /// The label of an admitted name. `x` means `x:latest` where only that was admitted.
    #[must_use]
    pub fn admitted(&self, name: &str) -> Option<Arc<str>> {
        self.find(name, NameMatch::Exact)
    }

    fn find(&self, name: &str, matching: NameMatch) -> Option<Arc<str>> {
        let table = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        let label = table.labels.get(name);
        if matching != NameMatch::Folded {
            return label.cloned();
        }
        // Most names are spelled as listed, or without `:latest`: no folded copy is made for them.
        let same =
            |label: &&Arc<str>| if spelling::has_tag(name) { ***label == *name } else { is_latest_of(label, name) };
        label.filter(same).or_else(|| table.folded.get(&*spelling::folded(name))).cloned()
    }

    fn admit_as(&self, name: &str, matching: NameMatch) -> Option<Arc<str>> {
        let folds = matching == NameMatch::Folded;
        self.insert(&if folds { spelling::whole(name) } else { Cow::Borrowed(name) }, folds)
    }

    /// Inserts a name unless it is known. `folds`: other spellings of the name are the same model.
    fn insert(&self, name: &str, folds: bool) -> Option<Arc<str>> {
        if !is_fit(name) {
            return None;
        }
        let mut table = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        let known = if folds { table.folded.get(&*spelling::folded(name)) } else { table.labels.get(name) };
        if let Some(label) = known {
            return Some(Arc::clone(label));
        }
        let label = table.exact_label(name, self.max_models)?;
        if folds {
            table.folded.insert(spelling::folded(name).into(), Arc::clone(&label));
        }
        Some(label)
    }

    /// Inserts a name of a server where each spelling is another model. `folds`: Ollama's routes may name it too;
    /// there, a name means the first of those that fold alike.
    fn insert_exact(&self, name: &str, folds: bool) {
        if !is_fit(name) {
            return;
        }
        let mut table = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        let label = table.exact_label(name, self.max_models);
        if let Some(label) = label.filter(|_| folds) {
            table.folded.entry(spelling::folded(name).into()).or_insert(label);
        }
    }
}

/// Which backends list a model.
#[derive(Debug)]
pub struct Holders<'a> {
    backends: RwLockReadGuard<'a, HashMap<Arc<str>, BackendNames>>,
    dialect: Dialect,
    name: &'a str,
    /// The name folded, once for all backends.
    folded: Cow<'a, str>,
}

impl Holders<'_> {
    /// Whether this backend does.
    #[must_use]
    pub fn has(&self, backend: &str) -> bool {
        self.backends.get(backend).is_some_and(|names| {
            let matching = names.scheme.name_match(self.dialect, self.name);
            names.has_listed_as(self.name, &self.folded, matching)
        })
    }

    /// Whether this backend may have it although it does not list it, as it has listed nothing yet.
    #[must_use]
    pub fn may_have(&self, backend: &str) -> bool {
        self.backends.get(backend).is_none_or(|names| !names.has_listed)
    }
}

impl LabelTable {
    /// The label that equals this name, inserted if need be; `None` where `max` labels exist.
    fn exact_label(&mut self, name: &str, max: usize) -> Option<Arc<str>> {
        if let Some(known) = self.labels.get(name).filter(|label| ***label == *name) {
            return Some(Arc::clone(known));
        }
        if self.admitted >= max {
            return None;
        }
        self.admitted += 1;
        let label: Arc<str> = name.into();
        if let Some(short) = name.strip_suffix(LATEST) {
            self.labels.entry(short.into()).or_insert_with(|| Arc::clone(&label));
        }
        self.labels.insert(name.into(), Arc::clone(&label));
        Some(label)
    }
}

impl From<Option<Arc<str>>> for AnsweredName {
    fn from(label: Option<Arc<str>>) -> Self {
        label.map_or(Self::Other, Self::Label)
    }
}

fn is_latest_of(label: &str, short: &str) -> bool {
    label.strip_prefix(short).is_some_and(|rest| rest == LATEST)
}

fn is_fit(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
