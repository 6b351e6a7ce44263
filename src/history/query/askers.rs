//! Who has asked.

use std::sync::Arc;

use super::Filter;

/// Most that are listed.
pub(in crate::history) const MOST: usize = 1_000;

/// A tenant, or the product of clients without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is a tenant.
    pub is_tenant: bool,
}

impl Asker {
    /// Selects its exchanges.
    #[must_use]
    pub fn filter(&self) -> Filter {
        let name = Some(self.name.clone());
        if self.is_tenant {
            Filter { tenant: name, ..Filter::default() }
        } else {
            Filter { client: name, ..Filter::default() }
        }
    }
}
