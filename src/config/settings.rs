//! Everything that can be configured, as plain data: what the table of keys fills.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{self, Backend};
use crate::host::helper::HelperAddress;
use crate::logs;
use crate::proxy;
use crate::tls::{Identity, client};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients are served. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where metrics, health and the page are served. Port 0 lets the system choose.
    pub admin_listen: SocketAddr,
    /// TLS and credentials of the second listener, in the shape that Prometheus exporters use. `None` is neither.
    pub admin_web_config_file: Option<PathBuf>,
    /// What clients see where they speak TLS. `None` is plain HTTP.
    pub tls: Option<Identity>,
    /// How an `https://` backend is spoken to.
    pub backend_tls: client::Settings,
    /// The inference servers; exactly one for now. None of them is a listener of ours.
    pub backends: Vec<Backend>,
    /// How the backend is spoken to.
    pub backend: backend::Settings,
    /// The machine that the backend runs on; `None` is told from its address.
    pub backend_node: Option<String>,
    /// Where that machine is; `None` is not known.
    pub backend_zone: Option<String>,
    /// Model names that become labels, 1 to 10,000.
    pub max_models: usize,
    /// How long exchanges may go on after a request to stop. Zero ends them at once.
    pub drain_timeout: Duration,
    /// What is logged: a level or directives that [`logs::parse_filter`] takes.
    pub log_level: String,
    /// The shape of the log.
    pub log_format: logs::LogFormat,
    /// Whether each finished exchange gets a line.
    pub access_log: bool,
    /// How clients are served. Its threads and its connections are what the machine and the next two make of it.
    pub proxy: proxy::Settings,
    /// Client connections at once.
    pub max_connections: MaxConnections,
    /// Threads that serve clients; `None` is one a core.
    pub worker_threads: Option<NonZeroUsize>,
    /// How often each source of facts about the machine is read, from 1 s; `None` reads none.
    pub host_period: Option<Duration>,
    /// What electricity costs; `None` is not known.
    pub electricity_price: Option<ElectricityPrice>,
    /// Where the privileged helper is; `None` asks none.
    pub helper_url: Option<HelperAddress>,
    /// Bounds of histograms in place of the built-in ones, by kind.
    pub buckets: Buckets,
    /// What is allowed and yet worth a word at start.
    pub warnings: Vec<String>,
}

/// Upper bounds of histograms by kind; `None` is built in. Seconds, except where the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Whole exchanges and decode.
    pub duration: Option<Bounds>,
    /// Time to first byte and token, and prefill.
    pub first_token: Option<Bounds>,
    /// Time from token to token.
    pub token: Option<Bounds>,
    /// Cold loads.
    pub load: Option<Bounds>,
    /// Tokens per second.
    pub rate: Option<Bounds>,
    /// The proxy's own cost.
    pub overhead: Option<Bounds>,
    /// Body sizes in bytes.
    pub size: Option<Bounds>,
    /// Context in tokens.
    pub context: Option<Bounds>,
}

/// 1 to 64 upper bounds: finite, above zero, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds(pub(super) Vec<f64>);

/// None of them is NaN.
impl Eq for Bounds {}

impl Bounds {
    /// The bounds.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

/// What a kilowatt-hour costs, in millionths of whatever currency, so that it is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectricityPrice(pub(super) u64);

impl ElectricityPrice {
    /// The price in the currency it was configured in.
    #[must_use]
    pub fn per_kilowatt_hour(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// How many client connections there may be at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxConnections {
    /// What the descriptors that the process may open allow: each exchange needs three, and some are kept for others.
    #[default]
    Auto,
    /// As many as the system gives.
    Unlimited,
    /// This many, at least one.
    AtMost(usize),
}

impl Config {
    /// What the table of keys is filled into. It sets every field: no value of this one is ever in force.
    pub(super) fn blank() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self {
            listen: nowhere,
            admin_listen: nowhere,
            admin_web_config_file: None,
            tls: None,
            backend_tls: client::Settings::default(),
            backends: Vec::new(),
            backend_node: None,
            backend_zone: None,
            max_models: 0,
            drain_timeout: Duration::ZERO,
            log_level: String::new(),
            log_format: logs::LogFormat::Text,
            access_log: false,
            backend: backend::Settings::default(),
            proxy: proxy::Settings::default(),
            max_connections: MaxConnections::default(),
            worker_threads: None,
            host_period: None,
            electricity_price: None,
            helper_url: None,
            buckets: Buckets::default(),
            warnings: Vec::new(),
        }
    }
}
