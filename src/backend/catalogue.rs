//! The model names that a backend has confirmed: the only ones that may become label values; and which spellings a
//! backend takes for one of them.
//!
//! Promises: bounded (a number of names, each of bounded length and without control characters), and cheap to read at
//! the same time from many threads. A name once admitted stays: its series exist anyway. A server that lists its models
//! admits what it lists: many repeat any name that they were asked for (llama.cpp, llamafile, `SGLang`). Ollama does not,
//! and a model that it has just got may answer before it is listed. Left out: what else is known of a model, and who asks
//! the backend.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use super::inventory::Runtime;
use crate::wire::route::Dialect;
use crate::wire::spelling::{self, LATEST};

/// How many models have labels of their own, unless configured otherwise.
pub const DEFAULT_MAX_MODELS: usize = 200;

/// Longest name that becomes a label, in bytes. Ollama's own names (host, namespace, model, tag) stay below it.
pub const MAX_NAME: usize = 256;

/// Names that may become labels.
#[derive(Debug)]
pub struct Catalogue {
    max_models: usize,
    names: RwLock<Names>,
    servers: RwLock<HashMap<Arc<str>, Server>>,
}

/// What is known of one backend's names.
#[derive(Debug, Default)]
struct Server {
    kind: Kind,
    /// As it was recognised last.
    runtime: Runtime,
    /// What it listed last.
    lists: HashSet<Box<str>>,
    /// The same, folded; empty where a name is what it is.
    folded: HashSet<Box<str>>,
    /// A name that is not listed has succeeded.
    relist: Arc<Notify>,
}

/// Whose names they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Nobody knows yet: the backend is about to be asked which server it is.
    Asked,
    /// An Ollama backend, whichever of its routes is spoken.
    Ollama,
    /// Another server: a name is what it is.
    Other,
    /// What the route's dialect means: the backend was not recognised.
    #[default]
    Spoken,
}

/// How a name is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As it stands.
    Exact,
    /// As Ollama reads it: several spellings are one model.
    Folded,
    /// Not known yet.
    Unknown,
}

/// What a success answer's name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// This model.
    Label(Arc<str>),
    /// A model that can have no label of its own: the catalogue is full, or the name is not fit.
    Other,
    /// Not a name of the backend's, or it is not known yet what the backend means by it.
    Unlisted,
}

#[derive(Debug, Default)]
struct Names {
    /// Each admitted name, and `x` as another name of `x:latest` unless it was admitted itself. Hashed fast: backends say what is in it, clients only
    /// look.
    labels: HashMap<Box<str>, Arc<str>>,
    /// The admitted names of Ollama's models, folded.
    folded: HashMap<Box<str>, Arc<str>>,
    admitted: usize,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MODELS)
    }
}

impl Kind {
    fn reading(self, spoken: Dialect, name: &str) -> Reading {
        match self {
            Self::Ollama => Reading::Folded,
            Self::Other => Reading::Exact,
            Self::Spoken if spoken == Dialect::Ollama => Reading::Folded,
            Self::Spoken => Reading::Exact,
            // The listing that is about to come may spell it otherwise.
            Self::Asked if name.bytes().any(|byte| byte.is_ascii_uppercase()) => Reading::Unknown,
            Self::Asked if spoken == Dialect::Ollama => Reading::Folded,
            // A spelling that means the same to every server.
            Self::Asked if spelling::has_tag(name) && *spelling::folded(name) == *name => Reading::Exact,
            Self::Asked => Reading::Unknown,
        }
    }
}

impl Server {
    fn has_listed(&self, name: &str, reading: Reading) -> bool {
        self.lists.contains(name) || (reading == Reading::Folded && self.folded.contains(&*spelling::folded(name)))
    }

    /// The one model that it serves, whatever it is asked for. Others that list a single name may be a gateway that
    /// passes any name on.
    fn only(&self) -> Option<&str> {
        if !matches!(self.runtime, Runtime::LlamaCpp | Runtime::Sglang) {
            return None;
        }
        let mut listed = self.lists.iter();
        listed.next().filter(|_| listed.next().is_none()).map(|name| &**name)
    }
}

impl Catalogue {
    /// An empty catalogue that will admit so many names.
    #[must_use]
    pub fn new(max_models: usize) -> Self {
        Self { max_models, names: RwLock::default(), servers: RwLock::default() }
    }

    /// The backend is about to be asked which server it is.
    pub fn asking(&self, backend: &Arc<str>) {
        self.server(backend, |server| server.kind = Kind::Asked);
    }

    /// The backend was recognised, as nothing if need be.
    pub fn recognised(&self, backend: &Arc<str>, runtime: Runtime) {
        let kind = match runtime {
            Runtime::Ollama => Kind::Ollama,
            Runtime::Unknown => Kind::Spoken,
            _ => Kind::Other,
        };
        self.server(backend, |server| (server.kind, server.runtime) = (kind, runtime));
    }

    /// Which server the backend was recognised as.
    #[must_use]
    pub fn runtime(&self, backend: &str) -> Runtime {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.get(backend).map_or(Runtime::Unknown, |server| server.runtime)
    }

    /// The backend lists these models. Beyond the cap a name has no label of its own.
    pub fn listed<'a>(&self, backend: &Arc<str>, models: impl Iterator<Item = &'a str>) {
        let kind = self.server(backend, |server| server.kind);
        let folds = kind != Kind::Other;
        let (mut lists, mut folded) = (HashSet::new(), HashSet::new());
        for name in models {
            if kind == Kind::Ollama {
                let _full = self.enter(name, true);
            } else {
                self.enter_exact(name, folds);
            }
            lists.insert(name.into());
            if folds {
                folded.insert(spelling::folded(name).into());
            }
        }
        self.server(backend, |server| (server.lists, server.folded) = (lists, folded));
    }

    /// Wakes up whoever lists the backend's models, once a name that is not listed has succeeded.
    pub(super) fn relist(&self, backend: &Arc<str>) -> Arc<Notify> {
        self.server(backend, |server| Arc::clone(&server.relist))
    }

    fn server<T>(&self, backend: &Arc<str>, what: impl FnOnce(&mut Server) -> T) -> T {
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        what(servers.entry_ref(backend).or_default())
    }

    /// The label of the model that this backend means by a name; none where no such model was admitted.
    #[must_use]
    pub fn label(&self, backend: &str, spoken: Dialect, name: &str) -> Option<Arc<str>> {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        let kind = servers.get(backend).map(|server| server.kind).unwrap_or_default();
        drop(servers);
        self.find(name, kind.reading(spoken, name))
    }

    /// A success answer of this backend named a model.
    pub fn answered(&self, backend: &str, spoken: Dialect, name: &str) -> Answered {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = servers.get(backend) else {
            let reading = Kind::default().reading(spoken, name);
            return self.find(name, reading).or_else(|| self.admit_as(name, reading)).into();
        };
        let reading = server.kind.reading(spoken, name);
        if let Some(label) = self.find(name, reading) {
            return Answered::Label(label);
        }
        if name.is_empty() {
            return Answered::Unlisted;
        }
        if server.has_listed(name, reading) {
            return Answered::Other;
        }
        server.relist.notify_one();
        match server.only() {
            _ if reading == Reading::Unknown => Answered::Unlisted,
            _ if server.kind == Kind::Ollama || server.lists.is_empty() => self.admit_as(name, reading).into(),
            Some(only) => self.find(only, Reading::Exact).into(),
            None => Answered::Unlisted,
        }
    }

    /// Takes over a name as it stands. Returns its label; none where it can have none of its own: the catalogue is full,
    /// or the name is empty, longer than [`MAX_NAME`] or holds control characters.
    pub fn admit(&self, name: &str) -> Option<Arc<str>> {
        self.enter(name, false)
    }

    /// The label of a name as it stands, if it was admitted. `x` is `x:latest` where that was.
    #[must_use]
    pub fn admitted(&self, name: &str) -> Option<Arc<str>> {
        self.find(name, Reading::Exact)
    }

    fn find(&self, name: &str, reading: Reading) -> Option<Arc<str>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let label = names.labels.get(name);
        if reading != Reading::Folded {
            return label.cloned();
        }
        // Most are spelled as they are listed, or without `:latest`: nothing is put together for them.
        let same =
            |label: &&Arc<str>| if spelling::has_tag(name) { ***label == *name } else { is_latest_of(label, name) };
        label.filter(same).or_else(|| names.folded.get(&*spelling::folded(name))).cloned()
    }

    fn admit_as(&self, name: &str, reading: Reading) -> Option<Arc<str>> {
        let folds = reading == Reading::Folded;
        self.enter(&if folds { spelling::whole(name) } else { Cow::Borrowed(name) }, folds)
    }

    /// `folds`: other spellings of the name are the same model.
    fn enter(&self, name: &str, folds: bool) -> Option<Arc<str>> {
        if !is_fit(name) {
            return None;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let known = if folds { names.folded.get(&*spelling::folded(name)) } else { names.labels.get(name) };
        if let Some(label) = known {
            return Some(Arc::clone(label));
        }
        let label = names.own(name, self.max_models)?;
        if folds {
            names.folded.insert(spelling::folded(name).into(), Arc::clone(&label));
        }
        Some(label)
    }

    /// Of a server where each name is a model of its own. `folds`: one that may still be asked in Ollama's words, which
    /// then mean the first of those that fold alike.
    fn enter_exact(&self, name: &str, folds: bool) {
        if !is_fit(name) {
            return;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let own = names.own(name, self.max_models);
        if let Some(label) = own.filter(|_| folds) {
            names.folded.entry(spelling::folded(name).into()).or_insert(label);
        }
    }
}

impl Names {
    /// The label that is exactly this name; none where there is no room for it.
    fn own(&mut self, name: &str, most: usize) -> Option<Arc<str>> {
        if let Some(own) = self.labels.get(name).filter(|label| ***label == *name) {
            return Some(Arc::clone(own));
        }
        if self.admitted >= most {
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

impl From<Option<Arc<str>>> for Answered {
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
