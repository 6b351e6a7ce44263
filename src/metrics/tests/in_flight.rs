//! The gauges of exchanges in flight.

use super::*;

#[test]
fn the_gauges_move_once_and_go_down_once() {
    let metrics = metrics();
    let requests = |model| value(&metrics, &format!(r#"active_requests{{backend="local",model="{model}"}}"#));
    let generations = |model| value(&metrics, &format!(r#"active_generations{{backend="local",model="{model}"}}"#));
    assert_eq!((requests("unknown"), generations("unknown"), requests("")), (Some(0.0), Some(0.0), Some(0.0)));
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some(&"m".into()));
    assert_eq!((requests("unknown"), generations("unknown")), (Some(1.0), Some(0.0)));
    watch.forwarded();
    assert_eq!((requests("unknown"), generations("unknown")), (Some(1.0), Some(1.0)));
    watch.answered(&"m".into());
    assert_eq!((requests("unknown"), requests("m:latest")), (Some(0.0), Some(1.0)));
    assert_eq!((generations("unknown"), generations("m:latest")), (Some(0.0), Some(1.0)));
    finish(watch, &full_chat());
    assert_eq!((requests("unknown"), requests("m:latest")), (Some(0.0), Some(0.0)));
    assert_eq!((generations("unknown"), generations("m:latest")), (Some(0.0), Some(0.0)));
}

#[test]
fn the_gauges_stay_where_the_request_put_them_when_the_answer_names_another_model() {
    let metrics = metrics();
    complete(&metrics, "m", &plain(CHAT));
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some(&"m".into()));
    watch.answered(&"n".into());
    assert_eq!(value(&metrics, &of("active_requests")), Some(1.0));
    assert_eq!(value(&metrics, r#"active_requests{backend="local",model="n:latest"}"#), None);
    finish(watch, &plain(CHAT));
    assert_eq!(value(&metrics, &of("active_requests")), Some(0.0));
}

#[test]
fn a_dropped_watch_gives_its_gauges_back() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(CHAT));
    watch.forwarded();
    drop(watch);
    assert!(
        values(&metrics, "active_requests")
            .iter()
            .chain(&values(&metrics, "active_generations"))
            .all(|gauge| *gauge == 0.0)
    );
}

#[test]
fn a_route_that_generates_nothing_is_no_generation() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(TAGS));
    watch.forwarded();
    assert_eq!(values(&metrics, "active_generations"), [0.0]);
    assert_eq!(value(&metrics, r#"active_requests{backend="local",model=""}"#), Some(1.0));
    finish(watch, &plain(TAGS));
}

#[test]
fn an_exchange_in_flight_is_in_one_phase_of_one_model() {
    let metrics = metrics();
    let in_phase = |model: &str, phase: Phase| {
        let labels = format!(r#"{{backend="local",model="{model}",phase="{}"}}"#, phase.as_str());
        value(&metrics, &format!("exchanges_in_phase{labels}"))
    };
    let of = |model: &str| Phase::ALL.iter().map(|phase| in_phase(model, *phase)).collect::<Option<Vec<f64>>>();
    assert_eq!((of("unknown"), of("m:latest")), (Some(vec![0.0; 4]), None), "nothing is in flight, and that is known");
    let mut watch = begin(&metrics, &start(CHAT));
    assert_eq!(of("unknown"), Some(vec![1.0, 0.0, 0.0, 0.0]));
    watch.phase(Phase::Waiting);
    watch.answered(&"m".into());
    assert_eq!((of("unknown"), of("m:latest")), (Some(vec![0.0; 4]), Some(vec![0.0, 1.0, 0.0, 0.0])));
    watch.phase(Phase::Decode);
    assert_eq!(of("m:latest"), Some(vec![0.0, 0.0, 0.0, 1.0]));
    assert_eq!(values(&metrics, "active_requests").iter().sum::<f64>(), 1.0);
    finish(watch, &plain(CHAT));
    assert_eq!(of("m:latest"), Some(vec![0.0; 4]));
}
