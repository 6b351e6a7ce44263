//! WebSockets: topics hold what their GET answers with, a client that asks for nothing gets some, and nobody holds more
//! than is theirs.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::samples::{Demo, traffic};
use super::{get, program, shape};
use crate::support::PATIENCE;

pub(super) type Socket = WebSocket<TcpStream>;

pub(super) fn open(address: SocketAddr, path: &str) -> Result<Socket, String> {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("ws://{address}{path}");
    tungstenite::client(url, stream).map(|(socket, _)| socket).map_err(|error| error.to_string())
}

/// The next text, as JSON.
pub(super) fn next(socket: &mut Socket) -> Value {
    loop {
        match socket.read().expect("a message in time") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn subscribe(socket: &mut Socket, topics: &[&str]) -> Value {
    let request = json!({"action": "subscribe", "topics": topics, "interval_ms": 100});
    socket.send(Message::text(request.to_string())).expect("it reads");
    next(socket)
}

/// The next push of a topic.
fn push(socket: &mut Socket, topic: &str) -> Value {
    loop {
        let push = next(socket);
        if push["topic"] == topic {
            return push;
        }
    }
}

#[test]
fn a_client_that_asks_for_nothing_gets_the_topics_of_the_document() {
    let (program, _backend) = program();
    let mut socket = open(program.admin, "/dashboard/ws").expect("it is upgraded");
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        let push = next(&mut socket);
        assert!(push["timestamp"].is_string() && push["data"].is_object(), "{push}");
        seen.insert(push["topic"].as_str().expect("a name").to_owned());
    }
    assert_eq!(Vec::from_iter(seen), ["alerts", "metrics", "stats"]);
}

#[test]
fn a_topic_holds_what_its_get_answers_with_and_an_unknown_one_is_rejected() {
    let demo = Demo::start("live");
    let mut socket = open(demo.program.admin, "/dashboard/ws").expect("it is upgraded");
    let names = ["stats", "metrics", "alerts", "models", "workers", "jobs", "logs", "exchanges", "in_flight"];
    let answer = subscribe(&mut socket, &[&names[..], &["weather"]].concat());
    assert_eq!((&answer["type"], &answer["rejected"]), (&"subscribed".into(), &json!(["weather"])), "{answer}");
    assert_eq!(answer["topics"].as_array().map(Vec::len), Some(names.len()), "{answer}");
    // What was not known yet at the push may be known to the GET after it: then the next push has it too.
    for name in &names[..6] {
        crate::support::look_until(|| {
            let push = push(&mut socket, name);
            let same = get(&demo.program, &format!("/dashboard/{name}"));
            match shape::faults(&push["data"], &same).as_slice() {
                [] => Ok(()),
                faults => Err(format!("{name}: {faults:?}")),
            }
        });
    }
    traffic(&demo);
    let ended = push(&mut socket, "exchanges");
    assert!(ended["data"]["id"].is_string(), "{ended}");
    let bad = "{\"action\": \"dance\"}";
    socket.send(Message::text(bad)).expect("it reads");
    let refused = loop {
        let message = next(&mut socket);
        if message["type"] == "error" {
            break message;
        }
    };
    assert_eq!(refused["error"]["code"], "INVALID_PARAMETER", "{refused}");
}

#[test]
fn what_was_read_long_ago_for_another_is_not_pushed_as_the_newest() {
    let (program, _backend) = program();
    let first = || {
        let mut socket = open(program.admin, "/dashboard/ws").expect("it is upgraded");
        subscribe(&mut socket, &["metrics"]);
        push(&mut socket, "metrics")["timestamp"].as_str().expect("a time").to_owned()
    };
    let before = first();
    // Nobody listens for longer than a state counts as new: its time is what is tested.
    std::thread::sleep(Duration::from_secs(4));
    let now = get(&program, "/dashboard/metrics")["timestamp"].as_str().expect("a time").to_owned();
    let after = first();
    assert!(before < now && now <= after, "{before}, {now}, {after}");
}

#[test]
fn the_older_socket_pushes_its_summary() {
    let (program, _backend) = program();
    let mut socket = open(program.admin, "/ws").expect("it is upgraded");
    let summary = next(&mut socket);
    for key in ["summary", "latency_percentiles", "high_priority_percentiles", "timestamp"] {
        assert!(summary.get(key).is_some(), "{key}: {summary}");
    }
}

#[test]
fn an_asker_has_a_bounded_number_of_sockets_and_gets_one_back_by_closing() {
    let (program, _backend) = program();
    let mut sockets: Vec<_> = (0..8).map(|_| open(program.admin, "/dashboard/ws").expect("one of eight")).collect();
    assert!(open(program.admin, "/dashboard/ws").is_err_and(|error| error.contains("429")), "a ninth is refused");
    drop(sockets.pop());
    crate::support::look_until(|| open(program.admin, "/dashboard/ws").map(drop));
}

#[test]
fn a_message_that_is_too_long_and_the_programs_end_close_a_socket() {
    let (program, _backend) = program();
    let mut socket = open(program.admin, "/dashboard/ws").expect("it is upgraded");
    socket.send(Message::text("x".repeat(20_000))).expect("it reads");
    let ends = (0..1_000).find_map(|_| match socket.read() {
        Ok(Message::Close(_)) | Err(_) => Some(()),
        Ok(_) => None,
    });
    assert_eq!(ends, Some(()));
    let mut socket = open(program.admin, "/dashboard/ws").expect("it is upgraded");
    push(&mut socket, "stats");
    program.signal(Signal::TERM);
    let code = (0..1_000).find_map(|_| match socket.read().expect("it is closed") {
        Message::Close(close) => Some(close.expect("a reason").code),
        _ => None,
    });
    assert_eq!(code.map(u16::from), Some(1001));
}
