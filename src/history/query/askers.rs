//! Who has asked.

use std::sync::Arc;

use super::{Filter, Range};

/// Most that are listed.
pub(in crate::history) const MOST: usize = 1_000;

/// Most conversations that are counted.
pub const MOST_CONVERSATIONS: usize = 100_000;

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

/// Asks how many conversations there were.
#[derive(Clone, Debug)]
pub struct ConversationsQuery {
    /// When their exchanges ended.
    pub range: Range,
    /// Whose; `None` for all that are listed.
    pub of: Option<Asker>,
}

impl ConversationsQuery {
    /// Selects exchanges of askers.
    pub(in crate::history) fn filter(&self) -> Filter {
        self.of.as_ref().map(Asker::filter).unwrap_or_default()
    }

    /// The condition beside those of the filter.
    pub(in crate::history) fn condition(&self) -> &'static str {
        match self.of {
            Some(_) => "conversation IS NOT NULL",
            None => "conversation IS NOT NULL AND (tenant IS NOT NULL OR client IS NOT NULL)",
        }
    }
}
