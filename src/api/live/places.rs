//! How many WebSockets there may be: of each asker, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::identity::{Holder, Identity, Means};

/// Sockets without credentials, in all.
const MAX_OPEN: usize = 64;

/// Sockets in all.
const MAX: usize = 512;

/// Who holds how many sockets.
#[derive(Debug, Default)]
pub(in crate::api) struct Places(Mutex<HashMap<Holder, usize>>);

/// One socket; dropping it gives it back.
#[derive(Debug)]
pub(in crate::api) struct Place {
    places: Arc<Places>,
    holder: Holder,
}

impl Places {
    /// A socket for this asker; `None` where it, or all together, have too many.
    pub(in crate::api) fn take(self: &Arc<Self>, identity: &Identity) -> Option<Place> {
        let holder = identity.holder();
        let mut held = self.held();
        let is_open = |holder: &Holder| matches!(holder, Holder::Address(_));
        let open: usize = held.iter().filter(|(holder, _)| is_open(holder)).map(|(_, count)| count).sum();
        let all: usize = held.values().sum();
        let own = held.get(&holder).copied().unwrap_or(0);
        let is_full = own >= most(identity) || all >= MAX || (is_open(&holder) && open >= MAX_OPEN);
        if is_full {
            return None;
        }
        *held.entry(holder.clone()).or_default() += 1;
        Some(Place { places: self.clone(), holder })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Holder, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sockets of one asker.
fn most(identity: &Identity) -> usize {
    match identity.means() {
        _ if identity.is_session() => 8,
        Means::ApiKey | Means::Token => 1,
        Means::Open | Means::Password | Means::Certificate => 8,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}
