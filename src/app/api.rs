//! Passes to the dashboard API what it shows.

use std::sync::Arc;

use super::components::Components;
use super::material::Material;
use crate::access::Gate;
use crate::api::{Parts, ReadHost};
use crate::clock::Clock;
use crate::host::Host;

/// `host` reads the machine; `None` where that is switched off.
pub(super) fn parts(components: &Components, host: Option<Arc<Host>>, material: &Material) -> Parts {
    Parts {
        gate: Arc::new(Gate::new(material.admin.rules(), components.history.journal())),
        clock: Clock::start(),
        host: host.map(|host| Arc::new(move |now| host.snapshot(now)) as ReadHost),
        in_flight: components.in_flight.clone(),
        recent: components.recent.clone(),
        readers: components.readers.clone(),
    }
}
