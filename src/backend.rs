//! The servers behind: where they are, whether they answer, which models they list.

pub mod address;

use std::sync::Arc;

use address::Address;

/// One configured backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its configured name: the label value.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
}
