//! What several endpoints show of the backends.

use std::sync::Arc;

use crate::api::state::Parts;
use crate::api::unknown::{Maybe, Reason};
use crate::backend::inventory::{ListedModel, Resident};
use crate::backend::monitor::Monitor;
use crate::history::in_flight::InFlightExchange;

/// The models in memory of the backends that say which these are; unknown where none does.
pub(super) fn resident(parts: &Parts) -> Maybe<Vec<Resident>> {
    of_any(parts, |monitor| monitor.inventory().resident.clone())
}

/// The models that the backends list, also of one that answers no more: what it last said. Unknown where none ever has.
pub(in crate::api) fn listed(parts: &Parts) -> Maybe<Vec<ListedModel>> {
    of_any(parts, |monitor| monitor.refreshed().map(|_| monitor.inventory().models.clone()))
}

/// What the backends say together, of those that say something; unknown where none does.
fn of_any<T>(parts: &Parts, says: impl Fn(&Monitor) -> Option<Vec<T>>) -> Maybe<Vec<T>> {
    let monitors = parts.monitors();
    let said: Vec<_> = monitors.iter().filter_map(|monitor| says(monitor)).collect();
    match said.is_empty() {
        true => Maybe::Unknown(silence(&monitors)),
        false => Maybe::Known(said.into_iter().flatten().collect()),
    }
}

/// Why no backend says something.
fn silence(monitors: &[Arc<Monitor>]) -> Reason {
    let states = || monitors.iter().map(|monitor| (monitor.status.snapshot().state.is_up(), monitor.refreshed()));
    if states().all(|(is_up, _)| is_up == Some(false)) {
        Reason::CollectorFailed
    } else if states().any(|(is_up, refreshed)| is_up != Some(false) && refreshed.is_some()) {
        Reason::NotReported
    } else {
        Reason::NotYet
    }
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
