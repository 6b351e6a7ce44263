//! What the second listener shows, passed in by the program.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::access::Access;
use super::negotiate::ExpositionFormat;
use super::ready::Readiness;
use crate::access::Gate;
use crate::backend::monitor::Monitors;
use crate::history::in_flight::InFlight;
use crate::history::readers::Readers;
use crate::history::state::HistoryState;

/// Writes every metric. May block; called on a thread of its own.
pub type Encode = Arc<dyn Fn(ExpositionFormat) -> Vec<u8> + Send + Sync>;

/// What is shown. Clones share it.
#[derive(Clone)]
pub struct Parts {
    /// Version of the program.
    pub version: &'static str,
    /// Source revision of the program; `None` where the build knew none.
    pub revision: Option<&'static str>,
    /// When the program started.
    pub started: Instant,
    /// Most connections to one listener; no more than 256 are open in any case.
    pub max_connections: usize,
    /// The address that clients are served on.
    pub clients: SocketAddr,
    /// Whether that address speaks TLS.
    pub clients_speak_tls: bool,
    /// TLS of this listener.
    pub access: Access,
    /// Decides who is answered.
    pub gate: Arc<Gate>,
    /// Whether clients are served.
    pub readiness: Arc<Readiness>,
    /// Writes the body of `/metrics`.
    pub metrics: Encode,
    /// One monitor per configured backend.
    pub backends: Monitors,
    /// Exchanges that have begun and not ended.
    pub in_flight: InFlight,
    /// How the history is doing.
    pub history: Arc<HistoryState>,
    /// Answer questions to the history; `None` where nothing is kept.
    pub readers: Option<Readers>,
    /// The dashboard API.
    pub api: axum::Router,
}
