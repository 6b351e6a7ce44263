//! Answers as servers of every kind give them, from the socket to the record, over HTTP/1 and HTTP/2.

use http::Method;
use inferometer::exchange::outcome::{ErrorType, Outcome};
use inferometer::wire::event::{Defect, FinishReason};

use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request, rest, wait};
use crate::support::rig::Rig;

/// A head of a chunked answer of this type.
fn head(media: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// One chunk.
fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Answers one request with these bytes and closes.
fn closing(answer: String) -> Backend {
    Backend::start(move |connection| {
        if connection.request().is_some() {
            connection.write(answer.as_bytes());
        }
    })
}

/// What HTTP/1 clients get.
fn ask(rig: &Rig, path: &str, body: &str) -> String {
    let mut client = Raw::connect(rig.address);
    client.send(format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    String::from_utf8_lossy(&client.rest().0).into_owned()
}

#[test]
fn a_stream_that_ends_without_its_last_chunk_is_completed_with_a_defect_of_framing() {
    let sse = |event: &str| chunk(&format!("data: {event}\n\n"));
    let word = sse(r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#);
    let stop = sse(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let marked = format!("{}{word}{stop}{}", head("text/event-stream"), sse("[DONE]"));
    let done = head("application/x-ndjson") + &chunk("{\"response\":\"x\",\"done\":true,\"done_reason\":\"stop\"}\n");
    let short = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"response\":\"x\",\"done\":true,\"done_reason\":\"stop\"}";
    for (path, answer) in [("/v1/chat/completions", &*marked), ("/api/generate", &done), ("/api/generate", short)] {
        let backend = closing(answer.to_owned());
        let rig = Rig::before(backend.address);
        let seen = ask(&rig, path, "{}");
        assert!(!seen.ends_with("0\r\n\r\n") && seen.contains("\"x\""), "the bytes break off as they did: {seen}");
        let client = Client::connect(rig.address);
        let (response, _) = client.send(request(Method::POST, path), true);
        assert!(rest(wait(response).expect("a head").into_body()).is_err(), "{path}");
        for over in ["HTTP/1", "HTTP/2"] {
            let record = rig.record();
            assert_eq!((record.outcome, record.error), (Outcome::Completed, None), "{path} over {over}");
            assert_eq!(record.defects.iter().collect::<Vec<_>>(), [(Defect::Framing, 1)], "{path} over {over}");
        }
    }
    let backend = closing(head("text/event-stream") + &word);
    let rig = Rig::before(backend.address);
    ask(&rig, "/v1/chat/completions", "{}");
    let record = rig.record();
    assert_eq!((record.outcome, record.error), (Outcome::BackendFailed, Some(ErrorType::Incomplete)));
    assert!(record.defects.is_empty());
}

#[test]
fn an_error_in_a_field_of_its_own_and_an_abort_are_no_success() {
    let word = r#"data: {"index":0,"content":"x","stop":false}"#;
    let error = r#"error: {"code":500,"message":"x","type":"server_error"}"#;
    let aborted = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}"#;
    let failing = [
        ("/completion", format!("{word}\n\n{error}\n\n")),
        ("/v1/chat/completions", format!("{aborted}\n\ndata: [DONE]\n\n")),
    ];
    for (path, body) in failing {
        let backend = closing(head("text/event-stream") + &chunk(&body) + "0\r\n\r\n");
        let rig = Rig::before(backend.address);
        ask(&rig, path, "{}");
        let record = rig.record();
        assert_eq!((record.outcome, record.error), (Outcome::StreamError, Some(ErrorType::StreamError)), "{path}");
    }
}

#[test]
fn a_load_without_a_reason_is_no_generation() {
    let body = "{\"model\":\"m\",\"response\":\"\",\"done\":true}";
    let backend = closing(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let rig = Rig::before(backend.address);
    ask(&rig, "/api/generate", "{\"model\":\"m\"}");
    let record = rig.record();
    assert_eq!((record.finish_reason, record.is_generation()), (Some(FinishReason::Load), false));
}
