//! Reads the machine, if configured, and exposes it as metrics.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::components::Components;
use super::{collectors, machine};
use crate::clock::Clock;
use crate::config::Config;
use crate::host::energy::Meter;
use crate::host::{Host, Settings};
use crate::metrics::energy::Price;

/// Starts the sources of the machine, which are watched until `stop` is true; `None` where they are switched off. Energy is attributed to the backends that `local` names.
pub(super) fn start(
    config: &Config,
    components: &Components,
    local: Vec<Arc<str>>,
    stop: &watch::Receiver<bool>,
) -> io::Result<Option<Arc<Host>>> {
    let Some(period) = config.host_period else { return Ok(None) };
    let settings = Settings { period, helper: config.helper_url.clone(), ..Settings::default() };
    let meter = Arc::<Meter>::default();
    let host = Arc::new(Host::start(&settings, &meter)?);
    machine::watch(&components.history, host.clone());
    collectors::watch(host.clone(), components.history.journal(), period, stop);
    let metrics = &components.metrics;
    let watched = host.clone();
    metrics.watch_host(Clock::start(), move |now| watched.snapshot(now));
    let price = config.electricity_price.map(|price| Price {
        per_kilowatt_hour: price.per_kilowatt_hour(),
        currency: config.electricity_currency.clone().unwrap_or_default(),
    });
    metrics.watch_energy(meter, local, price);
    Ok(Some(host))
}
