//! How clients are served, and what the proxy shares with the rest of the program.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::hold::{HeldBodies, HoldLimits};
use crate::exchange;
use crate::exchange::names::ModelNames;
use crate::exchange::residency::Residency;
use crate::exchange::sink::AnySink;
use crate::fleet::Fleet;
use crate::tls::server::TlsServer;

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time limits of clients.
    pub client: ClientLimits,
    /// Most client connections served at once. When it is reached, idle ones are closed for new ones, and where no
    /// connection is idle, new ones are answered that there are too many.
    pub max_connections: u64,
    /// Whether clients may speak HTTP/2 by prior knowledge; over TLS, [`Shared::tls`] decides.
    pub http2: bool,
    /// How much of bodies is held until their backend is known.
    pub hold: HoldLimits,
    /// Worker threads.
    pub threads: NonZeroUsize,
    /// How exchanges are observed.
    pub observe: exchange::Settings,
}

impl Default for Settings {
    /// One thread and no limits; the configuration sets the rest.
    fn default() -> Self {
        Self {
            client: ClientLimits::default(),
            max_connections: u64::MAX,
            http2: false,
            hold: HoldLimits::default(),
            threads: NonZeroUsize::MIN,
            observe: exchange::Settings::default(),
        }
    }
}

/// What the proxy shares with the rest of the program, unchanged by a reload.
#[derive(Clone)]
pub struct Shared {
    /// The backends; read anew for each exchange.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// Observes every exchange.
    pub sink: Arc<dyn AnySink>,
    /// TLS for clients; `None` where the listener is plain.
    pub tls: Option<TlsServer>,
    /// Which models have exchanges in flight, and which are in memory.
    pub residency: Arc<Residency>,
    /// The names under which the backend lists its models.
    pub names: Arc<dyn ModelNames>,
    /// Bytes of bodies whose backend is not chosen yet.
    pub held: HeldBodies,
}

/// The client's time limits. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// From the first byte of a head to its last; for a connection's first head from accept, the TLS handshake
    /// included.
    pub head: Option<Duration>,
    /// Longest pause within a request's body.
    pub body_idle: Option<Duration>,
    /// Longest pause between exchanges.
    pub keep_alive_idle: Option<Duration>,
    /// How long a client may read nothing while bytes wait for it.
    pub write_stall: Option<Duration>,
}
