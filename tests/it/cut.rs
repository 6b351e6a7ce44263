//! Half an answer never looks like a whole one, whatever ended it.

use std::io::Read;
use std::sync::mpsc;

use inferometer::proxy::Life;
use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::rig::Rig;

/// Answers that end with the client's connection: the backend's own does, or the client knows no chunks.
const ENDED_BY_CLOSE: [(&str, &str); 3] = [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhalf"),
    ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhalf"),
    ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
];

/// A backend that sends half of an answer, and the rest on a signal.
fn halving(half: &'static str) -> (Backend, mpsc::Sender<&'static str>) {
    let (go, on) = mpsc::channel();
    let on = std::sync::Mutex::new(on);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(half.as_bytes());
        if let Ok(rest) = on.lock().expect("one script").recv_timeout(PATIENCE) {
            connection.write(str::as_bytes(rest));
        }
    });
    (backend, go)
}

#[test]
fn an_answer_cut_by_the_end_of_a_drain_is_a_reset() {
    for (request, half) in ENDED_BY_CLOSE {
        let (backend, _go) = halving(half);
        let rig = Rig::before(backend.address);
        let mut client = Client::connect(rig.address);
        client.send(request).until("half");
        rig.life.send_replace(Life::Draining);
        rig.life.send_replace(Life::Killed);
        assert_eq!(client.rest(), (Vec::new(), true), "{request} {half}");
        assert_eq!(rig.record().error.map(|error| error.as_str()), Some("draining"));
    }
}

#[test]
fn an_answer_cut_by_a_second_signal_is_a_reset() {
    for (request, half) in ENDED_BY_CLOSE {
        let (backend, _go) = halving(half);
        let mut program = Program::before(backend.address);
        let mut client = Client::connect(program.clients);
        client.send(request).until("half");
        program.signal(Signal::TERM);
        program.logged(|line| line["message"].as_str().is_some_and(|said| said.contains("drain")));
        program.signal(Signal::TERM);
        assert_eq!(program.ended().code(), Some(143));
        assert_eq!(client.rest(), (Vec::new(), true), "{request} {half}");
    }
}

#[test]
fn a_whole_answer_that_ends_with_its_connection_ends_in_order() {
    for (request, half) in ENDED_BY_CLOSE {
        let (backend, go) = halving(half);
        let rig = Rig::before(backend.address);
        let mut client = Client::connect(rig.address);
        client.send(request).until("half");
        let chunked = half.contains("chunked");
        go.send(if chunked { "5\r\nwhole\r\n0\r\n\r\n" } else { "whole" }).expect("the backend waits");
        assert_eq!(client.rest(), (b"whole".to_vec(), false), "{request} {half}");
        assert_eq!(rig.record().outcome.as_str(), "completed");
    }
}

#[test]
fn a_tunnel_cut_by_the_end_of_a_drain_is_a_reset_on_both_sides() {
    let (end, ended) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello");
        end.send(connection.stream.read(&mut [0; 9]).is_err()).expect("the test waits");
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").until("hello");
    rig.life.send_replace(Life::Draining);
    rig.life.send_replace(Life::Killed);
    assert_eq!(client.rest(), (Vec::new(), true));
    assert!(ended.recv_timeout(PATIENCE).expect("an end"), "the backend sees a reset");
}
