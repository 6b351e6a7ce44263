//! Under which names backends list their models.

use std::fmt::{self, Debug, Display};
use std::ops::Deref;
use std::sync::Arc;

use crate::wire::reader::Engine;
use crate::wire::route::Dialect;

/// The name of a model. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    text: Arc<str>,
    is_listed: bool,
}

impl NamedModel {
    /// A name that the backend lists.
    #[must_use]
    pub fn listed(text: Arc<str>) -> Self {
        Self { text, is_listed: true }
    }

    /// The name if it is known that the backend lists it; `None` otherwise.
    #[must_use]
    pub fn as_listed(&self) -> Option<&Arc<str>> {
        self.is_listed.then_some(&self.text)
    }
}

/// A name as spelled by a request or an answer; whether the backend lists it is unknown.
impl From<&str> for NamedModel {
    fn from(spelled: &str) -> Self {
        Self { text: spelled.into(), is_listed: false }
    }
}

impl Display for NamedModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl Deref for NamedModel {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Maps model names to those that backends list. Called on the data path, twice an exchange: it must not block.
pub trait ModelNames: Debug + Send + Sync {
    /// The name of the model that a request names: as the backend lists it, else as the request spells it.
    fn requested(&self, backend: &str, dialect: Dialect, name: &str) -> NamedModel;

    /// The name under which the backend lists the model that a success answer names; `None` where it lists no such
    /// model.
    fn answered(&self, backend: &str, dialect: Dialect, name: &str) -> Option<NamedModel>;

    /// The server software of the backend. Called only where an answer alone does not show it.
    fn engine(&self, _backend: &str) -> Engine {
        Engine::Unknown
    }
}

/// Leaves every name as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsSpelled;

impl ModelNames for AsSpelled {
    fn requested(&self, _backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        name.into()
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        None
    }
}
