//! The settings, as plain data that the table of keys fills.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::access;
use crate::backend::address::Address;
use crate::backend::{self, Backend, HostHeader};
use crate::fleet::{self, Share};
use crate::history;
use crate::host::helper::HelperAddress;
use crate::logs;
use crate::proxy;
use crate::tls::{Identity, client};

/// Every setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to serve clients on. With port 0 the system chooses one.
    pub listen: SocketAddr,
    /// The address to serve metrics, health and the page on. With port 0 the system chooses one.
    pub admin_listen: SocketAddr,
    /// A second address that serves what `admin_listen` serves; `None` without one.
    pub dashboard_listen: Option<SocketAddr>,
    /// TLS and credentials of the second listener, in the file format of Prometheus exporters. `None` is neither.
    pub admin_web_config_file: Option<PathBuf>,
    /// Who may ask the second listener, and how often.
    pub access: access::settings::Settings,
    /// The certificate for clients. `None` is plain HTTP.
    pub tls: Option<Identity>,
    /// TLS settings for `https://` backends, where an element has none of its own.
    pub backend_tls: client::Settings,
    /// The inference servers without settings of their own; empty where `elements` are in force. See
    /// [`Config::members`]. None is a listener of ours.
    pub backends: Vec<Backend>,
    /// The inference servers with settings of their own.
    pub elements: Vec<BackendElement>,
    /// Where further backends are looked for.
    pub discovery: DiscoverySettings,
    /// What was found there last. Where there is any, the default of `backends` does not count.
    pub discovered: Vec<BackendElement>,
    /// Connection settings of backends, where an element has none of its own.
    pub backend: backend::Settings,
    /// The machine that backends run on; `None` derives it from the address.
    pub backend_node: Option<String>,
    /// The location of that machine; `None` is unknown.
    pub backend_zone: Option<String>,
    /// How one of several backends is chosen.
    pub fleet: fleet::Settings,
    /// Model names that become labels, 1 to 10,000.
    pub max_models: usize,
    /// How long exchanges may continue after a request to stop. Zero ends them at once.
    pub drain_timeout: Duration,
    /// A level, or directives for [`logs::parse_filter`].
    pub log_level: String,
    /// The format of the log.
    pub log_format: logs::LogFormat,
    /// Whether each finished exchange is logged.
    pub access_log: bool,
    /// The proxy's settings, without its threads and connections, which depend on the machine and the next two.
    pub proxy: proxy::Settings,
    /// Client connections at once.
    pub max_connections: MaxConnections,
    /// Threads that serve clients; `None` is one per core.
    pub worker_threads: Option<NonZeroUsize>,
    /// How often each source of facts about the machine is read, from 1 s; `None` reads none.
    pub host_period: Option<Duration>,
    /// The price of electricity; `None` is unknown.
    pub electricity_price: Option<ElectricityPrice>,
    /// The currency of that price; `None` is unknown.
    pub electricity_currency: Option<String>,
    /// The address of the privileged helper; `None` uses none.
    pub helper_url: Option<HelperAddress>,
    /// What is done about alerts.
    pub alerts: AlertSettings,
    /// Prometheus, or what answers like it.
    pub prometheus: RemoteSettings,
    /// The Alertmanager of that.
    pub alertmanager: RemoteSettings,
    /// Other programs of this kind.
    pub peers: Vec<Peer>,
    /// The history of exchanges.
    pub history: history::settings::Settings,
    /// Where the environment says that programs keep their state; `None` where it says nothing. The history is there
    /// unless it has a directory of its own.
    pub state_directory: Option<PathBuf>,
    /// Bounds of histograms by kind.
    pub buckets: Buckets,
    /// Warnings about allowed but doubtful settings.
    pub warnings: Vec<String>,
    /// Where each value comes from.
    pub origins: Origins,
}

/// Where the value of each key comes from. That is no part of what a configuration is: two that differ in it are equal.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub(super) BTreeMap<&'static str, &'static str>);

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origins {}

impl Origins {
    /// `flag`, `environment`, `file` or `default`.
    #[must_use]
    pub fn word(&self, key: &str) -> &'static str {
        self.0.get(key).copied().unwrap_or("default")
    }
}

/// Where backends are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// Files in the format of Prometheus' `file_sd_configs`.
    pub files: Vec<String>,
    /// Names of which each address is a backend.
    pub names: Vec<Address>,
    /// Names of service records.
    pub services: Vec<String>,
    /// The name server that is asked for them; `None` is those of the system.
    pub resolver: Option<SocketAddr>,
}

impl DiscoverySettings {
    /// Whether backends are to be discovered.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        !(self.files.is_empty() && self.names.is_empty() && self.services.is_empty())
    }
}

/// A backend with settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendElement {
    /// Its name; `None` is the host and port of its address.
    pub name: Option<Arc<str>>,
    /// Its address. `None` only while the element is read.
    pub url: Option<Address>,
    /// What is asked of it.
    pub share: Share,
    /// Its machine; `None` is the default of all.
    pub node: Option<String>,
    /// The location of that machine; `None` is the default of all.
    pub zone: Option<String>,
    /// The `Host` field that it gets; `None` is the default of all.
    pub host_header: Option<HostHeader>,
    /// TLS settings of its own; what is unset is the default of all.
    pub tls: client::Settings,
}

/// What is done about alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertSettings {
    /// How often this program evaluates its rules, from 1 s; `None` evaluates none.
    pub period: Option<Duration>,
    /// The webhook that is notified of alerts; `None` if none is configured.
    pub webhook: Option<Address>,
    /// The file with the bearer token for it; `None` sends none.
    pub webhook_token_file: Option<PathBuf>,
}

/// A service that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Where it is; `None` asks none.
    pub address: Option<Address>,
    /// The file with the bearer token for it.
    pub token_file: Option<PathBuf>,
    /// The file with a user and a password for it, as `user:password`.
    pub basic_auth_file: Option<PathBuf>,
    /// For an `https://` address.
    pub tls: client::Settings,
}

/// Another program of this kind, which is asked for the machines that it sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its name; `None` is the host of its address.
    pub name: Option<Arc<str>>,
    /// Where it is.
    pub remote: RemoteSettings,
}

impl Peer {
    /// Its name until it has said what it is called.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        let host = || self.remote.address.as_ref().map_or("", |address| &address.host).into();
        self.name.clone().unwrap_or_else(host)
    }
}

/// Upper bounds of histograms by kind, in seconds where not stated otherwise; `None` keeps the built-in bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Durations of exchanges and of decode.
    pub duration: Option<Bounds>,
    /// Time to first byte and token, and prefill.
    pub first_token: Option<Bounds>,
    /// Time between tokens, and per token.
    pub token: Option<Bounds>,
    /// Cold loads.
    pub load: Option<Bounds>,
    /// Tokens per second.
    pub rate: Option<Bounds>,
    /// Time spent in the proxy.
    pub overhead: Option<Bounds>,
    /// Body sizes in bytes.
    pub size: Option<Bounds>,
    /// Context lengths in tokens.
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

/// The price of a kilowatt-hour in millionths of a currency unit, which is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectricityPrice(pub(super) u64);

impl ElectricityPrice {
    /// The price in the configured currency.
    #[must_use]
    pub fn per_kilowatt_hour(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// How many client connections there may be at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxConnections {
    /// As many as the process's limit of descriptors allows: each exchange needs three, and some are reserved.
    #[default]
    Auto,
    /// No limit of our own.
    Unlimited,
    /// This many, at least one.
    AtMost(usize),
}

impl Config {
    /// A placeholder for the table of keys to fill: it sets every field, so none of these values is ever in force.
    pub(super) fn blank() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self {
            listen: nowhere,
            admin_listen: nowhere,
            dashboard_listen: None,
            admin_web_config_file: None,
            access: access::settings::Settings::default(),
            tls: None,
            backend_tls: client::Settings::default(),
            backends: Vec::new(),
            elements: Vec::new(),
            discovery: DiscoverySettings::default(),
            discovered: Vec::new(),
            fleet: fleet::Settings::default(),
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
            electricity_currency: None,
            helper_url: None,
            alerts: AlertSettings::default(),
            prometheus: RemoteSettings::default(),
            alertmanager: RemoteSettings::default(),
            peers: Vec::new(),
            history: history::settings::Settings::default(),
            state_directory: None,
            buckets: Buckets::default(),
            warnings: Vec::new(),
            origins: Origins::default(),
        }
    }
}
