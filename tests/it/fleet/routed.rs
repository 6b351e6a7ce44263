//! Which backend gets a request that names its model elsewhere than in plain JSON, or that any backend can answer.

use std::io::Write;

use inferometer::exchange::placement::PlacementReason;
use inferometer::fleet::policy::Policy;

use super::{named, placed, two};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::rig::Rig;

/// A request with this body.
fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let part = |(name, body): &(&str, &str)| {
        format!("--b7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{body}\r\n")
    };
    (parts.iter().map(part).collect::<String>() + "--b7--\r\n").into_bytes()
}

#[test]
fn a_form_goes_to_the_backend_that_has_its_model_as_it_was_sent() {
    let (rig, [(_first, _rest), (_other, requests)]) = two(Policy::ModelLoaded);
    let audio = "\u{1}RIFF".repeat(60_000);
    let (model, file) = (("model", "there:1b"), ("file", &*audio));
    let mut client = Client::connect(rig.address);
    for parts in [[model, file], [file, model]] {
        let fields = "Content-Type: multipart/form-data; boundary=b7\r\n";
        let request = post("/v1/audio/transcriptions", fields, &form(&parts));
        client.send(&request).until("other");
        assert!(requests.recv_timeout(PATIENCE).expect("it came") == request, "byte for byte");
        assert_eq!(placed(&rig.record()).0, "other");
    }
    let request = post("/v1/audio/transcriptions", "Content-Type: multipart/form-data\r\n", &form(&[model]));
    client.send(&request).until("first");
    assert_eq!(placed(&rig.record()), ("first", PlacementReason::Home), "without a boundary it names none");
}

#[test]
fn a_compressed_body_is_placed_by_its_model_and_sent_as_it_came() {
    let (rig, [(_first, _), (_other, requests)]) = two(Policy::ModelLoaded);
    let words: String = (0..40_000_u32).map(|word| format!("{:x} ", word.wrapping_mul(2_654_435_761))).collect();
    let body = format!(r#"{{"messages":[{{"content":"{words}"}}],"model":"there:1b"}}"#).into_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&body).expect("memory");
    let mut zstd = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut zstd, &body, 1).expect("there is room");
    let mut client = Client::connect(rig.address);
    for (coding, coded) in [("gzip", gzip.finish().expect("memory")), ("zstd", zstd)] {
        let request = post("/v1/chat/completions", &format!("Content-Encoding: {coding}\r\n"), &coded);
        client.send(&request).until("other");
        assert!(requests.recv_timeout(PATIENCE).expect("it came") == request, "{coding}: byte for byte");
        assert_eq!(placed(&rig.record()).0, "other", "{coding}");
    }
}

#[test]
fn tokens_and_properties_are_asked_of_the_backend_that_has_the_model() {
    let (rig, [_first, _other]) = two(Policy::ModelLoaded);
    let mut client = Client::connect(rig.address);
    for path in ["/tokenize", "/detokenize", "/apply-template", "/v1/messages/count_tokens"] {
        client.send(post(path, "", br#"{"content":"x","model":"there:1b"}"#)).until("other");
        assert_eq!(placed(&rig.record()).0, "other", "{path}");
    }
    for (target, from) in [
        ("/props?a=b&model=there%3A1b", "other"),
        ("/api/v0/models/there:1b", "other"),
        ("/props", "first"),
        ("/props?model=nowhere", "first"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).until(from);
        assert_eq!(placed(&rig.record()).0, from, "{target}");
    }
}

#[test]
fn health_is_answered_by_any_backend_that_works() {
    let (other, _requests) = named("other");
    let gone = crate::support::servers::free();
    let rig = Rig::before_several(Policy::ModelLoaded, &[("gone", gone, &["m"]), ("other", other.address, &["m"])]);
    let mut client = Client::connect(rig.address);
    for (path, attempt) in [("/", 2), ("/health", 1), ("/v1/health", 1)] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).until("other");
        let placement = rig.record().placement.expect("placed");
        assert_eq!((&*placement.backend, placement.attempt), ("other", attempt), "{path}");
    }
    let nowhere = Rig::before_several(Policy::ModelLoaded, &[("gone", gone, &["m"]), ("too", gone, &["m"])]);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = Client::connect(nowhere.address).send(request).rest().0;
    assert!(answer.starts_with(b"HTTP/1.1 502 "), "{}", String::from_utf8_lossy(&answer));
}
