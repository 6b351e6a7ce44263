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
