//! Builds every part and joins them; owns the listeners, the tasks, the signals, the reload and the drain.
//!
//! The main thread runs everything that is not traffic (second listener, probes, signals) on a runtime of its own; the
//! proxy has its own threads. Nothing else wires parts together.

mod files;
mod found;
mod listen;
pub mod material;
mod reload;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::ready::Readiness;
use crate::admin::{self, Encode};
use crate::backend::catalogue::Catalogue;
use crate::backend::monitor::{Monitor, Pace};
use crate::backend::quiet::{ReadTraffic, Traffic};
use crate::backend::report::Report;
use crate::backend::{Backend, BackendLocation, HostHeader, probe, survey};
use crate::cli::{REVISION, VERSION};
use crate::clock::Clock;
use crate::config::{self, Config, ElectricityPrice, MaxConnections};
use crate::exchange::residency::Residency;
use crate::fleet::{Fleet, Member};
use crate::history::in_flight::InFlight;
use crate::host::energy::Meter;
use crate::host::{self, Host};
use crate::logs::access::AccessLog;
use crate::metrics::{self, Metrics};
use crate::proxy::{self, Life, Proxy};
use found::Found;
use material::Material;
use reload::Reload;

/// Why the program could not start or go on.
#[derive(Debug)]
pub enum AppError {
    /// An address cannot be listened on.
    Bind {
        /// Which of our addresses.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// Threads, signals or the poller.
    System(io::Error),
}

impl std::fmt::Display for AppError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { key, address, cause } if cause.kind() == io::ErrorKind::AddrInUse => {
                write!(out, "--{key} {address}: something else listens there already; stop it, or choose another port")
            }
            Self::Bind { key, address, cause } => write!(out, "--{key} {address}: cannot listen there: {cause}"),
            Self::System(cause) => write!(out, "the system refuses what is needed: {cause}"),
        }
    }
}

impl std::error::Error for AppError {}

/// What only the process can do.
pub struct Process {
    /// Reads the configuration and the files that it names, or says what is wrong with them.
    pub load: Box<dyn Fn() -> Result<(Config, Material), String> + Send + Sync>,
    /// Logs at this level, which was checked with the configuration, from now on.
    pub set_log_level: Box<dyn Fn(&str) + Send + Sync>,
    /// Lines of the log that were dropped so far.
    pub log_drops: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Runs until a signal ends it. The exit code is 0 once drained; a second signal ends the process at once.
///
/// # Errors
/// When an address is taken or the system gives no threads.
pub fn run(config: Config, material: Material, process: Process) -> Result<ExitCode, AppError> {
    let descriptors = files::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::System)?;
    let ended = runtime.block_on(serve(config, material, descriptors, Arc::new(process)));
    // After a second signal nothing is waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    config: Config,
    material: Material,
    descriptors: Option<u64>,
    process: Arc<Process>,
) -> Result<ExitCode, AppError> {
    let mut signals = signals::Signals::new().map_err(AppError::System)?;
    let clients = bind("listen", config.listen)?;
    let admin = bind("admin-listen", config.admin_listen)?;
    let (life, lives) = watch::channel(Life::Running);
    let (stop, stopped) = watch::channel(false);

    let catalogue = Arc::new(Catalogue::new(config.max_models));
    let monitors: Vec<Arc<Monitor>> =
        config.backends.iter().map(|backend| monitor(&config, backend, &material)).collect();
    let names: Vec<Arc<str>> = monitors.iter().map(|monitor| monitor.backend.name.clone()).collect();
    let metrics =
        Metrics::with_buckets(metrics_settings(), &metrics_buckets(&config.buckets), &names, catalogue.clone());
    metrics.config_loaded(true, SystemTime::now());
    let in_flight = InFlight::default();
    let readiness = Arc::new(Readiness::default());
    let residency = Arc::new(Residency::default());

    let local = on_this_machine(&config.backends);
    for backend in &config.backends {
        metrics.set_backend_location(&backend.name, place(&config, backend, local.contains(&backend.name)));
    }
    let log = AccessLog::new(config.access_log);
    residency.on_change(poll_soon(&monitors));
    for monitor in &monitors {
        catalogue.set_pending(&monitor.backend.name);
        let found = Found { metrics: metrics.clone(), residency: residency.clone(), log: log.clone() };
        let report: Arc<dyn Report> = Arc::new(found);
        tokio::spawn(probe::run(monitor.clone(), report.clone(), stopped.clone()));
        let traffic = traffic(monitor.backend.name.clone(), metrics.clone(), in_flight.clone());
        tokio::spawn(survey::run(monitor.clone(), catalogue.clone(), report, traffic, stopped.clone()));
    }
    let address = clients.local_addr().map_err(AppError::System)?;
    let encode: Encode = {
        let (metrics, process) = (metrics.clone(), process.clone());
        let dropped = metrics.sink_dropped("log");
        Arc::new(move |format| {
            dropped.inc_by((process.log_drops)().saturating_sub(dropped.get()));
            metrics.encode(match format {
                admin::Format::Text => metrics::Format::Text,
                admin::Format::OpenMetrics => metrics::Format::OpenMetrics,
            })
        })
    };
    let meter = Arc::<Meter>::default();
    if let Some(host) = host(&config, &meter).map_err(AppError::System)? {
        metrics.watch_host(Clock::start(), move |now| host.snapshot(now));
        let price = config.electricity_price.map(ElectricityPrice::per_kilowatt_hour);
        metrics.watch_energy(meter, local, price);
    }
    let clients_scheme = scheme(material.clients.is_some());
    let admin_scheme = scheme(material.admin.speaks_tls());
    let site = admin::Parts {
        version: VERSION,
        revision: REVISION,
        started: Instant::now(),
        clients: address,
        clients_speak_tls: material.clients.is_some(),
        access: material.admin.clone(),
        readiness: readiness.clone(),
        metrics: encode,
        backends: monitors.clone(),
        in_flight: in_flight.clone(),
    };
    let admin_address = admin.local_addr().map_err(AppError::System)?;
    let admin = tokio::spawn(admin::serve(admin, site, stopped));

    let monitor = monitors.first().expect("a configuration has a backend");
    let only = Member::new(monitor.backend.clone(), config.backend.clone(), monitor.dialer.clone());
    let (fleet, fleets) = watch::channel(Arc::new(Fleet::of_one(only)));
    let shared = proxy::Shared {
        fleet: fleets,
        sink: Arc::new((metrics.clone(), (in_flight.clone(), log.clone()))),
        tls: material.clients.clone(),
        residency,
        names: catalogue,
    };
    let proxy = Proxy::start(proxy_settings(&config, descriptors), shared, lives).map_err(AppError::System)?;
    readiness.serving();
    greet(&config, (clients_scheme, address), (admin_scheme, admin_address));
    let (running, current) = watch::channel(config);
    let reload = Reload {
        config: running,
        process,
        metrics,
        monitors,
        access_log: log,
        admin: material.admin,
        clients: material.clients,
        backend: material.backend,
        proxy: proxy.settings(),
        fleet,
        settings: Box::new(move |config| proxy_settings(config, descriptors)),
    };
    let reloads = tokio::spawn(reload.run(signals.reload()));
    let limit = || current.borrow().drain_timeout;
    let served = drain(proxy, clients, &life, (&readiness, &in_flight), &mut signals, limit).await;
    reloads.abort();
    stop.send_replace(true);
    // Its own grace is short and ends by itself.
    let _ = admin.await;
    served.map_err(AppError::System)
}

/// Serves until a signal, then drains for as long as is allowed. A second signal ends the process here.
async fn drain(
    proxy: Proxy,
    clients: TcpListener,
    life: &watch::Sender<Life>,
    (readiness, in_flight): (&Readiness, &InFlight),
    signals: &mut signals::Signals,
    limit: impl Fn() -> Duration,
) -> io::Result<ExitCode> {
    let mut serving = std::pin::pin!(proxy.serve(clients));
    let signal = tokio::select! {
        ended = &mut serving => return ended.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => signal,
    };
    let limit = limit();
    tracing::info!(signal = signal.name(), ?limit, "draining: no new connections, exchanges in flight go on");
    readiness.draining();
    life.send_replace(Life::Draining);
    let mut cut = 0;
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = tokio::time::sleep(limit) => {
            cut = in_flight.count();
            tracing::warn!(exchanges = cut, "the time to drain is over: ending what is still in flight");
            life.send_replace(Life::Killed);
            serving.await
        }
        again = signals.next() => {
            tracing::warn!(signal = again.name(), exchanges = in_flight.count(), "a second signal: ending at once");
            return Ok(again.exit_code());
        }
    };
    tracing::info!(cut, "drained");
    ended.map(|()| ExitCode::SUCCESS)
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    listen::listen(address).map_err(|cause| AppError::Bind { key, address, cause })
}

fn metrics_settings() -> metrics::Settings {
    metrics::Settings {
        build: metrics::Build { version: VERSION, revision: REVISION, rustc: env!("INFEROMETER_RUSTC") },
        started: SystemTime::now(),
        max_histograms: metrics::DEFAULT_MAX_HISTOGRAMS,
        max_series: metrics::DEFAULT_MAX_SERIES,
    }
}

fn metrics_buckets(configured: &config::Buckets) -> metrics::Buckets {
    let own = |bounds: &Option<config::Bounds>| bounds.as_ref().map(|bounds| bounds.as_slice().to_vec());
    metrics::Buckets {
        duration: own(&configured.duration),
        first_token: own(&configured.first_token),
        token: own(&configured.token),
        load: own(&configured.load),
        rate: own(&configured.rate),
        overhead: own(&configured.overhead),
        size: own(&configured.size),
        context: own(&configured.context),
    }
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

fn monitor(config: &Config, backend: &Backend, material: &Material) -> Arc<Monitor> {
    let monitor = Monitor::new(backend.clone(), literal_host(config), Pace::default(), Instant::now());
    Arc::new(monitor.with_tls(material.backend.clone()))
}

/// Looks again at what the backend of a name holds in memory.
fn poll_soon(monitors: &[Arc<Monitor>]) -> impl Fn(&str) + use<> {
    let monitors = monitors.to_vec();
    move |backend| monitors.iter().filter(|monitor| *monitor.backend.name == *backend).for_each(|it| it.poll_soon())
}

/// What goes through to a backend, for whoever must not disturb one that rests.
fn traffic(backend: Arc<str>, metrics: Arc<Metrics>, in_flight: InFlight) -> ReadTraffic {
    Box::new(move || Traffic { begun: metrics.exchanges_started(&backend), in_flight: in_flight.is_busy(&backend) })
}

/// The `Host` that the backend wants to hear from everybody, ourselves included.
fn literal_host(config: &Config) -> Option<&str> {
    match &config.backend.host_header {
        HostHeader::Literal(host) => host.to_str().ok(),
        HostHeader::Preserve | HostHeader::Upstream => None,
    }
}

/// The machine's sources, where they are wanted.
fn host(config: &Config, meter: &Arc<Meter>) -> io::Result<Option<Host>> {
    let helper = config.helper_url.clone();
    let settings = |period| host::Settings { period, helper, ..host::Settings::default() };
    config.host_period.map(|period| Host::start(&settings(period), meter)).transpose()
}

/// The backends that draw from this machine's meters: those on a loopback address, or on one that can be bound here.
/// A name other than `localhost` may be of any machine.
fn on_this_machine(backends: &[Backend]) -> Vec<Arc<str>> {
    let bound = |ip| std::net::UdpSocket::bind((ip, 0)).is_ok();
    let local = |backend: &&Backend| backend.address.is_localhost() || backend.address.ip().is_some_and(bound);
    backends.iter().filter(local).map(|backend| Arc::clone(&backend.name)).collect()
}

/// Where a backend stands: as configured, else its machine is this one, or the one that its address names.
fn place(config: &Config, backend: &Backend, is_here: bool) -> BackendLocation {
    let told = || if is_here { host::node() } else { backend.address.host.as_str().into() };
    let zone = config.backend_zone.as_deref().unwrap_or_default();
    BackendLocation { node: config.backend_node.as_deref().map_or_else(told, Into::into), zone: zone.into() }
}

/// How clients are served, on this machine.
fn proxy_settings(config: &Config, descriptors: Option<u64>) -> proxy::Settings {
    let threads = config.worker_threads.or_else(|| std::thread::available_parallelism().ok());
    proxy::Settings {
        max_connections: match config.max_connections {
            MaxConnections::Auto => descriptors.map_or(u64::MAX, files::connections),
            MaxConnections::Unlimited => u64::MAX,
            MaxConnections::AtMost(most) => most as u64,
        },
        threads: threads.unwrap_or(NonZeroUsize::MIN),
        ..config.proxy.clone()
    }
}

/// What a person needs to know at start.
fn greet(config: &Config, clients: (&str, SocketAddr), admin: (&str, SocketAddr)) {
    for backend in &config.backends {
        tracing::info!(
            version = VERSION,
            clients = %format_args!("{}://{}", clients.0, clients.1),
            metrics = %format_args!("{}://{}/metrics", admin.0, admin.1),
            backend = %format_args!("{} ({})", backend.name, backend.address),
            "inferometer is listening: point clients at the first address, Prometheus at the second"
        );
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_counted_for_a_backend_that_is_surely_on_this_machine() {
        let local = |address: &str| {
            let address = address.parse().expect("an address");
            !on_this_machine(&[Backend { name: "it".into(), address }]).is_empty()
        };
        for here in ["localhost", "127.0.0.1:8080", "http://[::1]:11434", "0.0.0.0"] {
            assert!(local(here), "{here}");
        }
        // Addresses for documentation belong to nobody, and a name may be of any machine.
        for elsewhere in ["192.0.2.1", "http://gpu-box:11434", "https://gpu.lan", "http://[2001:db8::1]:80"] {
            assert!(!local(elsewhere), "{elsewhere}");
        }
    }
}
