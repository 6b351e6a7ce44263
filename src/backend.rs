//! The inference servers: their addresses, whether they answer, their software, and their models.
//!
//! [`dial`] opens connections for the proxy and for the monitoring. A [`monitor::Monitor`] per backend is kept up to
//! date by two futures, [`probe::run`] (does it answer) and [`survey::run`] (which software, which models, which are in
//! memory, what load); a [`report::Report`] receives all results. With one backend neither affects traffic: requests are
//! still sent to one that seems down. With several, the fleet learns from them which backends there are to choose from.

pub mod address;
mod answers;
pub mod catalogue;
pub mod dial;
pub mod engine;
pub mod fetch;
mod host_header;
pub mod inventory;
pub mod monitor;
pub mod probe;
pub mod probe_once;
pub mod quiet;
mod recognise;
pub mod report;
pub mod srv;
pub mod status;
pub mod survey;
mod times;
pub mod track;

use std::sync::Arc;
use std::time::Duration;

use address::Address;
pub use host_header::HostHeader;

/// One configured backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its configured name, used as label value.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
}

/// The settings for requests to a backend. A change applies from the next exchange on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The policy for the `Host` field.
    pub host_header: HostHeader,
    /// The time limit for opening a connection.
    pub connect_timeout: Duration,
    /// The time limit from the end of the request to the head of the response. `None` is no limit.
    pub first_byte: Option<Duration>,
    /// How long an idle connection is kept. `None` keeps it until the backend closes it.
    pub pool_idle: Option<Duration>,
}

impl Default for Settings {
    /// No limits, to be filled from the configuration.
    fn default() -> Self {
        Self { host_header: HostHeader::default(), connect_timeout: Duration::MAX, first_byte: None, pool_idle: None }
    }
}

/// The labels of a backend's location. Empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendLocation {
    /// The name of its machine.
    pub node: Arc<str>,
    /// The machine's failure domain, such as a rack, a site or a region.
    pub zone: Arc<str>,
}

#[cfg(test)]
mod tests;
