//! Every exchange is a row, from the data path to the file and back.

use inferometer::exchange::outcome::Outcome;
use inferometer::exchange::record::Method;
use inferometer::exchange::trace::parse_traceparent;
use inferometer::exchange::vocabulary::{Dialect, FinishReason, Operation, Source};
use inferometer::history::query::Filter;
use inferometer::history::row::Flags;
use rustix::process::Signal;

use super::{page, reading, wait_for_rows};
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::Program;

pub(crate) const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nConnection: close\r\nContent-Length: 41\r\n\r\n{\"model\":\"llama3\",\"messages\":[{\"a\":\"b\"}]}";

/// Answers a chat with three tokens, `/api/tags` with its model, the rest with 404.
pub(crate) fn ollama() -> Backend {
    Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let body = if request.starts_with(b"POST /api/chat") {
                concat!(
                    r#"{"model":"llama3:latest","message":{"role":"assistant","content":"a"},"done":false}"#,
                    "\n",
                    r#"{"model":"llama3:latest","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"prompt_eval_duration":7000000,"eval_count":3,"eval_duration":9000000}"#,
                    "\n",
                )
            } else if request.starts_with(b"GET /api/tags") {
                r#"{"models":[{"name":"llama3:latest"}]}"#
            } else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            };
            let kind = if body.ends_with('\n') { "x-ndjson" } else { "json" };
            let length = body.len();
            connection.write(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/{kind}\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .as_bytes(),
            );
        }
    })
}

#[test]
fn an_exchange_is_read_back_from_the_files_as_it_was_recorded() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    let answer = ask(program.clients, CHAT);
    let found = wait_for_rows(program.state(), 1);
    let exchange = &found.exchanges[0];
    let row = &exchange.row;
    assert_eq!((exchange.backend.as_deref(), exchange.model.as_deref()), (Some("test"), Some("llama3:latest")));
    assert_eq!((exchange.endpoint.as_deref(), exchange.weight), (Some("/api/chat"), 1));
    assert_eq!((row.method, row.dialect, row.operation), (Method::Post, Dialect::Ollama, Operation::Chat));
    assert_eq!((row.status, row.outcome, row.error), (200, Outcome::Completed, None));
    assert_eq!((row.prompt.value(), row.generated.value()), (Some(5), Some(3)));
    assert_eq!((row.sources, row.finish), ([Some(Source::Reported); 2], Some(FinishReason::Stop)));
    assert_eq!((row.prefill.micros(), row.decode.micros()), (Some(7_000), Some(9_000)));
    assert_eq!((row.cached.value(), row.load.micros(), row.cost()), (None, None, None), "unknown is absent");
    let body = answer.split_once("\r\n\r\n").expect("a head").1.len() as u64;
    assert_eq!((row.request_bytes, row.response_bytes), (41, body));
    assert!(row.duration.micros() >= row.first_token.micros() && row.first_token.micros() > Some(0));
    assert!(row.flags.contains(Flags::STREAMED) && row.flags.contains(Flags::SAMPLED));
    let (trace, parent) =
        parse_traceparent(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("proper");
    assert_eq!((row.trace, row.parent), (trace, Some(parent)));

    let reading = reading(program.state());
    assert_eq!(reading.exchange(exchange.id).expect("sound").map(|it| it.row.trace), Some(trace));
    assert_eq!(reading.trace(trace).expect("sound").len(), 1);

    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let lately = page(program.state(), Filter::default());
    assert_eq!(lately.exchanges.len(), 1, "and after the end of the program");
}

#[test]
fn what_a_client_made_up_is_no_name_in_the_files() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let body = r#"{"model":"canary-model"}"#;
    let request = format!(
        "POST /api/show?canary-query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(program.clients, request);
    ask(program.clients, "GET /canary-path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let found = wait_for_rows(program.state(), 2);
    let names: Vec<_> = found.exchanges.iter().map(|it| (it.model.as_deref(), it.endpoint.as_deref())).collect();
    assert_eq!(names, [(None, Some("other")), (None, Some("/api/show"))]);
}

#[test]
fn exchanges_are_found_by_what_is_true_of_them() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    for _ in 0..3 {
        ask(program.clients, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    wait_for_rows(program.state(), 4);
    let count = |filter| page(program.state(), filter).exchanges.len();
    let name = |name: &str| Some(name.into());
    assert_eq!(count(Filter { backend: name("test"), ..Filter::default() }), 4);
    assert_eq!(count(Filter { backend: name("another"), ..Filter::default() }), 0);
    assert_eq!(count(Filter { model: name("llama3:latest"), ..Filter::default() }), 1);
    assert_eq!(count(Filter { endpoint: name("other"), ..Filter::default() }), 3);
    assert_eq!(count(Filter { outcome: Some(Outcome::HttpError), ..Filter::default() }), 3);
    assert_eq!(count(Filter { outcome: Some(Outcome::Completed), ..Filter::default() }), 1);
    assert_eq!(count(Filter { failed: true, ..Filter::default() }), 3);
    assert_eq!(count(Filter { operation: Some(Operation::Chat), failed: true, ..Filter::default() }), 0);
    assert_eq!(count(Filter { min_duration_us: Some(u64::MAX), ..Filter::default() }), 0);
}
