//! What backends call their models, for what is shown of exchanges.

use std::fmt::{self, Debug, Display};
use std::ops::Deref;
use std::sync::Arc;

use crate::wire::reader::Engine;
use crate::wire::route::Dialect;

/// A model's name. Its clones share the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModel {
    text: Arc<str>,
    is_listed: bool,
}

impl NamedModel {
    /// A name as the backend lists it.
    #[must_use]
    pub fn listed(text: Arc<str>) -> Self {
        Self { text, is_listed: true }
    }

    /// The name, where it is known to be one that the backend lists.
    #[must_use]
    pub fn as_listed(&self) -> Option<&Arc<str>> {
        self.is_listed.then_some(&self.text)
    }
}

/// A name as it is spelled: whether the backend lists it is not known.
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

/// Knows the names under which backends list their models. Called on the data path, twice an exchange: it must not block.
pub trait Names: Debug + Send + Sync {
    /// The name of the model that a request asks for: as the backend lists it, else as it is spelled.
    fn requested(&self, backend: &str, dialect: Dialect, name: &str) -> NamedModel;

    /// The name under which the backend lists the model that a success answer names. None where it lists no such model.
    fn answered(&self, backend: &str, dialect: Dialect, name: &str) -> Option<NamedModel>;

    /// Which server the backend was recognised as. Asked only where an answer alone leaves it open.
    fn engine(&self, _backend: &str) -> Engine {
        Engine::Unknown
    }
}

/// Every name is as it is spelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsSpelled;

impl Names for AsSpelled {
    fn requested(&self, _backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        name.into()
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        None
    }
}
