//! Builds every part and joins them; owns the listeners, the tasks, the signals, the reload and the drain.
//!
//! The main thread runs everything that is not traffic (second listener, probes, signals) on a runtime of its own; the
//! proxy has its own threads. One file a part, with one function that starts it; nothing else wires parts together.

mod admin;
mod alerts;
mod announce;
mod api;
mod backends;
mod certificates;
mod collectors;
pub mod command;
mod components;
mod descriptors;
mod discovery;
mod drain;
mod error;
mod events;
mod fanout;
mod fleet;
mod history;
mod host;
mod listen;
mod location;
mod machine;
mod machines;
pub mod material;
mod metrics;
mod monitor;
mod observers;
mod peers;
mod process;
mod proxy;
mod reload;
mod signals;
mod their_alerts;
mod webhook;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cli::VERSION;
use crate::config::Config;
use crate::history::journal::event::{Event, EventKind};
use crate::proxy::Life;
use backends::WatchedBackends;
use components::Components;
use discovery::Discovery;
pub use error::AppError;
use material::Material;
use observers::Observers;
pub use process::Process;
use reload::Reloader;
use signals::Signals;

/// Runs until a signal ends it. The exit code is 0 once drained; a second signal ends the process at once.
///
/// # Errors
/// When an address is taken or the system gives no threads.
pub fn run(config: Config, material: Material, process: Process) -> Result<ExitCode, AppError> {
    let descriptors = descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::System)?;
    let ended = runtime.block_on(serve(config, material, descriptors, Arc::new(process)));
    // After a second signal nothing is waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    mut config: Config,
    material: Material,
    descriptors: Option<u64>,
    process: Arc<Process>,
) -> Result<ExitCode, AppError> {
    let mut signals = Signals::new().map_err(AppError::System)?;
    let clients = listen::listen("listen", config.listen)?;
    let admin = listen::listen("admin-listen", config.admin_listen)?;
    let dashboard = config.dashboard_listen.map(|address| listen::listen("dashboard-listen", address)).transpose()?;
    let clients_address = clients.local_addr().map_err(AppError::System)?;
    let admin_address = admin.local_addr().map_err(AppError::System)?;
    let (life, lives) = watch::channel(Life::Running);
    let (stop, stopped) = watch::channel(false);

    let mut discovery = Discovery::default();
    config.discovered = discovery.look(&config).await;
    let found = watch::Sender::new(config.discovered.clone());
    let components = Arc::new(Components::build(&config, &material, &process).map_err(AppError::System)?);
    let fleet = watch::Sender::new(Arc::new(fleet::build(&config, &components)));
    fleet::expose(&components, &fleet);
    let members = config.members();
    let local = location::on_this_machine(members.iter().map(|member| &member.backend));
    let backends = WatchedBackends::start(&config, &components, fleet.subscribe());
    certificates::watch(&material, &components, &stopped);
    let host = host::start(&config, &components, local, &stopped).map_err(AppError::System)?;
    let (running, current) = watch::channel(config.clone());
    let settings = api::settings(current.clone(), &material, descriptors);
    let proxy = proxy::start(&config, descriptors, &components, &material, fleet.subscribe(), lives)
        .map_err(AppError::System)?;
    let observers = Observers::new().map_err(AppError::System)?;
    let observing = observers.enter();
    alerts::start(&config, &components, admin_address, &material, &stopped);
    peers::start(&material, &components, &stopped);
    machines::start(&material, &components, &stopped);
    let api = api::parts(
        &components,
        host,
        clients_address,
        settings,
        &material,
        (proxy.stops(), fleet.subscribe()),
        stopped.clone(),
    );
    let dashboard_address = dashboard.as_ref().and_then(|listener| listener.local_addr().ok());
    let listeners = admin::Listeners { all: std::iter::once(admin).chain(dashboard).collect(), descriptors };
    let mut admin = admin::serve(listeners, clients_address, &components, api, &material, process.clone(), stopped)
        .map_err(AppError::System)?;
    drop(observing);
    components.readiness.set_serving();
    announce::announce(&config, &material, clients_address, admin_address);
    if let Some(address) = dashboard_address {
        tracing::info!(dashboard = %address, "the dashboard is served here too");
    }
    components.history.journal().event(Event::new(EventKind::Started).with("version", VERSION));
    // What it finds is said after where the program listens.
    observers.begin();

    let reloader = Reloader {
        config: running,
        material,
        process,
        components: components.clone(),
        proxy: proxy.settings(),
        fleet,
        backends,
        descriptors,
        found: found.subscribe(),
    };
    tokio::spawn(discovery.run(current.clone(), found));
    let reloads = tokio::spawn(reloader.run(signals.reload_requests()));
    let limit = || current.borrow().drain_timeout;
    let served = drain::serve_then_drain(proxy, clients, &life, &components, &mut signals, limit).await;
    reloads.abort();
    stop.send_replace(true);
    // The listeners limit their own shutdown, and the history is closed also where one of them has failed.
    while admin.join_next().await.is_some() {}
    components.history.close();
    if let Some(copy) = &components.copy {
        copy.close();
    }
    served.map_err(AppError::System)
}
