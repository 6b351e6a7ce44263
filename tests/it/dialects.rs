//! Answers as servers of every kind give them, from the socket to the record, over HTTP/1 and HTTP/2.

use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use http::Method;
use inferometer::exchange::outcome::{ErrorType, Outcome};
use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{Sink, TokenFrame, Watch};
use inferometer::wire::event::{Defect, FinishReason};

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request, rest, wait};
use crate::support::rig::{Options, Rig};

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
    ask(&rig, "/api/generate", "{\"model\":\"m\",\"keep_alive\":0}");
    assert_eq!(rig.record().finish_reason, Some(FinishReason::Unload), "the request sent it away");
}

/// Keeps every frame of tokens.
#[derive(Clone, Default)]
struct Frames(Arc<Mutex<Vec<TokenFrame>>>);

impl Sink for Frames {
    type Watch = Self;
    fn started(&self, _start: &Start) -> Self {
        self.clone()
    }
}

impl Watch for Frames {
    fn tokens(&mut self, frame: TokenFrame) {
        self.0.lock().expect("no panic").push(frame);
    }
    fn finished(&mut self, _record: &Record) {}
}

/// Sends events of tokens until nobody takes more, says so, and then sends what is left and the end.
fn overflowing() -> (Backend, mpsc::Receiver<()>) {
    let (full, filled) = mpsc::channel();
    let event =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(64 * 1024));
    let stop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (event, end) = (chunk(&event), chunk(stop) + "0\r\n\r\n");
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(head("text/event-stream").as_bytes());
        connection.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let left = loop {
            let mut left = event.as_bytes();
            while let Ok(taken) = connection.stream.write(left) {
                left = &left[taken..];
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                break left;
            }
        };
        connection.stream.set_write_timeout(None).expect("a timeout");
        full.send(()).expect("the test waits");
        connection.write(left);
        connection.write(end.as_bytes());
        assert!(connection.closed(), "the client leaves");
    });
    (backend, filled)
}

#[test]
fn what_lay_unread_for_a_slow_client_gives_no_gap() {
    for over in ["HTTP/1", "HTTP/2"] {
        let (backend, filled) = overflowing();
        let frames = Frames::default();
        let rig = Rig::with(backend.address, Options { extra: vec![Arc::new(frames.clone())], ..Options::default() });
        if over == "HTTP/1" {
            let mut client = Raw::connect(rig.address);
            client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
            filled.recv_timeout(PATIENCE).expect("nobody takes more");
            client.until("0\r\n\r\n");
        } else {
            let client = Client::connect(rig.address);
            let (response, _) = client.send(request(Method::POST, "/v1/chat/completions"), true);
            let body = wait(response).expect("a head").into_body();
            filled.recv_timeout(PATIENCE).expect("nobody takes more");
            assert!(rest(body).expect("a whole body").ends_with("[DONE]\n\n"));
        }
        let record = rig.record();
        let frames = frames.0.lock().expect("no panic");
        let events: u64 = frames.iter().map(|frame| u64::from(frame.events)).sum();
        assert_eq!((record.outcome, record.token_events), (Outcome::Completed, events));
        let late = frames.iter().skip(1).filter(|frame| frame.gap.is_none()).count();
        println!("{over}: {late} of {} frames were read late, {} stalls", frames.len(), record.stalls);
        assert!(late > 0, "{over}: {} frames", frames.len());
        assert_eq!(record.stalls, 0, "{over}");
    }
}

#[test]
fn choices_that_are_sent_together_are_timed_apart() {
    let word =
        |choice: u32| format!("data: {{\"choices\":[{{\"index\":{choice},\"delta\":{{\"content\":\"x\"}}}}]}}\n\n");
    let (step, steps) = mpsc::channel::<()>();
    let steps = Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(head("text/event-stream").as_bytes());
        for _ in 0..2 {
            for choice in 0..4 {
                connection.write(chunk(&word(choice)).as_bytes());
                steps.lock().expect("one script").recv_timeout(PATIENCE).expect("it arrived");
            }
        }
        connection.write(b"0\r\n\r\n");
    });
    let frames = Frames::default();
    let rig = Rig::with(backend.address, Options { extra: vec![Arc::new(frames.clone())], ..Options::default() });
    let mut client = Raw::connect(rig.address);
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    for _ in 0..8 {
        client.until("\n\n\r\n");
        step.send(()).expect("the backend waits");
    }
    client.until("0\r\n\r\n");
    assert_eq!(rig.record().token_events, 8);
    let frames = frames.0.lock().expect("no panic");
    let gaps: Vec<_> = frames.iter().map(|frame| frame.gap).collect();
    assert!(gaps.len() == 8 && gaps[..4].iter().all(Option::is_none), "{gaps:?}");
    // One gap of a choice spans the four steps that the others took meanwhile.
    let spans = gaps[4..].iter().map(|gap| gap.expect("a gap"));
    assert!(spans.min() > Some(Duration::ZERO), "{gaps:?}");
}
