//! A single probe of a backend, outside of its monitoring.

use http::Method;

use super::fetch::{FetchError, FetchLimits, fetch};
use super::inventory::{Inventory, Runtime};
use super::monitor::Monitor;
use super::probe;
use super::recognise::recognise;
use super::status::ProbeFailure;

/// The size limit of the probe's body in bytes; a response to `HEAD` has none.
const MAX_BODY: usize = 1024;

/// Probes and recognises a backend. `Ok(None)` where it answers and lists no models. No request wakes it or loads a
/// model.
///
/// # Errors
/// When it does not answer.
pub async fn probe_once(monitor: &Monitor) -> Result<Option<Inventory>, ProbeFailure> {
    match answers(monitor).await {
        Ok(()) => Ok(recognise(monitor, Runtime::Unknown, true).await),
        Err(error) => Err(probe::failure(&error)),
    }
}

/// Whether the backend answers now.
pub(super) async fn answers(monitor: &Monitor) -> Result<(), FetchError> {
    let limits = FetchLimits { time: monitor.pace.probe_limit, body: MAX_BODY };
    match fetch(&monitor.dialer, &monitor.host(), (Method::HEAD, "/"), limits).await {
        Ok(_) | Err(FetchError::TooLarge) => Ok(()),
        Err(error) => Err(error),
    }
}
