//! How clients are served, and what the rest of the program hands in for it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::exchange;
use crate::exchange::names::ModelNames;
use crate::exchange::residency::Residency;
use crate::exchange::sink::AnySink;
use crate::fleet::Fleet;
use crate::tls::server::TlsServer;

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The client's time limits.
    pub client: ClientLimits,
    /// Most client connections served at once. Above them idle ones are closed, and where no connection is idle, new ones get
    /// an answer that says so.
    pub max_connections: u64,
    /// Whether clients may speak HTTP/2 by prior knowledge; over TLS they may where [`Shared::tls`] offers it.
    pub http2: bool,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// How exchanges are observed.
    pub observe: exchange::Settings,
}

impl Default for Settings {
    /// One thread, and no limit: what a configuration is filled into.
    fn default() -> Self {
        Self {
            client: ClientLimits::default(),
            max_connections: u64::MAX,
            http2: false,
            threads: NonZeroUsize::MIN,
            observe: exchange::Settings::default(),
        }
    }
}

/// What the proxy shares with the rest of the program, and keeps through every reload.
#[derive(Clone)]
pub struct Shared {
    /// Who serves the requests: what each exchange asks when it begins.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// Learns of every exchange.
    pub sink: Arc<dyn AnySink>,
    /// Where clients speak TLS, how.
    pub tls: Option<TlsServer>,
    /// Which models have exchanges in flight, and which are in memory.
    pub residency: Arc<Residency>,
    /// What the backend calls its models.
    pub names: Arc<dyn ModelNames>,
}

/// The client's time limits. None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// From a head's first byte to its last; a connection's first head from accept, its handshake included.
    pub head: Option<Duration>,
    /// Silence within a request's body.
    pub body_idle: Option<Duration>,
    /// Silence between exchanges.
    pub keep_alive_idle: Option<Duration>,
    /// A client that does not read.
    pub write_stall: Option<Duration>,
}
