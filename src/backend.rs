//! The servers behind: where they are, whether they answer, which models they list.
//!
//! [`dial`] opens connections for the proxy and for us. A [`monitor::Monitor`] per backend is kept up to date by two
//! futures, [`probe::run`] and [`listing::run`]; its [`status::Status`] is read without a lock. Neither ever decides
//! about traffic: a backend that seems down is still asked by whoever wants it.

pub mod address;
pub mod catalogue;
pub mod dial;
mod fetch;
pub mod listing;
pub mod monitor;
pub mod probe;
pub mod resident;
pub mod status;

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

#[cfg(test)]
mod tests;
