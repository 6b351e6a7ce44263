//! The engine by itself; what it gives for the histories of `prometheus/tests` is tested against promtool.

use super::*;
use crate::alert::rules::{all, find};

fn engine(rule: &str) -> Engine {
    Engine::new(find(rule))
}

fn backend(name: &str) -> Labels {
    Labels::default().with("backend", name)
}

/// Feeds the value every ten seconds from `from` up to `to` seconds. Returns the seconds at which something changed.
fn feed(engine: &mut Engine, metric: &str, labels: &Labels, value: f64, (from, to): (i64, i64)) -> Vec<(i64, bool)> {
    let mut changes = Vec::new();
    for second in (from..to).step_by(10) {
        engine.samples().push(metric, labels, value, second * 1_000);
        for change in engine.step(second * 1_000) {
            changes.push((second, matches!(change, Change::Fired(_))));
        }
    }
    changes
}

#[test]
fn every_rule_can_be_evaluated_or_says_why_not() {
    let engine = Engine::new(all());
    let elsewhere: Vec<_> = engine
        .states()
        .filter(|(_, state)| matches!(state, RuleState::Elsewhere(_)))
        .map(|(rule, _)| rule.name)
        .collect();
    assert_eq!(elsewhere, ["InferometerProxyDown", "InferometerSlowDecode"]);
    let compares =
        |rule: &&Rule| rule.evaluated != Evaluated::Here || parse(rule.expr).expect(rule.name).threshold().is_some();
    let others: Vec<_> = all().filter(|rule| !compares(rule)).map(|rule| rule.name).collect();
    assert_eq!(others, ["InferometerModelWithoutBackend"], "the rest has a threshold");
}

#[test]
fn an_alert_begins_when_its_condition_does_and_not_when_it_fires() {
    let mut engine = engine("InferometerBackendDown");
    let changes = feed(&mut engine, "ollama_proxy_backend_up", &backend("a"), 0.0, (100, 200));
    assert_eq!(changes, [(160, true)]);
    let alert = engine.alerts().next().expect("it fires");
    assert_eq!((alert.started, alert.fired), (100_000, Some(160_000)));
    assert_eq!(&*alert.summary, "Backend a does not answer");
    assert_eq!(feed(&mut engine, "ollama_proxy_backend_up", &backend("a"), 1.0, (200, 220)), [(200, false)]);
    assert_eq!(engine.alerts().count(), 0);
}

#[test]
fn what_is_close_to_its_limit_does_not_come_and_go() {
    let mut engine = engine("InferometerProcessorHot");
    let hot = |engine: &mut Engine, celsius, range| {
        feed(engine, "ollama_proxy_cpu_temperature_celsius", &Labels::default(), celsius, range)
    };
    assert_eq!(hot(&mut engine, 91.0, (0, 610)), [(600, true)]);
    assert_eq!(hot(&mut engine, 88.0, (610, 1_000)), []);
    assert_eq!(hot(&mut engine, 86.9, (1_000, 1_100)), [(1_000, false)]);
    assert_eq!(hot(&mut engine, 88.0, (1_100, 2_000)), [], "below the limit it does not begin");
}

#[test]
fn a_rule_without_samples_or_with_too_few_says_so() {
    let mut engine = engine("InferometerErrorRate");
    let state = |engine: &Engine| engine.states().next().expect("one").1;
    assert_eq!(state(&engine), RuleState::NoSamples);
    let requests = |engine: &mut Engine, count: f64, second: i64| {
        engine.samples().push("ollama_proxy_requests_ended_total", &backend("a"), count, second * 1_000);
        engine.step(second * 1_000);
    };
    requests(&mut engine, 0.0, 0);
    requests(&mut engine, 5.0, 60);
    assert_eq!(state(&engine), RuleState::NotYet);
    requests(&mut engine, 500.0, 120);
    assert_eq!(state(&engine), RuleState::Quiet);
}

#[test]
fn an_alert_of_an_earlier_run_goes_on_or_ends_soon() {
    let mut first = engine("InferometerBackendDown");
    feed(&mut first, "ollama_proxy_backend_up", &backend("a"), 0.0, (0, 100));
    feed(&mut first, "ollama_proxy_backend_up", &backend("b"), 0.0, (0, 100));
    let alerts: Vec<_> = first.alerts().collect();
    assert_eq!(alerts.len(), 2);
    let mut second = engine("InferometerBackendDown");
    second.restore(alerts, 200_000);
    assert_eq!(second.step(205_000), [], "nothing was probed yet");
    assert_eq!(feed(&mut second, "ollama_proxy_backend_up", &backend("a"), 0.0, (210, 350)), []);
    let changes = feed(&mut second, "ollama_proxy_backend_up", &backend("a"), 0.0, (350, 390));
    assert_eq!(changes, [(350, false)], "nothing was heard of the other");
    assert_eq!(second.alerts().map(|alert| alert.started).collect::<Vec<_>>(), [0]);
}

#[test]
fn alerts_of_a_rule_are_bounded() {
    let mut engine = engine("InferometerGpuRowRemapFailed");
    for card in 0..MAX_ALERTS + 5 {
        let labels = Labels::default().with("gpu", &card.to_string());
        engine.samples().push("ollama_proxy_gpu_row_remap_failed", &labels, 1.0, 0);
    }
    assert_eq!(engine.step(0).len(), MAX_ALERTS);
    assert_eq!(engine.step(1_000), []);
}
