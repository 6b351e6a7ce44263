//! What several endpoints show of the backends.

use crate::api::state::Parts;
use crate::backend::inventory::Resident;
use crate::backend::monitor::Monitor;
use crate::history::in_flight::InFlightExchange;

/// The models in memory of all backends.
pub(super) fn resident(parts: &Parts) -> Vec<Resident> {
    parts.monitors().iter().flat_map(|monitor| monitor.inventory().resident.clone().unwrap_or_default()).collect()
}

/// Backends that answer.
pub(super) fn up(parts: &Parts) -> usize {
    parts.monitors().iter().filter(|monitor| monitor.status.snapshot().state.is_up() == Some(true)).count()
}

/// The exchanges in flight on a backend.
pub(super) fn busy<'a>(
    monitor: &'a Monitor,
    in_flight: &'a [InFlightExchange],
) -> impl Iterator<Item = &'a InFlightExchange> {
    in_flight.iter().filter(|exchange| exchange.backend.as_deref() == Some(&*monitor.backend.name))
}
