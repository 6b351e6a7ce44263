//! Exchanges that end differently are counted apart, though the handles of their ends are remembered.

use super::*;

#[test]
fn ends_that_differ_in_one_thing_are_counted_apart() {
    let metrics = metrics();
    let like = plain(CHAT);
    let start = |method, route| Start { method, route, ..like.start.clone() };
    let ends = [
        like.clone(),
        Record { start: start(Method::Put, CHAT), ..like.clone() },
        Record { start: start(Method::Post, OPENAI), ..like.clone() },
        Record { status: 201, ..like.clone() },
        Record { outcome: Outcome::Truncated, ..like.clone() },
    ];
    for _ in 0..2 {
        ends.iter().for_each(|record| complete(&metrics, "m", record));
    }
    assert_eq!(counted(&metrics, "requests_total"), vec![2.0; ends.len()]);
    // PUT has the method `other` there; the status and the outcome are no labels of a duration.
    let mut durations = values(&metrics, "request_duration_seconds_count");
    durations.sort_by(f64::total_cmp);
    assert_eq!(durations, [2.0, 2.0, 6.0]);
}

#[test]
fn an_exchange_that_was_refused_before_a_backend_was_chosen_counts_on_none() {
    let metrics = metrics();
    let refused = Record { outcome: Outcome::Rejected, placement: None, ..plain(CHAT) };
    let watch = Sink::started(&*metrics, &refused.start);
    assert_eq!(values(&metrics, "active_requests"), [0.0, 0.0], "it is on no backend");
    finish(watch, &refused);
    let total = r#"requests_total{backend="",endpoint="/api/chat",method="POST",model="unknown",outcome="rejected",status="200"}"#;
    assert_eq!(value(&metrics, total), Some(1.0));
    assert_eq!(value(&metrics, r#"requests_started_total{backend="",endpoint="/api/chat"}"#), Some(1.0));
    assert_eq!(values(&metrics, "active_requests").iter().sum::<f64>(), 0.0);
}

#[test]
fn an_exchange_that_another_backend_is_asked_for_is_active_there() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(CHAT));
    watch.forwarded();
    watch.placed(&Placement { attempt: 2, ..on("far") });
    for (backend, active) in [("local", 0.0), ("far", 1.0)] {
        let label = format!("{{backend=\"{backend}\",model=\"unknown\"}}");
        assert_eq!(value(&metrics, &format!("active_requests{label}")), Some(active), "{backend}");
        assert_eq!(value(&metrics, &format!("active_generations{label}")), Some(active), "{backend}");
    }
}
