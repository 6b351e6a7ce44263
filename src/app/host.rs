//! Reads the machine, if configured, and exposes it as metrics.

use std::io;
use std::sync::Arc;

use super::components::Components;
use super::machine;
use crate::clock::Clock;
use crate::config::Config;
use crate::host::energy::Meter;
use crate::host::{Host, Settings};
use crate::metrics::energy::Price;

/// Starts the sources of the machine. Energy is attributed to the backends that `local` names.
pub(super) fn start(config: &Config, components: &Components, local: Vec<Arc<str>>) -> io::Result<()> {
    let Some(period) = config.host_period else { return Ok(()) };
    let settings = Settings { period, helper: config.helper_url.clone(), ..Settings::default() };
    let meter = Arc::<Meter>::default();
    let host = Arc::new(Host::start(&settings, &meter)?);
    machine::watch(&components.history, host.clone());
    let metrics = &components.metrics;
    metrics.watch_host(Clock::start(), move |now| host.snapshot(now));
    let price = config.electricity_price.map(|price| Price {
        per_kilowatt_hour: price.per_kilowatt_hour(),
        currency: config.electricity_currency.clone().unwrap_or_default(),
    });
    metrics.watch_energy(meter, local, price);
    Ok(())
}
