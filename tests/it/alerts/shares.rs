//! Shares of requests in rules: exact also where everything of a kind comes between two scrapes.

use inferometer::alert::rules::find;

use super::each::play;
use super::provoked::{DONE, M, chat};
use super::settings;
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

#[test]
fn what_comes_in_a_burst_counts_in_full_in_the_share_of_errors() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[DONE]);
    ollama.answer("POST /api/pull", "500 Internal Server Error", &[r#"{"error":"no space"}"#]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    let first = look_until(|| {
        chat(&program);
        let counted = program.metric("requests_total", &[M]);
        if counted >= 1.0 { Ok(counted) } else { Err(program.fetch("/metrics")) }
    });
    let before = program.fetch("/metrics");
    (0..25).for_each(|_| chat(&program));
    program.wait_for("requests_total", &[M], first + 25.0);
    let chats = program.fetch("/metrics");
    for _ in 0..2 {
        let head = "POST /api/pull HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json";
        ask(program.clients, format!("{head}\r\nContent-Length: 13\r\n\r\n{{\"model\":\"n\"}}"));
    }
    program.wait_for("requests_total", &["/api/pull"], 2.0);
    let pulls = program.fetch("/metrics");
    for _ in 0..200 {
        ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    program.wait_for("requests_total", &["/api/tags"], 200.0);
    let all = program.fetch("/metrics");

    let rule = find("InferometerErrorRate").expect("there is one");
    let played = |last: &str| play(rule, &[(before.clone(), 10), (chats.clone(), 10), (last.to_owned(), 300)]).0;
    assert_eq!(played(&all), [""; 0], "2 of 227 are 0.9 %:\n{all}");
    assert_eq!(played(&pulls).len(), 1, "2 of 27 are 7.4 %:\n{pulls}");
}
