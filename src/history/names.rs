//! Names as small numbers: of backends, models, endpoints and whatever else repeats in every row.
//!
//! A look-up takes no lock, and allocates nothing, for a name that the thread has seen lately: names are shared texts, so
//! their address identifies them. Bounded by what may become a name: the callers pass configured names, templates and
//! models that a backend has confirmed, never what a client made up.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;
use thread_local::ThreadLocal;

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameKind {
    /// A configured backend.
    Backend,
    /// A model that a backend has confirmed.
    Model,
    /// A tenant.
    Tenant,
    /// The product of a client: the first token of its User-Agent.
    Client,
    /// The template of an endpoint.
    Endpoint,
}

impl NameKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Backend, Self::Model, Self::Tenant, Self::Client, Self::Endpoint];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Model => "model",
            Self::Tenant => "tenant",
            Self::Client => "client",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The number of a name within this process, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

impl NameId {
    /// No name: unknown, or there is none.
    pub const NONE: Self = Self(0);

    /// Whether there is a name.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// The index in a list with one entry for each number, [`NameId::NONE`] first.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Most names in all. Models have a limit of their own, below it.
const MAX_NAMES: usize = 20_000;

/// Entries of a thread's cache, a power of two: more names than most machines have in use.
const SLOTS: usize = 128;

/// All names of this process.
#[derive(Debug, Default)]
pub struct Names {
    table: RwLock<Table>,
    caches: ThreadLocal<RefCell<Vec<Option<Slot>>>>,
}

#[derive(Debug, Default)]
struct Table {
    ids: HashMap<(NameKind, Arc<str>), NameId>,
    names: Vec<(NameKind, Arc<str>)>,
}

/// A name that was looked up. Kept, so that no other name gets its address.
#[derive(Debug)]
struct Slot {
    kind: NameKind,
    name: SharedName,
    id: NameId,
}

#[derive(Clone, Debug)]
enum SharedName {
    Static(&'static str),
    Shared(Arc<str>),
}

impl SharedName {
    fn text(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Names {
    /// The number of a shared name.
    pub fn shared(&self, kind: NameKind, name: &Arc<str>) -> NameId {
        self.cached(kind, name, || SharedName::Shared(name.clone()))
    }

    /// The number of a name in the program's code.
    pub fn fixed(&self, kind: NameKind, name: &'static str) -> NameId {
        self.cached(kind, name, || SharedName::Static(name))
    }

    fn cached(&self, kind: NameKind, name: &str, keep: impl FnOnce() -> SharedName) -> NameId {
        let mut slots = self.caches.get_or_default().borrow_mut();
        if slots.is_empty() {
            slots.resize_with(SLOTS, || None);
        }
        let slot = &mut slots[(name.as_ptr() as usize >> 3) % SLOTS];
        if let Some(known) = slot
            && std::ptr::eq(known.name.text(), name)
            && known.kind == kind
        {
            return known.id;
        }
        let id = self.intern(kind, name);
        *slot = Some(Slot { kind, name: keep(), id });
        id
    }

    /// The number of any name, without the cache. [`NameId::NONE`] for an empty one, and where there are too many.
    pub fn intern(&self, kind: NameKind, name: &str) -> NameId {
        if name.is_empty() {
            return NameId::NONE;
        }
        let key = (kind, Arc::<str>::from(name));
        if let Some(id) = self.table.read().unwrap_or_else(PoisonError::into_inner).ids.get(&key) {
            return *id;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.ids.get(&key) {
            return *id;
        }
        if table.names.len() >= MAX_NAMES {
            return NameId::NONE;
        }
        table.names.push(key.clone());
        let id = NameId(u32::try_from(table.names.len()).expect("there is a limit"));
        table.ids.insert(key, id);
        id
    }

    /// The name of a number; `None` for [`NameId::NONE`].
    #[must_use]
    pub fn name(&self, id: NameId) -> Option<Arc<str>> {
        self.kind_and_name(id).map(|(_, name)| name)
    }

    /// The name of a number and what it is of.
    pub(super) fn kind_and_name(&self, id: NameId) -> Option<(NameKind, Arc<str>)> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.names.get(id.index().checked_sub(1)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_however_it_is_looked_up() {
        let names = Names::default();
        let model: Arc<str> = "llama3:latest".into();
        let id = names.shared(NameKind::Model, &model);
        assert_eq!(names.shared(NameKind::Model, &model), id, "cached");
        assert_eq!(names.intern(NameKind::Model, "llama3:latest"), id);
        assert_eq!(names.shared(NameKind::Model, &"llama3:latest".into()), id, "another copy of the text");
        assert_ne!(names.shared(NameKind::Tenant, &model), id, "of another kind");
        assert_eq!(names.name(id), Some(model));
        assert_eq!(names.fixed(NameKind::Endpoint, "/api/chat"), names.intern(NameKind::Endpoint, "/api/chat"));
    }

    #[test]
    fn no_name_has_no_number() {
        let names = Names::default();
        assert_eq!(names.intern(NameKind::Model, ""), NameId::NONE);
        assert_eq!((names.name(NameId::NONE), NameId::NONE.is_some()), (None, false));
    }

    #[test]
    fn more_names_than_the_cache_holds_keep_their_numbers() {
        let names = Names::default();
        let all: Vec<Arc<str>> = (0..1_000).map(|at| format!("model {at}").into()).collect();
        let first: Vec<_> = all.iter().map(|name| names.shared(NameKind::Model, name)).collect();
        let again: Vec<_> = all.iter().map(|name| names.shared(NameKind::Model, name)).collect();
        assert_eq!(first, again);
    }

    #[test]
    fn the_number_of_names_is_limited() {
        let names = Names::default();
        let ids = (0..=MAX_NAMES).map(|at| names.intern(NameKind::Client, &at.to_string()));
        assert_eq!(ids.filter(|id| id.is_some()).count(), MAX_NAMES);
    }
}
