//! The model names that a backend confirmed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Names that may become labels.
#[derive(Debug, Default)]
pub struct Catalogue(Mutex<HashSet<Arc<str>>>);

impl Catalogue {
    /// A backend confirmed this name.
    pub fn admit(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
    }

    /// The name as admitted, if it was.
    #[must_use]
    pub fn admitted(&self, name: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
