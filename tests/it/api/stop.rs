//! An exchange that an operator stops: its client sees an error or a cut answer, its backend's connection closes, and
//! every record says why.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use inferometer::tls::Identity;
use serde_json::{Value, json};

use super::exchanges::wait_for;
use super::{Answer, get, send};
use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::http2::{self, piece, request};
use crate::support::program::{Program, access_limits};
use crate::support::{PATIENCE, look_until, secure};

const CHAT: &str =
    "POST /api/chat HTTP/1.1\r\nHost: a\r\nUser-Agent: runaway/1\r\nContent-Length: 17\r\n\r\n{\"model\": \"loop\"}";
const JSON: &str = "Content-Type: application/json\r\nContent-Length: 0\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n";
const TOKEN: &str = "{\"model\":\"loop\",\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":false}\n";

/// A backend that begins an answer with these bytes and never ends it, and what it notices of its connections' ends.
fn endless(begins: String) -> (Backend, mpsc::Receiver<bool>) {
    let (gone, goes) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        let Some(asked) = connection.request() else { return };
        if asked.starts_with(b"POST ") || asked.windows(8).any(|part| part == b"Upgrade:") {
            connection.write(begins.as_bytes());
            let _ = gone.send(connection.closed());
        } else {
            connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (backend, goes)
}

fn chunked() -> String {
    format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{TOKEN}\r\n", TOKEN.len())
}

/// The exchange in flight, once there is one in this phase.
fn running(program: &Program, phase: &str) -> Value {
    look_until(|| {
        let answer = get(program, "/dashboard/exchanges/in-flight");
        let found = answer["exchanges"].as_array().and_then(|all| all.iter().find(|it| it["phase"] == phase).cloned());
        found.ok_or_else(|| answer.to_string())
    })
}

fn stop(program: &Program, exchange: &Value) -> Answer {
    let id = exchange["id"].as_str().expect("an id");
    send(program.admin, "POST", &format!("/dashboard/exchanges/{id}/stop"), JSON)
}

/// Stops the exchange in this phase, and gives its record once it is kept.
fn stopped(program: &Program, phase: &str, goes: &mpsc::Receiver<bool>) -> Value {
    let exchange = running(program, phase);
    let answer = stop(program, &exchange);
    assert_eq!((answer.status, &answer.json["stopped"]), (200, &json!(true)), "{}", answer.json);
    assert!(goes.recv_timeout(PATIENCE).expect("an end"), "the backend's connection is closed");
    let list = wait_for(program, 1);
    let kept = list["exchanges"][0].clone();
    assert_eq!((&kept["trace_id"], &kept["error"]), (&exchange["trace_id"], &json!("stopped")), "{kept:#}");
    assert_eq!(get(program, "/dashboard/exchanges/in-flight")["exchanges"], json!([]));
    assert_eq!(stop(program, &exchange).status, 404, "it has ended");
    kept
}

#[test]
fn a_stopped_stream_is_cut_and_every_record_says_so() {
    let (backend, goes) = endless(chunked());
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("false}\n\r\n");
    let exchange = running(&program, "decode");
    assert_eq!((&exchange["client"], &exchange["pieces"]), (&json!("runaway"), &json!(1)), "{exchange:#}");
    let kept = stopped(&program, "decode", &goes);
    assert_eq!((&kept["outcome"], &kept["status"]), (&json!("truncated"), &json!(200)), "{kept:#}");
    let (rest, _) = client.rest();
    assert_eq!(String::from_utf8_lossy(&rest), "", "no last chunk");
    let line = program.logged(|line| line["error"] == "stopped");
    assert_eq!(line["outcome"], "truncated", "{line}");
    look_until(|| {
        let metrics = program.fetch("/metrics");
        let is_stopped = |line: &str| line.contains("errors_total") && line.contains("stopped") && line.ends_with(" 1");
        metrics.lines().find(|line| is_stopped(line)).map(str::to_owned).ok_or(metrics)
    });
    let entry = look_until(|| {
        let answer = get(&program, "/dashboard/audit?action=exchange_stop");
        let entry = answer["entries"].as_array().and_then(|entries| entries.first().cloned());
        entry.ok_or_else(|| answer.to_string())
    });
    assert_eq!((&entry["result"], &entry["details"]["endpoint"]), (&json!("success"), &json!("/api/chat")), "{entry}");
}

#[test]
fn an_answer_that_would_end_with_its_connection_is_reset_when_it_is_stopped() {
    let (backend, goes) = endless(format!("{HEAD}\r\n{TOKEN}"));
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("false}\n");
    assert_eq!(stopped(&program, "decode", &goes)["outcome"], "truncated");
    assert!(client.rest().1, "an orderly end would look whole");
}

#[test]
fn a_request_that_is_stopped_before_its_answer_gets_one_that_says_so() {
    for (phase, request) in [("waiting", CHAT), ("upload", &CHAT[..CHAT.len() - 3])] {
        let (gone, goes) = mpsc::channel();
        let backend = Backend::start(move |connection| {
            if connection.head().is_some_and(|head| head.starts_with(b"POST ")) {
                let _ = gone.send(connection.closed());
            }
        });
        let program = Program::before(backend.address);
        let mut client = Client::connect(program.clients);
        client.send(request);
        let kept = stopped(&program, phase, &goes);
        assert_eq!((&kept["outcome"], &kept["status"]), (&json!("rejected"), &json!(403)), "{phase}: {kept:#}");
        let answer = client.until("}");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("x-inferometer-error: stopped"), "{answer}");
    }
}

#[test]
fn a_tunnel_ends_when_it_is_stopped() {
    let (backend, goes) =
        endless("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n".to_owned());
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").until("\r\n\r\n");
    assert_eq!(stopped(&program, "prefill", &goes)["outcome"], "truncated");
    assert_eq!(client.rest().0, b"");
}

#[test]
fn a_stopped_stream_of_http2_is_reset_and_the_others_go_on() {
    let (backend, goes) = endless(chunked());
    let program = Program::before(backend.address);
    let client = http2::Client::connect(program.clients);
    let chat = || {
        let (response, mut body) = client.send(request(http::Method::POST, "/api/chat"), false);
        body.send_data(bytes::Bytes::from_static(b"{\"model\": \"loop\"}"), true).expect("a body");
        let mut answer = http2::wait(response).expect("a head").into_body();
        assert!(piece(&mut answer).expect("a piece").is_ok());
        answer
    };
    let mut first = chat();
    let exchange = running(&program, "decode");
    let mut second = chat();
    assert_eq!(stop(&program, &exchange).status, 200);
    let error = piece(&mut first).expect("no end").expect_err("a reset");
    assert!(error.is_reset(), "{error}");
    assert!(goes.recv_timeout(PATIENCE).expect("an end"));
    let kept = wait_for(&program, 1)["exchanges"][0].clone();
    assert_eq!((&kept["outcome"], &kept["error"]), (&json!("truncated"), &json!("stopped")), "{kept:#}");
    let left = running(&program, "decode");
    assert_ne!(left["id"], exchange["id"], "the other goes on");
    assert_eq!(stop(&program, &left).status, 200);
    assert!(piece(&mut second).expect("no end").expect_err("a reset").is_reset());
}

#[test]
fn a_request_of_http2_that_is_stopped_before_its_answer_gets_one_that_says_so() {
    let (backend, goes) = endless(String::new());
    let program = Program::before(backend.address);
    let client = http2::Client::connect(program.clients);
    let (response, mut body) = client.send(request(http::Method::POST, "/api/chat"), false);
    body.send_data(bytes::Bytes::from_static(b"{\"model\": \"loop\"}"), true).expect("a body");
    let kept = stopped(&program, "waiting", &goes);
    assert_eq!((&kept["outcome"], &kept["status"]), (&json!("rejected"), &json!(403)), "{kept:#}");
    let response = http2::wait(response).expect("a head");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-inferometer-error"]),
        (403, &"stopped".parse().expect("a word"))
    );
}

#[test]
fn only_a_change_from_here_stops_an_exchange() {
    let (backend, _goes) = endless(chunked());
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("false}\n\r\n");
    let exchange = running(&program, "decode");
    let path = format!("/dashboard/exchanges/{}/stop", exchange["id"].as_str().expect("an id"));
    for (method, fields, status) in [
        ("GET", "", 405),
        ("POST", "Content-Length: 0\r\n", 400),
        ("POST", "Content-Type: application/json\r\nContent-Length: 0\r\nOrigin: http://evil.example\r\n", 403),
        ("POST", "Content-Type: application/json\r\nContent-Length: 0\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
        let answer = ask(program.admin, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {fields}: {answer}");
    }
    assert_eq!(send(program.admin, "POST", "/dashboard/exchanges/1/stop", JSON).status, 404);
    assert_eq!(send(program.admin, "POST", &format!("{path}?force=1"), JSON).status, 400);
    assert_eq!(running(&program, "decode")["id"], exchange["id"], "it goes on");
}

/// Whoever drains wants it to end: a stream that does not is what the drain waits for.
#[test]
fn an_exchange_is_stopped_while_the_program_drains() {
    let (backend, goes) = endless(chunked());
    let mut program = Program::with(backend.address, &["--drain-timeout", "600s"]);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("false}\n\r\n");
    let exchange = running(&program, "decode");
    program.signal(rustix::process::Signal::TERM);
    look_until(|| match program.fetch_whole("/readyz") {
        answer if answer.starts_with("HTTP/1.1 503 ") => Ok(()),
        answer => Err(answer),
    });
    let answer = stop(&program, &exchange);
    assert_eq!((answer.status, &answer.json["stopped"]), (200, &json!(true)), "{}", answer.json);
    assert!(goes.recv_timeout(PATIENCE).expect("an end"), "the backend's connection is closed");
    assert_eq!(String::from_utf8_lossy(&client.rest().0), "", "no last chunk");
    assert!(program.ended().success(), "nothing is left to wait for");
}

#[test]
fn a_stopped_stream_over_tls_ends_without_the_farewell_that_would_make_it_look_whole() {
    let (backend, goes) = endless(chunked());
    let authority = Authority::new();
    let Identity { cert_file, key_file } = authority.identity(&["localhost"]);
    let file = folder().join("inferometer.toml");
    let tls = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", cert_file.display(), key_file.display());
    std::fs::write(&file, tls + &access_limits()).expect("a file");
    let program = Program::with(backend.address, &["--config", &file.display().to_string()]);
    let mut client = secure::connect(program.clients, authority.client(None, &["http/1.1"]));
    client.write_all(CHAT.as_bytes()).expect("it reads");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"false}\n\r\n") {
        client.read_exact(&mut byte).expect("a piece");
        answer.push(byte[0]);
    }
    assert_eq!(stopped(&program, "decode", &goes)["outcome"], "truncated");
    let mut rest = Vec::new();
    let end = client.read_to_end(&mut rest);
    assert!(end.is_err() && rest.is_empty(), "{end:?} after {rest:?}");
}
