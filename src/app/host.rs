//! Reads the machine, if configured, and exposes it as metrics.

use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{Config, ElectricityPrice};
use crate::host::energy::Meter;
use crate::host::{Host, Settings};
use crate::metrics::Metrics;

/// Starts the sources of the machine. Energy is attributed to the backends that `local` names.
pub(super) fn start(config: &Config, metrics: &Metrics, local: Vec<Arc<str>>) -> io::Result<()> {
    let Some(period) = config.host_period else { return Ok(()) };
    let settings = Settings { period, helper: config.helper_url.clone(), ..Settings::default() };
    let meter = Arc::<Meter>::default();
    let host = Host::start(&settings, &meter)?;
    metrics.watch_host(Clock::start(), move |now| host.snapshot(now));
    let price = config.electricity_price.map(ElectricityPrice::per_kilowatt_hour);
    metrics.watch_energy(meter, local, price);
    Ok(())
}
