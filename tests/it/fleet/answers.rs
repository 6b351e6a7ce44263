//! A request that names an earlier answer goes to the backend that has it.

use bytes::Bytes;
use http::{Method, Request};
use inferometer::exchange::placement::PlacementReason;
use inferometer::fleet::policy::Policy;

use super::placed;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::rig::Rig;

/// The text between these two.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

/// A backend whose answers have ids of its own, in the form that the path asks for, and which says its name in a field.
fn giving(name: &'static str) -> Backend {
    Backend::start(move |connection| {
        let mut number = 0;
        while let Some(request) = connection.request() {
            number += 1;
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).expect("a target");
            let (kind, body) = match path {
                "/v1/responses" if request.contains("\"stream\":true") => (
                    "text/event-stream",
                    format!(
                        "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"id\":\
                         \"resp_{name}{number}\"}}}}\n\n"
                    ),
                ),
                "/v1/responses" => {
                    ("application/json", format!(r#"{{"output":[{{"id":"msg_1"}}],"id":"resp_{name}{number}"}}"#))
                }
                "/v1/chat/completions" => ("application/json", format!(r#"{{"id":"chatcmpl-{name}{number}"}}"#)),
                "/v1/files" => ("application/json", format!(r#"{{"id":"file-{name}{number}"}}"#)),
                "/v1/batches" => ("application/json", format!(r#"{{"id":"batch_{name}{number}"}}"#)),
                _ => ("application/json", "{}".to_owned()),
            };
            // Space, by which the client sees the end.
            let body = body + "\t";
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nX-From: {name}\r\nContent-Length: {length}");
            connection.write(format!("{head}\r\n\r\n{body}").as_bytes());
        }
    })
}

fn two() -> (Rig, [Backend; 2]) {
    let backends = ["first", "other"].map(giving);
    let [first, other] = backends.each_ref().map(|backend| backend.address);
    let models = &["here:1b", "both:1b"][..];
    let rig = Rig::before_several(
        Policy::RoundRobin,
        &[("first", first, models), ("other", other, &["there:1b", "both:1b"])],
    );
    (rig, backends)
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Asks, and returns the id in the answer.
fn ask(client: &mut Client, request: &str) -> String {
    let answer = String::from_utf8_lossy(&client.send(request).until("\t")).into_owned();
    let response = between(&answer, "\"id\":\"resp", "\"").map(|id| format!("resp{id}"));
    response.unwrap_or_else(|| between(&answer, "\"id\":\"", "\"").unwrap_or_default().to_owned())
}

#[test]
fn a_stored_answer_is_asked_of_the_backend_that_gave_it() {
    let (rig, _backends) = two();
    let mut client = Client::connect(rig.address);
    for body in [r#"{"model":"there:1b"}"#, r#"{"model":"there:1b","stream":true}"#] {
        let id = ask(&mut client, &post("/v1/responses", body));
        assert_eq!(placed(&rig.record()).0, "other");
        assert!(id.starts_with("resp_other"), "{id}");
        for request in [
            format!("GET /v1/responses/{id} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /v1/responses/{id}?stream=true HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /v1/responses/{id}/input_items HTTP/1.1\r\nHost: a\r\n\r\n"),
            post(&format!("/v1/responses/{id}/cancel"), ""),
            format!("DELETE /v1/responses/{id} HTTP/1.1\r\nHost: a\r\n\r\n"),
        ] {
            client.send(&request).until("{}\t");
            assert_eq!(placed(&rig.record()), ("other", PlacementReason::ResponseId), "{request}");
        }
    }
    let id = ask(&mut client, &post("/v1/chat/completions", r#"{"model":"there:1b","store":true}"#));
    rig.record();
    client.send(format!("GET /v1/chat/completions/{id}/messages HTTP/1.1\r\nHost: a\r\n\r\n")).until("{}\t");
    assert_eq!(placed(&rig.record()), ("other", PlacementReason::ResponseId));
    client.send("GET /v1/responses/resp_nobody HTTP/1.1\r\nHost: a\r\n\r\n").until("{}\t");
    assert_eq!(placed(&rig.record()), ("first", PlacementReason::Home), "an unknown id is the home's to answer");
}

#[test]
fn a_turn_that_continues_an_answer_goes_to_the_backend_that_has_it() {
    let (rig, _backends) = two();
    let mut client = Client::connect(rig.address);
    let first = ask(&mut client, &post("/v1/responses", r#"{"model":"both:1b","input":"a"}"#));
    let holder = placed(&rig.record()).0.to_owned();
    // The official client writes the model in front of the id; a third writes it behind.
    let (mut previous, long) = (first, "x".repeat(200_000));
    for turn in 0..6 {
        let body = if turn % 2 == 0 {
            format!(r#"{{"input":"{long}","model":"both:1b","previous_response_id":"{previous}"}}"#)
        } else {
            format!(r#"{{"previous_response_id":"{previous}","input":"{long}","model":"both:1b"}}"#)
        };
        previous = ask(&mut client, &post("/v1/responses", &body));
        let record = rig.record();
        assert_eq!(placed(&record), (&*holder, PlacementReason::ResponseId), "turn {turn}");
        assert_eq!(record.requested_model.as_deref(), Some("both:1b"));
    }
    let body = r#"{"model":"there:1b","previous_response_id":"resp_nobody"}"#;
    ask(&mut client, &post("/v1/responses", body));
    assert_eq!(placed(&rig.record()).0, "other", "an unknown one is asked of a backend that has the model");
    let http2 = http2::Client::connect(rig.address);
    let request = Request::builder().method(Method::POST).uri("http://a/v1/responses").body(()).expect("a request");
    let (response, mut stream) = http2.send(request, false);
    stream.send_data(Bytes::from_static(b"{\"model\":\"both:1b\","), false).expect("a stream");
    let rest = format!("\"previous_response_id\":\"{previous}\"}}");
    stream.send_data(Bytes::from(rest), true).expect("a stream");
    assert_eq!(http2::wait(response).expect("a response").status(), 200);
    assert_eq!(placed(&rig.record()), (&*holder, PlacementReason::ResponseId));
}

#[test]
fn a_batch_goes_to_the_backend_that_has_its_file_and_a_stream_to_the_one_that_runs_it() {
    let (rig, _backends) = two();
    let mut client = Client::connect(rig.address);
    let uploaded = post("/v1/files", "").replace("Host: a", "Host: a\r\nx-inferometer-backend: other");
    let file = ask(&mut client, &uploaded);
    assert_eq!(placed(&rig.record()).1, PlacementReason::Header);
    let batch = ask(&mut client, &post("/v1/batches", &format!(r#"{{"input_file_id":"{file}"}}"#)));
    assert_eq!(placed(&rig.record()), ("other", PlacementReason::ResponseId));
    for target in [format!("/v1/batches/{batch}"), format!("/v1/files/{file}/content")] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).until("{}\t");
        assert_eq!(placed(&rig.record()), ("other", PlacementReason::ResponseId), "{target}");
    }
    client.send(post("/v1/batches", r#"{"input_file_id":"file-nobody"}"#)).until("\t");
    assert_eq!(placed(&rig.record()), ("first", PlacementReason::Home));
    let begun = post("/v1/chat/completions", r#"{"model":"there:1b"}"#);
    client.send(begun.replace("Host: a", "Host: a\r\nX-Conversation-Id: tab 7")).until("\t");
    assert_eq!(placed(&rig.record()).0, "other");
    for target in ["/v1/stream?from=0&conv_id=tab%207", "/v1/stream/tab%207"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).until("{}\t");
        assert_eq!(placed(&rig.record()), ("other", PlacementReason::ResponseId), "{target}");
    }
}
