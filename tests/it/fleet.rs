//! Several backends behind one address: which of them gets a request, and what it gets.

mod answers;
mod discovery;
mod engines;
mod everywhere;
mod exposed;
mod failing;
mod program;
mod reloads;
mod routed;
mod seeds;
mod storm;

use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request};
use inferometer::exchange::outcome::ErrorType;
use inferometer::exchange::placement::PlacementReason;
use inferometer::exchange::record::Record;
use inferometer::fleet::policy::Policy;
use inferometer::proxy::{HeldBodies, HoldLimits};

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::rig::{Options, Rig};

/// A backend, and the requests that it gets.
type Named = (Backend, mpsc::Receiver<Vec<u8>>);

/// A backend that answers with its name, and passes on the requests that it gets.
fn named(name: &'static str) -> Named {
    let (sender, requests) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            sender.send(request).expect("the test lives");
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()).as_bytes());
        }
    });
    (backend, requests)
}

/// Two backends, with a model each and one that both have.
fn two(policy: Policy) -> (Rig, [Named; 2]) {
    let backends = [named("first"), named("other")];
    let [first, other] = backends.each_ref().map(|(backend, _)| backend.address);
    let rig = Rig::before_several(
        policy,
        &[("first", first, &["here:1b", "both:1b"]), ("other", other, &["there:1b", "both:1b"])],
    );
    (rig, backends)
}

fn placed(record: &Record) -> (&str, PlacementReason) {
    let placement = record.placement.as_ref().expect("placed");
    (&placement.backend, placement.reason)
}

/// A request whose model comes after this many bytes of messages.
fn chat(model: &str, bytes: usize) -> String {
    let body = format!(r#"{{"messages":[{{"content":"{}"}}],"model":"{model}"}}"#, "x".repeat(bytes));
    format!("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_request_goes_to_the_backend_that_has_its_model_and_arrives_as_it_was_sent() {
    for policy in Policy::ALL {
        let (rig, [(_first, _), (_other, requests)]) = two(policy);
        let mut client = Client::connect(rig.address);
        for bytes in [0, 1000, 100_000, 3_000_000] {
            let request = chat("there:1b", bytes);
            client.send(&request).until("other");
            assert!(requests.recv_timeout(PATIENCE).expect("it came") == request.as_bytes(), "{bytes}");
            let record = rig.record();
            assert_eq!(placed(&record).0, "other");
            assert_eq!(record.requested_model.as_deref(), Some("there:1b"));
        }
    }
}

#[test]
fn a_chunked_body_is_held_and_forwarded_as_it_was_framed() {
    let (rig, [(_first, _), (_other, requests)]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "10;ext=1\r\n{\"messages\":[1],\r\n11\r\n\"model\":\"there:1b\r\n2\r\n\"}\r\n0\r\n\r\n";
    for part in [head, &body[..9], &body[9..40], &body[40..]] {
        client.send(part);
    }
    client.until("other");
    let came = requests.recv_timeout(PATIENCE).expect("it came");
    assert_eq!(String::from_utf8_lossy(&came), format!("{head}{body}"));
    assert_eq!(placed(&rig.record()).0, "other");
}

#[test]
fn the_rest_of_a_body_follows_once_its_model_is_known() {
    let (rig, [(_first, _), (_other, requests)]) = two(Policy::ModelLoaded);
    let body = format!(r#"{{"model":"there:1b","prompt":"{}"}}"#, "x".repeat(500_000));
    let request = format!("POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut client = Client::connect(rig.address);
    client.send(&request[..100]).send(&request[100..]).until("other");
    assert!(requests.recv_timeout(PATIENCE).expect("it came") == request.as_bytes());
}

#[test]
fn a_name_in_front_of_the_model_does_not_choose_the_backend() {
    let (rig, [_first, _other]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    let rest = format!(r#""messages":[{{"content":"{}"}}],"model":"there:1b"}}"#, "x".repeat(300_000));
    let body = format!(r#"{{"name":"here:1b",{rest}"#);
    client.send(format!("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    client.until("other");
    assert_eq!(placed(&rig.record()), ("other", PlacementReason::Cold));
    let body = r#"{"name":"there:1b"}"#;
    client.send(format!("POST /api/show HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    client.until("other");
}

#[test]
fn a_client_that_waits_for_permission_to_send_its_body_gets_it() {
    let (rig, [_first, _other]) = two(Policy::ModelLoaded);
    let request = chat("there:1b", 10).replace("Host: a", "Host: a\r\nExpect: 100-continue");
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    let mut client = Client::connect(rig.address);
    client.send(head).send("\r\n\r\n").until("HTTP/1.1 100 Continue\r\n\r\n");
    client.send(body).until("other");
    assert_eq!(placed(&rig.record()).0, "other");
}

#[test]
fn a_client_of_http2_that_waits_for_permission_to_send_its_body_gets_it() {
    let (rig, [_first, (_other, requests)]) = two(Policy::ModelLoaded);
    let client = http2::Client::connect(rig.address);
    let mut post = http2::request(http::Method::POST, "/api/chat");
    post.headers_mut().append("expect", "100-continue".parse().expect("a value"));
    let (mut response, mut stream) = client.send(post, false);
    let interim = http2::wait(std::future::poll_fn(|cx| response.poll_informational(cx)));
    assert_eq!(interim.expect("one").expect("a stream").status(), 100);
    stream.send_data(r#"{"model":"there:1b"}"#.into(), true).expect("a stream");
    assert_eq!(http2::wait(response).expect("an answer").status(), 200);
    let came = String::from_utf8(requests.recv_timeout(PATIENCE).expect("it came")).expect("text");
    assert!(came.contains("there:1b") && !came.contains("expect"), "{came}");
}

#[test]
fn a_model_that_no_backend_lists_and_a_request_without_one_go_to_the_first() {
    let (rig, [_first, _other]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    for request in [
        chat("nowhere", 10),
        "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "GET /api/tags HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        client.send(&request).until("first");
        assert_eq!(placed(&rig.record()), ("first", PlacementReason::Home), "{request}");
    }
}

#[test]
fn a_model_that_both_have_is_served_in_turn() {
    let (rig, [_first, _other]) = two(Policy::RoundRobin);
    let mut client = Client::connect(rig.address);
    for name in ["first", "other", "first", "other"] {
        client.send(chat("both:1b", 10)).until(name);
        assert_eq!(placed(&rig.record()), (name, PlacementReason::RoundRobin));
    }
}

#[test]
fn a_client_that_names_a_backend_gets_it_and_the_backend_does_not_see_the_field() {
    let (rig, [(_first, _), (_other, requests)]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    let request = "GET /api/tags HTTP/1.1\r\nHost: a\r\nX-Inferometer-Backend: other\r\nA: b\r\n\r\n";
    client.send(request).until("other");
    let came = String::from_utf8(requests.recv_timeout(PATIENCE).expect("it came")).expect("text");
    assert_eq!(came, "GET /api/tags HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
    assert_eq!(placed(&rig.record()), ("other", PlacementReason::Header));
    client.send(request.replace("other", "nobody")).until("nobody\"}");
    let record = rig.record();
    assert_eq!((record.status, record.placement), (400, None));
}

#[test]
fn a_request_whose_backend_cannot_be_reached_is_tried_on_another_over_both_protocols() {
    let (other, _requests) = named("other");
    let gone = crate::support::servers::free();
    let backends = [("gone", gone, &["both:1b"][..]), ("other", other.address, &["both:1b"])];
    let rig = Rig::before_several(Policy::RoundRobin, &backends);
    Client::connect(rig.address).send(chat("both:1b", 1000)).until("other");
    let placement = rig.record().placement.expect("placed");
    assert_eq!((&*placement.backend, placement.attempt), ("other", 2));
    let rig = Rig::before_several(Policy::RoundRobin, &backends);
    let client = http2::Client::connect(rig.address);
    let request = Request::builder().method(Method::POST).uri("http://a/api/chat").body(()).expect("a request");
    let (response, mut stream) = client.send(request, false);
    stream.send_data(Bytes::from_static(b"{\"model\":\"both:1b\"}"), true).expect("a stream");
    assert_eq!(http2::wait(response).expect("a response").status(), 200);
    assert_eq!(rig.record().placement.expect("placed").attempt, 2);
    let nowhere = Rig::before_several(Policy::RoundRobin, &[("gone", gone, &["both:1b"]), ("too", gone, &["both:1b"])]);
    let mut client = Client::connect(nowhere.address);
    let answer = client.send(chat("both:1b", 10).replace("Host: a", "Host: a\r\nConnection: close")).rest().0;
    assert!(answer.starts_with(b"HTTP/1.1 502 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(nowhere.record().placement.expect("placed").attempt, 2, "each once");
}

/// A rig that holds so many bytes of a body, and of all, and what it holds.
fn holding(request: u64, total: u64) -> (Rig, [Named; 2], HeldBodies) {
    let backends = [named("first"), named("other")];
    let [first, other] = backends.each_ref().map(|(backend, _)| backend.address);
    let mut options = Options::default();
    options.settings.hold = HoldLimits { request, total };
    let held = options.held.clone();
    let all = [("first", first, &["here:1b"][..]), ("other", other, &["there:1b"])];
    (Rig::before_several_with(options, Policy::ModelLoaded, &all), backends, held)
}

/// Waits until so many bytes are held.
fn wait_until_held(held: &HeldBodies, bytes: u64) {
    let begun = Instant::now();
    while held.bytes() < bytes {
        assert!(begun.elapsed() < PATIENCE, "{} bytes are held, not {bytes}", held.bytes());
        std::thread::yield_now();
    }
}

#[test]
fn a_body_that_is_too_long_before_its_model_goes_to_the_home_whole() {
    let (rig, [(_first, requests), (_other, _rest)], held) = holding(200_000, 1 << 30);
    let request = chat("there:1b", 900_000);
    Client::connect(rig.address).send(&request).until("first");
    assert!(requests.recv_timeout(PATIENCE).expect("it came") == request.as_bytes());
    assert_eq!(placed(&rig.record()), ("first", PlacementReason::Home));
    assert_eq!((held.bytes(), held.overflows()), (0, 1));
}

#[test]
fn a_body_without_room_is_not_read_on_until_there_is_room() {
    let (rig, [(_first, _rest), (_other, requests)], held) = holding(1 << 30, 300_000);
    let mut holds = Client::connect(rig.address);
    let request = chat("there:1b", 280_000);
    let (begin, end) = request.split_at(request.len() - 20);
    holds.send(begin);
    wait_until_held(&held, 250_000);
    let waiting = std::thread::spawn(move || {
        let mut client = Client::connect(rig.address);
        client.send(chat("there:1b", 2_000_000)).until("other");
        rig
    });
    holds.send(end).until("other");
    let rig = waiting.join().expect("it was served");
    let lengths = [0, 1].map(|_| requests.recv_timeout(PATIENCE).expect("it came").len());
    assert_eq!(lengths, [chat("there:1b", 280_000).len(), chat("there:1b", 2_000_000).len()]);
    assert_eq!([rig.record(), rig.record()].map(|record| record.status), [200, 200]);
}

#[test]
fn a_body_that_finds_no_room_is_refused_after_a_while() {
    let (rig, _backends, held) = holding(1 << 30, 300_000);
    let request = chat("there:1b", 290_000);
    let mut holds = Client::connect(rig.address);
    holds.send(&request[..request.len() - 20]);
    wait_until_held(&held, 250_000);
    let answer = Client::connect(rig.address).send(&chat("there:1b", 100)[..90]).rest().0;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("fleet.hold_total_max"), "{answer}");
    assert_eq!(rig.record().error, Some(ErrorType::Limit));
    let client = http2::Client::connect(rig.address);
    let request = Request::builder().method(Method::POST).uri("http://a/api/chat").body(()).expect("a request");
    let (response, _stream) = client.send(request, false);
    assert_eq!(http2::wait(response).expect("a response").status(), 503);
}

#[test]
fn a_client_that_leaves_before_its_model_is_known_reaches_no_backend() {
    let (rig, [(first, _), (other, _)]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    client.send(&chat("there:1b", 1000)[..500]);
    drop(client);
    let record = rig.record();
    assert_eq!((record.placement, record.status), (None, 499));
    assert_eq!((first.accepted(), other.accepted()), (0, 0));
}

#[test]
fn a_request_over_http2_goes_to_the_backend_that_has_its_model() {
    let (rig, [(_first, _), (_other, requests)]) = two(Policy::ModelLoaded);
    let client = http2::Client::connect(rig.address);
    let body = chat("there:1b", 50_000);
    let body = body.split_once("\r\n\r\n").expect("a body").1;
    let request = Request::builder().method(Method::POST).uri("http://a/api/chat").body(()).expect("a request");
    let (response, mut stream) = client.send(request, false);
    let (one, two) = body.split_at(30_000);
    stream.send_data(Bytes::copy_from_slice(one.as_bytes()), false).expect("a stream");
    stream.send_data(Bytes::copy_from_slice(two.as_bytes()), true).expect("a stream");
    assert_eq!(http2::wait(response).expect("a response").status(), 200);
    let came = requests.recv_timeout(PATIENCE).expect("it came");
    let came = String::from_utf8(came).expect("text");
    let data: String = came.split_once("\r\n\r\n").expect("a body").1.lines().skip(1).step_by(2).collect();
    assert!(data == body, "chunk by chunk, the same");
    assert_eq!(placed(&rig.record()).0, "other");
}
