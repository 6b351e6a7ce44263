//! Exchanges that go wrong, for the alerts that they raise.

use crate::support::client::ask;
use crate::support::look_until;
use crate::support::program::Program;

pub(super) const DONE: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","total_duration":5,"prompt_eval_count":3,"eval_count":2}"#;
pub(super) const PART: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":false}"#;

/// What the label of the model begins with, which is the same before and after it is listed.
pub(super) const M: &str = "model=\"m";

pub(super) fn chat(program: &Program) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let head = "POST /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json";
    ask(program.clients, format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
}

/// What the program exposes before and after so many exchanges; those before create the series.
pub(super) fn exchanges_of(program: &Program, count: usize, exchange: impl Fn()) -> (String, String) {
    // Until the models of the backend are known, there is no series of this one.
    let first = look_until(|| {
        exchange();
        let counted = program.metric("requests_total", &[M]);
        if counted >= 1.0 { Ok(counted) } else { Err(program.fetch("/metrics")) }
    });
    let before = program.fetch("/metrics");
    (0..count).for_each(|_| exchange());
    program.wait_for("requests_total", &[M], first + count as f64);
    (before, program.fetch("/metrics"))
}
