//! What the settings mean: flags over environment over file over defaults, checked.
//!
//! Promises: [`resolve`] is pure apart from the file reader that it is given; a wrong value is refused with its key,
//! where it came from and what is allowed; what is printed by [`Config::to_toml`] reads back as the same
//! configuration. Left out: whether an address can be bound or a name resolves.

mod backends;
pub mod default;
pub mod error;
mod layers;
mod print;
mod reload;
mod tls;
mod value;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Backend;
use crate::cli::Cli;
use crate::host::helper::HelperAddress;
use crate::logs;
use crate::tls::{Identity, client};
use error::ConfigError;
use layers::Layers;

/// What the names of our variables begin with.
pub const VARIABLE_PREFIX: &str = "INFEROMETER_";

/// The keys that a flag, a variable or the file can set.
const SETTING_KEYS: [&str; 11] = [
    "listen",
    "admin_listen",
    "admin_web_config_file",
    "backend",
    "host_header",
    "max_models",
    "connect_timeout",
    "drain_timeout",
    "log_level",
    "log_format",
    "access_log",
];

/// The keys of the file's `[limits]`.
const LIMIT_KEYS: [&str; 8] = [
    "limits.head",
    "limits.keep_alive_idle",
    "limits.body_idle",
    "limits.write_stall",
    "limits.first_byte",
    "limits.pool_idle",
    "limits.stall",
    "limits.max_connections",
];

/// The keys of the file's `[host]`.
const HOST_KEYS: [&str; 2] = ["host.period", "host.electricity_price_per_kwh"];

/// The keys of the file's `[buckets]`.
const BUCKET_KEYS: [&str; 8] = [
    "buckets.duration",
    "buckets.first_token",
    "buckets.token",
    "buckets.load",
    "buckets.rate",
    "buckets.overhead",
    "buckets.size",
    "buckets.context",
];

/// The keys of the file's `[tls]`.
const TLS_KEYS: [&str; 2] = ["tls.cert_file", "tls.key_file"];

/// The keys of the file's `[backend_tls]`.
const BACKEND_TLS_KEYS: [&str; 4] =
    ["backend_tls.ca_file", "backend_tls.cert_file", "backend_tls.key_file", "backend_tls.server_name"];

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
    /// The machine that the backend runs on; `None` is told from its address.
    pub backend_node: Option<String>,
    /// Where that machine is; `None` is not known.
    pub backend_zone: Option<String>,
    /// What the backend finds in `Host`.
    pub host_header: HostHeader,
    /// Model names that become labels, 1 to 10,000.
    pub max_models: usize,
    /// How long a backend may take to accept a connection, from 1 ms.
    pub connect_timeout: Duration,
    /// How long exchanges may go on after a request to stop. Zero ends them at once.
    pub drain_timeout: Duration,
    /// What is logged: a level or directives that [`logs::filter`] takes.
    pub log_level: String,
    /// The shape of the log.
    pub log_format: logs::Format,
    /// Whether each finished exchange gets a line.
    pub access_log: bool,
    /// How long and how many.
    pub limits: Limits,
    /// How often each source of facts about the machine is read, from 1 s; `None` reads none.
    pub host_period: Option<Duration>,
    /// What electricity costs; `None` is not known.
    pub electricity_price: Option<ElectricityPrice>,
    /// Where the privileged helper is; `None` asks none.
    pub helper_url: Option<HelperAddress>,
    /// Bounds of histograms in place of the built-in ones, by kind.
    pub buckets: Buckets,
    /// Whether clients may speak HTTP/2, over TLS or by prior knowledge.
    pub http2: bool,
    /// Threads that serve clients; `None` is one a core.
    pub worker_threads: Option<usize>,
    /// What is allowed and yet worth a word at start.
    pub warnings: Vec<String>,
}

/// Time limits, where `None` is off, and the limit of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's head, from its first byte.
    pub head: Option<Duration>,
    /// A keep-alive connection without a request.
    pub keep_alive_idle: Option<Duration>,
    /// A request's body of which nothing comes.
    pub body_idle: Option<Duration>,
    /// A client that takes nothing of its response.
    pub write_stall: Option<Duration>,
    /// From when the backend has the request to the first byte of its response.
    pub first_byte: Option<Duration>,
    /// A connection to the backend that is kept for the next request; `None` keeps it until the backend closes it.
    pub pool_idle: Option<Duration>,
    /// A gap between tokens above this is counted as a stall; nothing is ended. `None` counts none.
    pub stall: Option<Duration>,
    /// Client connections at once.
    pub max_connections: MaxConnections,
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
pub struct Bounds(Vec<f64>);

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
pub struct ElectricityPrice(u64);

impl ElectricityPrice {
    /// The price in the currency it was configured in.
    #[must_use]
    pub fn per_kilowatt_hour(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// How many client connections there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxConnections {
    /// What the descriptors that the process may open allow: each exchange needs three, and some are kept for others.
    Auto,
    /// As many as the system gives.
    Unlimited,
    /// This many, at least one.
    AtMost(usize),
}

/// What the backend finds in the `Host` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Preserve,
    /// The backend's own address.
    Upstream,
    /// This host, with a port where one is given.
    Literal(String),
}

/// How alike two names must be (Jaro-Winkler, 0 to 1) for one to be a slip of the other.
const SIMILAR: f64 = 0.88;

/// Lays the sources over each other and checks the result. `env` is the process's environment; `read` reads the file
/// that `--config` or `INFEROMETER_CONFIG` names.
pub fn resolve(
    cli: &Cli,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    read: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<Config, ConfigError> {
    let mut layers = Layers::collect(cli, env, read)?;
    let listen = layers.value("listen", default::LISTEN, value::listen)?;
    let admin_listen = layers.value("admin_listen", default::ADMIN_LISTEN, value::listen)?;
    apart(&layers, listen, admin_listen)?;
    let admin_web_config_file = layers.value("admin_web_config_file", None, value::file)?;
    let backends = backends::backends(&layers, &[listen, admin_listen])?;
    let backend_tls = tls::of_backend(&layers)?;
    let mut warnings = std::mem::take(&mut layers.warnings);
    warnings.extend(wide(listen, admin_listen, admin_web_config_file.is_some()));
    warnings.extend(tls::idle(&backends, &backend_tls));
    Ok(Config {
        listen,
        admin_listen,
        admin_web_config_file,
        tls: tls::of_clients(&layers)?,
        backend_tls,
        backends,
        backend_node: layers.value("backend_node", None, value::place)?,
        backend_zone: layers.value("backend_zone", None, value::place)?,
        host_header: layers.value("host_header", HostHeader::Preserve, value::host_header)?,
        max_models: layers.value("max_models", default::MAX_MODELS, value::max_models)?,
        connect_timeout: layers.value("connect_timeout", default::CONNECT_TIMEOUT, value::duration)?,
        drain_timeout: layers.value("drain_timeout", default::DRAIN_TIMEOUT, value::duration_or_zero)?,
        log_level: layers.value("log_level", default::LOG_LEVEL.to_owned(), value::log_level)?,
        log_format: layers.value("log_format", logs::Format::Text, value::log_format)?,
        access_log: layers.value("access_log", default::ACCESS_LOG, value::switch)?,
        limits: limits(&layers)?,
        host_period: layers.value("host.period", default::HOST_PERIOD, value::host_period)?,
        electricity_price: layers.value("host.electricity_price_per_kwh", None, value::electricity_price)?,
        helper_url: layers.value("helper_url", None, value::helper_url)?,
        buckets: buckets(&layers)?,
        http2: layers.value("http2", default::HTTP2, value::switch)?,
        worker_threads: layers.value("worker_threads", None, value::worker_threads)?,
        warnings,
    })
}

fn limits(layers: &Layers) -> Result<Limits, ConfigError> {
    Ok(Limits {
        head: layers.value("limits.head", default::LIMIT_HEAD, value::limit)?,
        keep_alive_idle: layers.value("limits.keep_alive_idle", default::LIMIT_KEEP_ALIVE_IDLE, value::limit)?,
        body_idle: layers.value("limits.body_idle", default::LIMIT_BODY_IDLE, value::limit)?,
        write_stall: layers.value("limits.write_stall", default::LIMIT_WRITE_STALL, value::limit)?,
        first_byte: layers.value("limits.first_byte", default::LIMIT_FIRST_BYTE, value::limit)?,
        pool_idle: layers.value("limits.pool_idle", default::LIMIT_POOL_IDLE, value::limit)?,
        stall: layers.value("limits.stall", default::LIMIT_STALL, value::limit)?,
        max_connections: layers.value("limits.max_connections", MaxConnections::Auto, value::max_connections)?,
    })
}

fn buckets(layers: &Layers) -> Result<Buckets, ConfigError> {
    Ok(Buckets {
        duration: layers.list("buckets.duration", value::bounds)?,
        first_token: layers.list("buckets.first_token", value::bounds)?,
        token: layers.list("buckets.token", value::bounds)?,
        load: layers.list("buckets.load", value::bounds)?,
        rate: layers.list("buckets.rate", value::bounds)?,
        overhead: layers.list("buckets.overhead", value::bounds)?,
        size: layers.list("buckets.size", value::bounds)?,
        context: layers.list("buckets.context", value::bounds)?,
    })
}

/// Refuses two listeners that would claim the same port.
fn apart(layers: &Layers, listen: SocketAddr, admin: SocketAddr) -> Result<(), ConfigError> {
    let (one, two) = (listen.ip().to_canonical(), admin.ip().to_canonical());
    let same = one == two || one.is_unspecified() || two.is_unspecified();
    if !same || listen.port() != admin.port() || listen.port() == 0 {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: "admin_listen",
        origin: layers.origin("admin_listen"),
        value: admin.to_string(),
        reason: format!("clients are already served on {listen}; choose another port"),
    })
}

/// What is said of listeners that other machines reach.
fn wide(listen: SocketAddr, admin: SocketAddr, admin_is_guarded: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !listen.ip().to_canonical().is_loopback() {
        warnings.push(format!(
            "clients are served on {listen}, beyond this machine: whoever reaches it can use the backend"
        ));
    }
    if !admin.ip().to_canonical().is_loopback() && !admin_is_guarded {
        warnings.push(format!(
            "metrics are served on {admin}, beyond this machine: whoever reaches it sees which models are used \
             (admin_web_config_file asks for a password)"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
