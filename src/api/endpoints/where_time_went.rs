//! The time of one exchange, as the steps that follow each other, and in one sentence.
//!
//! Steps begin and end at offsets that the proxy saw. What the backend reports of its own work is placed inside the wait
//! for the first token: a load at its beginning, reading the prompt at its end.

use serde::Serialize;
use utoipa::ToSchema;

use crate::history::row::Row;

/// A step of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TimelineStep {
    step: &'static str,
    /// From the request's head.
    from_ms: f64,
    /// From the request's head.
    to_ms: f64,
    /// The backend reported how long it took, not when: its place is an estimate.
    placed_by_estimate: bool,
}

/// A step: how it is called, and what a sentence says of it.
struct Step {
    name: &'static str,
    sentence: &'static str,
}

const QUEUE: Step = Step { name: "queue", sentence: "it waited for a place on a backend" };
const CONNECT: Step = Step { name: "connect", sentence: "the connection to the backend was opened" };
const UPLOAD: Step = Step { name: "upload", sentence: "the request was sent to the backend" };
const WAIT: Step = Step { name: "wait", sentence: "the backend had not begun to answer" };
const LOAD: Step = Step { name: "load", sentence: "the backend loaded the model" };
const PREFILL: Step = Step { name: "prefill", sentence: "the backend read the prompt" };
const GENERATE: Step = Step { name: "generate", sentence: "tokens were generated and sent" };
const RECEIVE: Step = Step { name: "receive", sentence: "the answer was received and passed on" };

/// A step with its beginning and end in microseconds, and whether its place is an estimate.
type Part = (&'static Step, u64, u64, bool);

/// The steps of an exchange in their order. A step that took no time is left out.
pub(super) fn steps(row: &Row) -> Vec<TimelineStep> {
    let millis = |micros: u64| micros as f64 / 1e3;
    parts(row)
        .into_iter()
        .map(|(step, from, to, placed_by_estimate)| TimelineStep {
            step: step.name,
            from_ms: millis(from),
            to_ms: millis(to),
            placed_by_estimate,
        })
        .collect()
}

/// What took longest; `None` where nothing took any time.
pub(super) fn sentence(row: &Row) -> Option<String> {
    let end = row.duration.micros().filter(|end| *end > 0)?;
    let (step, from, to, _) = parts(row).into_iter().max_by_key(|(_, from, to, _)| to - from)?;
    let took = to - from;
    Some(format!("For {} of {} ({:.0} %) {}.", text(took), text(end), took as f64 / end as f64 * 100.0, step.sentence))
}

fn parts(row: &Row) -> Vec<Part> {
    let Some(end) = row.duration.micros() else { return Vec::new() };
    let answers = row.first_token.micros().or(row.head.micros());
    let after_answer = if row.first_token.micros().is_some() { &GENERATE } else { &RECEIVE };
    // Where each step ends, as far as that is known.
    let ends = [
        (&QUEUE, row.placed.micros()),
        (&CONNECT, row.dialled.micros()),
        (&UPLOAD, row.uploaded.micros()),
        (&WAIT, Some(answers.unwrap_or(end))),
        (after_answer, Some(end)),
    ];
    let (mut parts, mut from) = (Vec::new(), 0);
    for (step, to) in ends {
        let Some(to) = to.map(|to| to.min(end)).filter(|to| *to > from) else { continue };
        match step.name {
            "wait" => parts.extend(reported(row, from, to)),
            _ => parts.push((step, from, to, false)),
        }
        from = to;
    }
    parts
}

/// The wait for the first token: what the backend reports of it, and the rest.
fn reported(row: &Row, from: u64, to: u64) -> impl Iterator<Item = Part> {
    let whole = to - from;
    let load = row.load.micros().unwrap_or(0).min(whole);
    let prefill = row.prefill.micros().unwrap_or(0).min(whole - load);
    let (loaded, begun) = (from + load, to - prefill);
    let parts = [(&LOAD, from, loaded, true), (&WAIT, loaded, begun, false), (&PREFILL, begun, to, true)];
    parts.into_iter().filter(|(_, from, to, _)| to > from)
}

/// A duration with two or three digits.
fn text(micros: u64) -> String {
    let seconds = micros as f64 / 1e6;
    match seconds {
        seconds if seconds >= 100.0 => format!("{seconds:.0} s"),
        seconds if seconds >= 10.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{micros} µs"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::row::sample;
    use crate::history::units;

    fn micros(micros: u64) -> units::Span {
        units::Span::from_micros(micros)
    }

    #[test]
    fn steps_follow_each_other_from_the_first_byte_to_the_last() {
        let row = Row {
            placed: micros(1_000),
            dialled: micros(3_000),
            uploaded: micros(10_000),
            head: micros(4_000_000),
            first_token: micros(5_000_000),
            load: micros(3_000_000),
            prefill: micros(1_500_000),
            ..sample(Duration::from_secs(8))
        };
        let found: Vec<_> =
            parts(&row).iter().map(|(step, from, to, estimated)| (step.name, *from, *to, *estimated)).collect();
        let expected = [
            ("queue", 0, 1_000, false),
            ("connect", 1_000, 3_000, false),
            ("upload", 3_000, 10_000, false),
            ("load", 10_000, 3_010_000, true),
            ("wait", 3_010_000, 3_500_000, false),
            ("prefill", 3_500_000, 5_000_000, true),
            ("generate", 5_000_000, 8_000_000, false),
        ];
        assert_eq!(found, expected);
        let said = sentence(&Row { load: micros(3_500_000), ..row });
        assert_eq!(said.as_deref(), Some("For 3.50 s of 8.00 s (44 %) the backend loaded the model."));
    }

    #[test]
    fn what_is_unknown_takes_no_time() {
        assert!(parts(&Row { duration: units::Span::UNKNOWN, ..sample(Duration::ZERO) }).is_empty());
        assert_eq!(sentence(&sample(Duration::ZERO)), None);
        let refused = sample(Duration::from_micros(300));
        assert_eq!(
            steps(&refused)[0],
            TimelineStep { step: "wait", from_ms: 0.0, to_ms: 0.3, placed_by_estimate: false }
        );
        // What a backend reports of itself is never longer than the wait that it explains.
        let row = Row {
            load: micros(9_000),
            prefill: micros(9_000),
            first_token: micros(5_000),
            ..sample(Duration::from_millis(6))
        };
        let found: Vec<_> = parts(&row).iter().map(|(step, from, to, _)| (step.name, *from, *to)).collect();
        assert_eq!(found, [("load", 0, 5_000), ("generate", 5_000, 6_000)]);
    }
}
