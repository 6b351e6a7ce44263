//! The servers behind: where they are, whether they answer, what they are, which models they have.
//!
//! [`dial`] opens connections for the proxy and for us. A [`monitor::Monitor`] per backend is kept up to date by two
//! futures, [`probe::run`] (does it answer) and [`survey::run`] (what is it, what does it list, what is in memory, how
//! busy is it); a [`report::Report`] learns of everything. Neither ever decides about traffic: a backend that seems down
//! is still asked by whoever wants it.

pub mod address;
mod answers;
pub mod catalogue;
pub mod dial;
pub mod engine;
mod fetch;
mod host_header;
pub mod inventory;
pub mod monitor;
pub mod probe;
pub mod quiet;
mod recognise;
pub mod report;
mod rfc3339;
pub mod status;
pub mod survey;
pub mod track;

use std::sync::Arc;
use std::time::Duration;

use address::Address;
pub use host_header::HostHeader;

/// One configured backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its configured name: the label value.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
}

/// How a backend is spoken to. A change reaches the next exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What to do with the `Host` field.
    pub host_header: HostHeader,
    /// How long it may take to accept a connection.
    pub connect_timeout: Duration,
    /// From when it has the whole request to the head of its response. `None` is no limit.
    pub first_byte: Option<Duration>,
    /// How long an idle connection to it is kept. `None` keeps it until the backend closes it.
    pub pool_idle: Option<Duration>,
}

impl Default for Settings {
    /// No limit: what a configuration is filled into.
    fn default() -> Self {
        Self { host_header: HostHeader::default(), connect_timeout: Duration::MAX, first_byte: None, pool_idle: None }
    }
}

/// Where a backend stands, as far as that is known; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The machine that it runs on.
    pub node: Arc<str>,
    /// The part of the house, of the network or of the world that the machine is in.
    pub zone: Arc<str>,
}

#[cfg(test)]
mod tests;
