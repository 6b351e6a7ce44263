//! Which exchanges energy is attributed to.

use super::*;
use crate::host::energy::{Meter, MeterReading};

struct Rig {
    meter: Arc<Meter>,
    catalogue: Arc<Catalogue>,
    metrics: Arc<Metrics>,
    joules: f64,
}

fn rig() -> Rig {
    let (meter, catalogue) = (Arc::<Meter>::default(), Arc::<Catalogue>::default());
    let metrics = Metrics::new(settings(), &["local".into()], catalogue.clone());
    metrics.watch_energy(meter.clone(), vec!["local".into()], None);
    let mut rig = Rig { meter, catalogue, metrics, joules: 0.0 };
    rig.spend(0.0);
    // Idle power is next to nothing, so all that follows is above it.
    rig.spend(1e-6);
    rig
}

impl Rig {
    /// Advances the meter.
    fn spend(&mut self, joules: f64) {
        self.joules += joules;
        let reading = MeterReading { meter: "card".into(), joules: Some(self.joules), watts: None };
        self.meter.observe(Instant::now(), &[reading]);
    }

    fn in_flight(&self, route: Route) -> impl Watch + use<> {
        let mut watch = begin(&self.metrics, &start(route));
        watch.forwarded();
        watch.uploaded(Instant::now());
        watch
    }

    /// The models of all consumers that the meter knows.
    fn consumers(&self) -> Vec<String> {
        let used = self.meter.totals().unwrap().used;
        used.into_iter().map(|(consumer, _)| consumer.model.to_string()).collect()
    }
}

#[test]
fn only_exchanges_that_make_a_model_work_on_this_machine_are_attributed_energy() {
    let rig = rig();
    drop(rig.in_flight(TAGS));
    let mut watch = Sink::started(&*rig.metrics, &start(CHAT));
    watch.placed(&on("far"));
    watch.uploaded(Instant::now());
    drop(watch);
    let mut uploading = begin(&rig.metrics, &start(CHAT));
    uploading.forwarded();
    drop(uploading);
    let refused = begin(&rig.metrics, &start(CHAT));
    drop(refused);
    assert!(rig.consumers().is_empty(), "{:?}", rig.consumers());
    let embeddings = Route { operation: Operation::Embeddings, ..CHAT };
    drop(rig.in_flight(embeddings));
    assert_eq!(rig.consumers(), ["unknown"]);
}

#[test]
fn a_model_that_the_route_cannot_name_is_unknown_and_not_empty() {
    let rig = rig();
    let nameless = Route { endpoint: "/", operation: Operation::TextCompletion, names_model: false, ..CHAT };
    drop(rig.in_flight(nameless));
    assert_eq!(rig.consumers(), ["unknown"]);
}

#[test]
fn the_label_is_the_admitted_name_and_an_unknown_one_is_unknown() {
    let rig = rig();
    rig.catalogue.admit("llama3:latest");
    let mut watch = begin(&rig.metrics, &start(CHAT));
    watch.requested(Some(&"llama3".into()));
    watch.uploaded(Instant::now());
    assert_eq!(rig.consumers(), ["llama3:latest"], "known before it worked");
    let mut other = rig.in_flight(CHAT);
    other.requested(Some(&"made-up".into()));
    assert_eq!(rig.consumers(), ["llama3:latest", "unknown"]);
    other.answered(&"mistral".into());
    assert_eq!(rig.consumers(), ["llama3:latest", "unknown", "mistral:latest"]);
}

/// Ollama passes requests for models of its cloud on.
#[test]
fn an_exchange_that_another_host_answers_is_attributed_no_energy() {
    for known_from_the_name in [true, false] {
        let mut rig = rig();
        let mut watch = begin(&rig.metrics, &start(CHAT));
        watch.requested(Some(&"m-cloud".into()));
        watch.forwarded();
        if known_from_the_name {
            watch.elsewhere();
        }
        watch.uploaded(Instant::now());
        if !known_from_the_name {
            assert_eq!(rig.consumers(), ["unknown"]);
            watch.elsewhere();
        }
        watch.uploaded(Instant::now());
        watch.answered(&"m-cloud".into());
        let before = rig.meter.totals().unwrap().rest;
        rig.spend(100.0);
        finish(watch, &plain(CHAT));
        assert!(rig.consumers().is_empty(), "{known_from_the_name}: {:?}", rig.consumers());
        assert!((rig.meter.totals().unwrap().rest - before - 100.0).abs() < 1e-6, "{known_from_the_name}");
    }
}

#[test]
fn an_exchange_is_attributed_nothing_after_it_ends_in_any_way() {
    for finished in [true, false] {
        let mut rig = rig();
        let watch = rig.in_flight(CHAT);
        if finished {
            finish(watch, &plain(CHAT));
        } else {
            drop(watch);
        }
        // This slice of time overlaps with the exchange, the next one does not.
        rig.spend(100.0);
        let before = rig.meter.totals().unwrap();
        rig.spend(100.0);
        let after = rig.meter.totals().unwrap();
        assert_eq!(after.used, before.used, "finished: {finished}");
        assert!((after.rest - before.rest - 100.0).abs() < 1e-6);
        assert!(before.used[0].1 > 99.0, "it was given what it drew");
    }
}
