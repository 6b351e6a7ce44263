//! Alerts that were kept, by what their time has in common with the time that is asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::history::Directory;
use inferometer::history::timestamp::Timestamp;
use serde_json::{Value, json};

use super::{get, settings};
use crate::support::ollama::Ollama;
use crate::support::program::Program;

const MINUTE: i64 = 60_000;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("in range")
}

/// Keeps an alert as the program would have.
fn keep(program: &Program, (id, severity): (&str, &str), started: i64, resolved: Option<i64>) {
    let main = rusqlite::Connection::open(Directory::within(program.state()).main()).expect("a file");
    main.busy_timeout(std::time::Duration::from_secs(10)).expect("a limit");
    let state = if resolved.is_some() { "resolved" } else { "firing" };
    main.execute(
        "INSERT INTO alerts (id, rule, state, severity, category, labels, started, fired, resolved, summary, description) \
         VALUES (?1, ?1, ?2, ?3, 'backend', '{}', ?4, ?4, ?5, '', '')",
        (id, state, severity, started, resolved),
    )
    .expect("it can be written");
}

fn ids(history: &Value) -> Vec<&str> {
    history["data"].as_array().expect("a list").iter().map(|alert| alert["_id"].as_str().expect("an id")).collect()
}

#[test]
fn the_history_has_each_alert_that_fired_in_the_range_and_sums_up_all_of_them() {
    let ollama = Ollama::listing(&["m"]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    program.wait_for_history();
    let now = now();
    keep(&program, ("goes_on", "critical"), now - 6 * MINUTE, None);
    keep(&program, ("long_over", "warning"), now - 120 * MINUTE, Some(now - 60 * MINUTE));
    keep(&program, ("over", "warning"), now - 122 * MINUTE, Some(now - 2 * MINUTE));
    keep(&program, ("short", "info"), now - MINUTE, Some(now - MINUTE / 2));

    let recent = get(&program, "/dashboard/alerts/history?period=5m");
    assert_eq!(ids(&recent), ["short", "goes_on", "over"], "{recent}");
    assert_eq!(recent["data"][1]["status"], "firing");
    let all = json!({ "total": 3, "critical": 1, "warning": 1, "info": 1, "avgDurationMinutes": 60.25 });
    assert_eq!(recent["summary"], all);
    let page = get(&program, "/dashboard/alerts/history?period=5m&limit=1&page=2");
    assert_eq!((ids(&page), &page["summary"]), (vec!["goes_on"], &all), "whichever page is shown");
    let warnings = get(&program, "/dashboard/alerts/history?period=5m&severity=warning&limit=1");
    assert_eq!((&warnings["summary"]["warning"], &warnings["summary"]["critical"]), (&1.into(), &0.into()));

    let between = |from: i64, to: i64| {
        let at = |minutes: i64| Timestamp(now - minutes * MINUTE).to_string();
        get(&program, &format!("/dashboard/alerts/history?from={}&to={}", at(from), at(to)))
    };
    assert_eq!(ids(&between(130, 121)), ["over"], "what began later is not in it");
    assert_eq!(ids(&between(130, 90)), ["long_over", "over"]);
    assert_eq!(ids(&between(50, 30)), ["over"], "it began before and ended after");
    let none = between(200, 150);
    assert_eq!((ids(&none).len(), &none["summary"]["total"]), (0, &0.into()));
    assert_eq!(none["unknown"]["/summary/avgDurationMinutes"], "no_samples", "{none}");
}
