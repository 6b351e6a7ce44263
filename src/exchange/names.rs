//! What backends call their models, for what is shown of exchanges.

use std::fmt::Debug;

use crate::wire::reader::Engine;
use crate::wire::route::Dialect;

/// Knows the names under which backends list their models. Called on the data path, twice an exchange: it must not block.
pub trait Names: Debug + Send + Sync {
    /// The name of the model that a request asks for: as the backend lists it, else as it is spelled.
    fn requested(&self, backend: &str, dialect: Dialect, name: &str) -> Box<str>;

    /// The name under which the backend lists the model that a success answer names. None where it is called so already,
    /// or the backend lists no such model.
    fn answered(&self, backend: &str, dialect: Dialect, name: &str) -> Option<Box<str>>;

    /// Which server the backend was recognised as. Asked only where an answer alone leaves it open.
    fn engine(&self, _backend: &str) -> Engine {
        Engine::Unknown
    }
}

/// Every name is as it is spelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsSpelled;

impl Names for AsSpelled {
    fn requested(&self, _backend: &str, _dialect: Dialect, name: &str) -> Box<str> {
        name.into()
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<Box<str>> {
        None
    }
}
