//! Names as small numbers: of backends, models, endpoints and whatever else repeats in every row.
//!
//! A look-up takes no lock, and allocates nothing, for a name that the thread has seen lately: names are shared texts, so
//! their address identifies them. Bounded by what may become a name: configured names, templates, and models that a
//! backend has confirmed. Products are made up by clients: beyond [`MAX_CALLERS`] every one is [`OTHER`].

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

    /// Whether it is of who asks.
    const fn is_caller(self) -> bool {
        matches!(self, Self::Tenant | Self::Client)
    }
}

/// The number of a name within this process, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

impl NameId {
    /// No name: unknown, or not applicable.
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

/// Most tenants and products of clients, together. Sums are kept apart by them.
pub const MAX_CALLERS: usize = 500;

/// The name of a tenant, or a product, beyond the limit.
pub const OTHER: &str = "other";

/// Entries of a thread's cache for each kind, a power of two: more names than most machines have in use. The names of one row
/// are of different kinds, so none takes the place of another.
const SLOTS: usize = 64;

/// All names of this process.
#[derive(Debug, Default)]
pub struct Names {
    /// Most tenants and products; `None` takes all, which are those of a file.
    max_callers: Option<usize>,
    table: RwLock<Table>,
    caches: ThreadLocal<RefCell<Vec<Option<Slot>>>>,
}

#[derive(Debug, Default)]
struct Table {
    ids: HashMap<(NameKind, Arc<str>), NameId>,
    names: Vec<(NameKind, Arc<str>)>,
    /// Tenants and products.
    callers: usize,
}

impl Table {
    fn add(&mut self, key: (NameKind, Arc<str>)) -> NameId {
        if self.names.len() >= MAX_NAMES {
            return NameId::NONE;
        }
        self.callers += usize::from(key.0.is_caller());
        self.names.push(key.clone());
        let id = NameId(u32::try_from(self.names.len()).expect("there is a limit"));
        self.ids.insert(key, id);
        id
    }
}

/// A name that was looked up. Kept, so that no other name gets its address.
#[derive(Debug)]
struct Slot {
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
    /// For names that clients make up: those of tenants and products have a limit.
    #[must_use]
    pub fn limited() -> Self {
        Self { max_callers: Some(MAX_CALLERS), ..Self::default() }
    }

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
            slots.resize_with(SLOTS * NameKind::ALL.len(), || None);
        }
        // Shared texts begin at multiples of sixteen.
        let slot = &mut slots[kind as usize * SLOTS + (name.as_ptr() as usize >> 4) % SLOTS];
        if let Some(known) = slot
            && std::ptr::eq(known.name.text(), name)
        {
            return known.id;
        }
        let id = self.intern(kind, name);
        *slot = Some(Slot { name: keep(), id });
        id
    }

    /// The number of any name, without the cache. [`NameId::NONE`] for an empty one, and where there are too many.
    pub fn intern(&self, kind: NameKind, name: &str) -> NameId {
        if name.is_empty() {
            return NameId::NONE;
        }
        let key = (kind, Arc::<str>::from(name));
        let is_full = |table: &Table| kind.is_caller() && self.max_callers.is_some_and(|most| table.callers >= most);
        let other = || (kind, Arc::<str>::from(OTHER));
        let find = |table: &Table| {
            let found = table.ids.get(&key).copied();
            found.or_else(|| is_full(table).then(|| table.ids.get(&other()).copied()).flatten())
        };
        if let Some(id) = find(&self.table.read().unwrap_or_else(PoisonError::into_inner)) {
            return id;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        match find(&table) {
            Some(id) => id,
            None if is_full(&table) => table.add(other()),
            None => table.add(key),
        }
    }

    /// The number of a name that is known; `None` for any other, which stays unknown: whoever asks a question makes it up.
    #[must_use]
    pub fn find(&self, kind: NameKind, name: &str) -> Option<NameId> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.ids.get(&(kind, name.into())).copied()
    }

    /// The numbers of the tenants and of the products beyond the limit; [`NameId::NONE`] while there are none.
    pub(super) fn others(&self) -> [NameId; 2] {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let is_full = self.max_callers.is_some_and(|most| table.callers >= most);
        let other = |kind| table.ids.get(&(kind, OTHER.into())).copied().filter(|_| is_full).unwrap_or_default();
        [NameKind::Tenant, NameKind::Client].map(other)
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
    fn asking_for_a_name_makes_none() {
        let names = Names::default();
        assert_eq!(names.find(NameKind::Model, "a"), None);
        assert_eq!(names.find(NameKind::Model, "a"), None);
        let id = names.intern(NameKind::Model, "a");
        assert_eq!((names.find(NameKind::Model, "a"), names.find(NameKind::Client, "a")), (Some(id), None));
        assert_eq!(names.find(NameKind::Model, ""), None);
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

    #[test]
    fn products_beyond_the_limit_are_other_and_the_rest_keep_their_names() {
        let names = Names::limited();
        let product = |at: usize| names.intern(NameKind::Client, &format!("product-{at}"));
        let first: Vec<_> = (0..MAX_CALLERS).map(product).collect();
        assert_eq!(names.others(), [NameId::NONE; 2], "all have a name of their own");
        let other = product(MAX_CALLERS);
        assert_eq!(names.name(other).as_deref(), Some(OTHER));
        assert_eq!(product(MAX_CALLERS + 1), other);
        assert_eq!((0..MAX_CALLERS).map(product).collect::<Vec<_>>(), first);
        assert_eq!(names.name(names.intern(NameKind::Tenant, "a")).as_deref(), Some(OTHER), "tenants share the limit");
        assert_eq!(names.others(), [names.intern(NameKind::Tenant, "b"), other]);
        assert_eq!(names.name(names.intern(NameKind::Model, "a")).as_deref(), Some("a"));
    }
}
