//! Alerts that the real program's figures raise: something goes wrong in it, and what it exposes then is evaluated in
//! time-lapse.

use std::time::Duration;

use super::{Lapse, settings};
use crate::support::backend::{Backend, Connection};
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, STATE, command};

/// Half an hour and some more: every window of the rules is over then.
const LONG: i64 = 3_700;

const DONE: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","total_duration":5,"prompt_eval_count":3,"eval_count":2}"#;
const PART: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":false}"#;

/// What the label of the model begins with, which is the same before and after it is listed.
const M: &str = "model=\"m";

fn chat(program: &Program) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let head = "POST /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json";
    ask(program.clients, format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
}

/// Plays how the program is before and after, then long enough for it to be over. Returns what fired.
fn course(before: &str, after: &str) -> Vec<String> {
    let mut lapse = Lapse::new();
    assert_eq!(lapse.play(before, 30).0, Vec::<String>::new(), "nothing is wrong before");
    let (mut fired, mut over) = lapse.play(after, 600);
    let (later, ended) = lapse.play(after, LONG);
    fired.extend(later);
    over.extend(ended);
    fired.sort();
    over.sort();
    assert_eq!(fired, over, "each one ends");
    fired
}

/// Each exchange ends as the script has it; the first one creates the series, `count` follow it.
fn exchanges(program: &Program, count: usize) -> Vec<String> {
    // Until the models of the backend are known, there is no series of this one.
    let first = look_until(|| {
        chat(program);
        let counted = program.metric("requests_total", &[M]);
        if counted >= 1.0 { Ok(counted) } else { Err(program.fetch("/metrics")) }
    });
    let before = program.fetch("/metrics");
    for _ in 0..count {
        chat(program);
    }
    program.wait_for("requests_total", &[M], first + count as f64);
    let after = program.fetch("/metrics");
    course(&before, &after)
}

#[test]
fn errors_of_a_backend_raise_their_alert_and_it_ends() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"out of memory"}"#]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    assert_eq!(exchanges(&program, 25), ["InferometerErrorRate"]);
}

#[test]
fn answers_that_just_end_raise_their_alert_and_it_ends() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, PART]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    assert_eq!(exchanges(&program, 4), ["InferometerTruncatedStreams"]);
}

#[test]
fn streams_that_stall_raise_their_alert_and_it_ends() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\n\r\n", text.len() + 1);
    let script = move |connection: &mut Connection| {
        while let Some(request) = connection.request() {
            if !request.starts_with(b"POST /api/chat") {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            connection.write(format!("{head}{}", chunk(PART)).as_bytes());
            // The stall itself, of three times the limit.
            std::thread::sleep(Duration::from_millis(60));
            connection.write(format!("{}{}0\r\n\r\n", chunk(PART), chunk(DONE)).as_bytes());
        }
    };
    let backend = Backend::start(script);
    let program = Program::with(backend.address, &["--config", &settings("[limits]\nstall = \"20ms\"\n")]);
    assert_eq!(exchanges(&program, 12), ["InferometerStalls"]);
}

#[test]
fn a_history_that_cannot_be_written_raises_its_alert_and_it_ends_once_it_can() {
    let ollama = Ollama::listing(&["m"]);
    let place = crate::support::authority::folder().join("state");
    std::fs::write(&place, "a file where the directory is to be").expect("a file");
    let mut command = command();
    command.env(STATE, &place);
    let program = Program::start(command, ollama.address, &["--config", &settings("")]);
    program.wait_for("history_paused", &[], 1.0);
    let mut lapse = Lapse::new();
    assert_eq!(lapse.play(&program.fetch("/metrics"), 110).0, Vec::<String>::new(), "not at once");
    assert_eq!(lapse.play(&program.fetch("/metrics"), 60).0, ["InferometerHistoryPaused"]);
    let healthy = Program::with(ollama.address, &["--config", &settings("")]);
    healthy.wait_for_history();
    assert_eq!(lapse.play(&healthy.fetch("/metrics"), 60).1, ["InferometerHistoryPaused"]);
}
