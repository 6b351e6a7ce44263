//! A request that is for every backend: pulls and deletes where that is configured, and requests to abort.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use http::{Method, Request};
use inferometer::exchange::outcome::Outcome;
use inferometer::exchange::placement::PlacementReason;
use inferometer::fleet::{Reach, Settings};

use super::placed;
use crate::support::PATIENCE;
use crate::support::backend::{Backend, Connection};
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::rig::{Options, Rig};

const SUCCESS: &str = "{\"status\":\"success\"}\n";

/// A backend that answers each request with what the script says, and passes on the request.
fn scripted(script: impl Fn(&str, &mut Connection) + Send + Sync + 'static) -> (Backend, mpsc::Receiver<String>) {
    let (sender, requests) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let request = String::from_utf8_lossy(&request).into_owned();
            // The test may have ended.
            let _ = sender.send(request.clone());
            script(&request, connection);
        }
    });
    (backend, requests)
}

fn whole(connection: &mut Connection, status: &str, kind: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    connection.write(format!("{head}{body}").as_bytes());
}

/// Writes lines of progress as Ollama does, cut anywhere.
fn progress(connection: &mut Connection, lines: &str) {
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in lines.as_bytes().chunks(17) {
        connection.write(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    connection.write(b"0\r\n\r\n");
}

/// The lines that a backend of this name writes before its success.
fn lines(name: &str) -> String {
    format!("{{\"status\":\"pulling manifest\"}}\n{{\"status\":\"pulling {name}\",\"total\":9, \"completed\":4}}\n")
}

fn pulling(name: &'static str) -> (Backend, mpsc::Receiver<String>) {
    scripted(move |request, connection| {
        if request.contains("\"stream\":false") {
            whole(connection, "200 OK", "application/json; charset=utf-8", SUCCESS.trim_end());
        } else {
            progress(connection, &(lines(name) + SUCCESS));
        }
    })
}

fn rig(backends: &[(&str, SocketAddr)]) -> Rig {
    let settings = Settings { pull: Reach::All, delete: Reach::All, ..Settings::default() };
    let models: &[&str] = &["m:1b"];
    let backends: Vec<_> = backends.iter().map(|(name, address)| (*name, *address, models)).collect();
    Rig::before_fleet(Options::default(), &settings, &backends)
}

fn request(method: &str, path: &str, body: &str) -> String {
    let fields = "Host: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n";
    format!("{method} {path} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn pull(body: &str) -> String {
    request("POST", "/api/pull", body)
}

/// The body of an answer in chunks.
fn unchunked(answer: &str) -> String {
    let mut rest = answer.split_once("\r\n\r\n").expect("a head").1;
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        body.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    body
}

/// An address where nothing listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address")
}

#[test]
fn a_pull_is_one_stream_of_every_backends_lines_with_one_success_at_the_end() {
    let ((first, to_first), (other, to_other)) = (pulling("first"), pulling("other"));
    let rig = rig(&[("first", first.address), ("other", other.address)]);
    let answer = ask(rig.address, pull(r#"{"model":"m:1b"}"#));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"), "{answer}");
    let expected = lines("first") + &lines("other") + SUCCESS;
    assert_eq!(unchunked(&answer), expected);
    let record = rig.record();
    assert_eq!((record.outcome, placed(&record)), (Outcome::Completed, ("first", PlacementReason::All)));
    for requests in [to_first, to_other] {
        let came = requests.recv_timeout(PATIENCE).expect("it came");
        assert!(came.ends_with("\r\n\r\n{\"model\":\"m:1b\"}") && !came.contains("Accept-Encoding"), "{came}");
    }
    let answer = ask(rig.address, pull(r#"{"model":"m:1b","stream":false}"#));
    assert!(answer.ends_with("\r\n\r\n{\"status\":\"success\"}"), "{answer}");
    assert_eq!(rig.record().outcome, Outcome::Completed);
    let client = http2::Client::connect(rig.address);
    let request = Request::builder().method(Method::POST).uri("http://a/api/pull").body(()).expect("a request");
    let (response, body) = client.ask(request, "{\"name\":\"m:1b\"}");
    assert_eq!((response.status().as_u16(), body), (200, expected));
}

#[test]
fn a_pull_that_fails_somewhere_says_where_and_goes_on_elsewhere() {
    let (failing, _) = scripted(|request, connection| {
        if request.contains("\"stream\":false") {
            whole(connection, "500 Internal Server Error", "application/json", r#"{"error":"no space left"}"#);
        } else {
            // The error comes in one piece with what was before it.
            let text = lines("failing") + "{\"error\":\"no space left\"}\n";
            whole(connection, "200 OK", "application/x-ndjson", &text);
        }
    });
    let (other, to_other) = pulling("other");
    let rig = rig(&[("failing", failing.address), ("gone", nowhere()), ("other", other.address)]);
    let body = unchunked(&ask(rig.address, pull(r#"{"model":"m:1b"}"#)));
    let text = "inferometer: failing: no space left; gone: the connection was refused; done on other";
    assert_eq!(body, format!("{}{}{{\"error\":\"{text}\"}}\n", lines("failing"), lines("other")));
    assert_eq!(rig.record().outcome, Outcome::StreamError);
    to_other.recv_timeout(PATIENCE).expect("it came");
    let answer = ask(rig.address, pull(r#"{"model":"m:1b","stream":false}"#));
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
    assert!(answer.ends_with(&format!("\r\n\r\n{{\"error\":\"{text}\"}}")), "{answer}");
    assert_eq!(rig.record().outcome, Outcome::HttpError);
}

#[test]
fn a_client_that_leaves_ends_its_pull_where_it_runs_and_no_further_one_begins() {
    let (closed, closing) = mpsc::channel();
    let slow = Backend::start(move |connection| {
        connection.request().expect("a request");
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"status\":\"pulling\"}\n");
        connection.closed();
        closed.send(()).expect("the test lives");
    });
    let (other, _) = pulling("other");
    let rig = rig(&[("slow", slow.address), ("other", other.address)]);
    let mut client = Client::connect(rig.address);
    client.send(pull(r#"{"model":"m:1b"}"#)).until("{\"status\":\"pulling\"}\n\r\n");
    drop(client);
    closing.recv_timeout(PATIENCE).expect("the backend's connection is closed");
    assert_eq!(rig.record().outcome, Outcome::ClientCancelled);
    assert_eq!(other.accepted(), 0);
}

#[test]
fn a_model_is_deleted_on_every_backend_that_has_it() {
    // The model names what its backend answers.
    let (one, _) = scripted(|request, connection| {
        let status = if request.contains("m:1b") { "200 OK" } else { "404 Not Found" };
        whole(connection, status, "text/plain", if status == "200 OK" { "" } else { "one lacks it" });
    });
    let (other, _) = scripted(|request, connection| {
        let status = if request.contains("busy") { "500 Internal Server Error" } else { "404 Not Found" };
        whole(connection, status, "application/json", r#"{"error":"other cannot"}"#);
    });
    let rig = rig(&[("one", one.address), ("other", other.address)]);
    let delete = |model: &str| ask(rig.address, request("DELETE", "/api/delete", &format!(r#"{{"model":"{model}"}}"#)));
    let deleted = delete("m:1b");
    assert!(deleted.starts_with("HTTP/1.1 200 OK\r\n") && deleted.ends_with("\r\n\r\n"), "{deleted}");
    assert_eq!(placed(&rig.record()), ("one", PlacementReason::All));
    let lacking = delete("nowhere");
    assert!(
        lacking.starts_with("HTTP/1.1 404 Not Found\r\n") && lacking.ends_with("\r\n\r\none lacks it"),
        "{lacking}"
    );
    let partly = delete("m:1b-busy");
    assert!(partly.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{partly}");
    assert!(partly.ends_with("{\"error\":\"inferometer: other: other cannot; done on one\"}"), "{partly}");
}

#[tokio::test]
async fn what_was_pulled_or_deleted_everywhere_is_listed_again_at_once() {
    let ((first, _), (other, _)) = (pulling("first"), pulling("other"));
    let rig = rig(&[("first", first.address), ("other", other.address)]);
    let listings = ["first", "other"].map(|name| rig.catalogue.relist_notify(&name.into()));
    for change in [pull(r#"{"model":"new"}"#), request("DELETE", "/api/delete", r#"{"model":"m:1b"}"#)] {
        let address = rig.address;
        let answer = tokio::task::spawn_blocking(move || ask(address, change)).await.expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for listing in &listings {
            tokio::time::timeout(PATIENCE, listing.notified()).await.expect("it is asked for");
        }
    }
}

#[test]
fn a_client_that_names_a_backend_changes_the_models_of_that_one_alone() {
    let ((first, _), (other, to_other)) = (pulling("first"), pulling("other"));
    let rig = rig(&[("first", first.address), ("other", other.address)]);
    let named = pull(r#"{"model":"m:1b"}"#).replace("Host: a", "Host: a\r\nx-inferometer-backend: other");
    assert_eq!(unchunked(&ask(rig.address, named)), lines("other") + SUCCESS);
    assert_eq!(placed(&rig.record()), ("other", PlacementReason::Header));
    to_other.recv_timeout(PATIENCE).expect("it came");
    assert_eq!(first.accepted(), 0);
}

#[test]
fn a_request_is_aborted_where_it_runs_and_everywhere_where_that_is_unknown() {
    let answering = || scripted(|_, connection| whole(connection, "200 OK", "application/json", "{}"));
    let ((first, to_first), (other, to_other)) = (answering(), answering());
    let backends = [("first", first.address, &["here:1b"][..]), ("other", other.address, &["there:1b"])];
    let rig = Rig::before_fleet(Options::default(), &Settings::default(), &backends);
    let post = |path: &str, body: &str| {
        let answer = ask(rig.address, request("POST", path, body));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let record = rig.record();
        let (backend, reason) = placed(&record);
        (backend.to_owned(), reason)
    };
    let came = || [&to_first, &to_other].map(|requests| requests.try_iter().count());
    post("/generate", r#"{"model":"there:1b","text":"x","rid":"r-1"}"#);
    post("/generate", r#"{"rid":["r-2","r-3"],"model":"there:1b","text":["x","y"]}"#);
    post("/generate", r#"{"rid":"r-4","model":"here:1b","text":"x"}"#);
    assert_eq!(came(), [1, 2]);
    for (path, body, holder) in [
        ("/abort_request", r#"{"rid":"r-1"}"#, Some("other")),
        ("/abort_request", r#"{"rid":"r-3","abort_all":false}"#, Some("other")),
        ("/abort_requests", r#"{"request_ids":["r-1","r-2"]}"#, Some("other")),
        ("/abort_requests", r#"{"request_ids":["r-1","r-4"]}"#, None),
        ("/abort_request", r#"{"rid":"r-9"}"#, None),
        ("/abort_request", r#"{"rid":"r-1","abort_all":true}"#, None),
        ("/abort_requests", "{}", None),
    ] {
        let placed = post(path, body);
        match holder {
            Some(holder) => {
                assert_eq!(placed, (holder.to_owned(), PlacementReason::ResponseId), "{body}");
                assert_eq!(came(), [0, 1], "{body}");
            }
            None => {
                assert_eq!(placed, ("first".to_owned(), PlacementReason::All), "{body}");
                assert_eq!(came(), [1, 1], "{body}");
            }
        }
    }
}
