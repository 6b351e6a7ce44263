//! How one of several backends is chosen, and in which state each is. With one backend there is no series.

use std::sync::Arc;
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::declare::families;
use super::family::Family;
use super::histogram::Histogram;
use super::number;
use super::scraped::Batch;
use crate::exchange::placement::{Placement, PlacementReason};
use crate::fleet::health::Failure;
use crate::fleet::{BackendState, Fleet};

families! {
    /// What choices feed.
    pub(super) struct Router {
        decisions: Family<IntCounter> = "ollama_proxy_router_decisions_total" ["backend", "reason"]
            "Times that a backend was chosen out of several, by why; a request that is tried on two counts for each.";
        hold: Family<Histogram> = "ollama_proxy_router_hold_seconds" [] buckets Hold
            "How long requests waited for their body to name its model.";
        joins: Family<IntCounter> = "ollama_proxy_cold_start_joins_total" ["model"]
            "Requests that were sent to a backend because it was loading their model for others.";
    }
}

families! {
    /// The state of the fleet.
    pub(super) static FLEET = [] {
        AVAILABLE: Gauge = "ollama_proxy_backend_available" ["backend"] "Whether the backend is chosen for requests.";
        STATE: Gauge = "ollama_proxy_backend_state" ["backend", "state"] "1 for the state that the backend is in, else 0.";
        WEIGHT: Gauge = "ollama_proxy_backend_weight" ["backend"]
            "The backend's share in relation to the others'; it grows again after the backend was left out.";
        IN_FLIGHT: Gauge = "ollama_proxy_backend_inflight" ["backend"] "Requests placed on the backend that have not ended.";
        SLOTS: Gauge = "ollama_proxy_backend_slots" ["backend"]
            "Requests that the backend works on at once, as configured, else as it says; absent where that is unknown or unlimited.";
        EJECTIONS: Counter = "ollama_proxy_backend_ejections_total" ["backend", "reason"]
            "Times that the backend was left out because of failures.";
        IGNORED: Counter = "ollama_proxy_probe_failures_ignored_total" ["backend"]
            "Failed probes that said nothing, as requests were in flight on the backend.";
        LISTING_AGE: Gauge = "ollama_proxy_fleet_listing_age_seconds" ["backend", "route"]
            "How old the backend's list was in the latest answer that merged it; absent where the backend was not in it.";
        BALANCE: Gauge = "ollama_proxy_load_balance_efficiency" []
            "How evenly the requests in flight fall on the backends that are chosen, by their slots, or by weight where those are unknown (Jain's index): 1 is evenly, one part of their number is all on one; absent while all are idle.";
        HELD: Gauge = "ollama_proxy_router_held_bytes" [] "Bytes of requests that are held until their model is known.";
        OVERFLOW: Counter = "ollama_proxy_router_hold_overflow_total" []
            "Requests placed without their model, as their body was too long before it named one.";
    }
}

impl Router {
    pub(super) fn placed(&self, placement: &Placement) {
        if placement.reason == PlacementReason::Only {
            return;
        }
        self.decisions.child(&[&placement.backend, placement.reason.as_str()]).inc();
        if let Some(seconds) = placement.held.and_then(number::seconds) {
            self.hold.child(&[]).observe(seconds);
        }
    }

    pub(super) fn joined(&self, model: &str) {
        self.joins.child(&[model]).inc();
    }
}

/// What is held of bodies.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeldBytes {
    /// Now, in bytes.
    pub now: u64,
    /// Bodies that were too long, since the start.
    pub overflows: u64,
}

/// The fleet at each scrape.
pub(super) struct FleetMetrics<F, H> {
    fleet: F,
    held: H,
    descs: Vec<Desc>,
}

impl<F, H> FleetMetrics<F, H>
where
    F: Fn() -> Arc<Fleet> + Send + Sync + 'static,
    H: Fn() -> HeldBytes + Send + Sync + 'static,
{
    pub(super) fn register(registry: &Registry, fleet: F, held: H) {
        let descs = FLEET.iter().map(|spec| spec.desc()).collect();
        registry.register(Box::new(Self { fleet, held, descs })).expect("every name is registered once");
    }
}

impl<F, H> Collector for FleetMetrics<F, H>
where
    F: Fn() -> Arc<Fleet> + Send + Sync,
    H: Fn() -> HeldBytes + Send + Sync,
{
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let fleet = (self.fleet)();
        if fleet.has_several() { families(&fleet, (self.held)(), Instant::now()) } else { Vec::new() }
    }
}

fn families(fleet: &Fleet, held: HeldBytes, now: Instant) -> Vec<MetricFamily> {
    let mut batch = Batch::default();
    let count = |count: u64| Some(count as f64);
    for member in fleet.members() {
        let (backend, state) = (&*member.backend.name, fleet.state(member, now));
        batch.add(&AVAILABLE, &[backend], Some(f64::from(u8::from(state.is_chosen()))));
        for other in BackendState::ALL {
            batch.add(&STATE, &[backend, other.as_str()], Some(f64::from(u8::from(other == state))));
        }
        batch.add(&WEIGHT, &[backend], Some(member.weight(now)));
        batch.add(&IN_FLIGHT, &[backend], count(member.in_flight()));
        let slots = member.slots().filter(|slots| *slots < u32::MAX);
        batch.add(&SLOTS, &[backend], slots.map(f64::from));
        for failure in Failure::ALL {
            batch.add(&EJECTIONS, &[backend, failure.as_str()], count(member.ejections(failure)));
        }
        for (endpoint, age) in member.listing_ages() {
            batch.add(&LISTING_AGE, &[backend, endpoint], age.and_then(number::seconds));
        }
        batch.add(&IGNORED, &[backend], count(member.ignored_probes()));
    }
    batch.add(&BALANCE, &[], fleet.balance(now));
    batch.add(&HELD, &[], count(held.now));
    batch.add(&OVERFLOW, &[], count(held.overflows));
    batch.into_families()
}
