//! The servers behind: where they are, whether they answer, which models they list.

pub mod address;
pub mod catalogue;

use std::sync::Arc;

use address::Address;

/// One configured backend.
#[derive(Debug)]
pub struct Backend {
    /// Its configured name: the label value.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
}
