//! How many clients are served at once.

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::rig::{Options, Rig};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Before a backend that answers everything.
fn limited(max_connections: u64) -> (Backend, Rig) {
    let backend = Backend::start(|connection| {
        while connection.request().is_some() {
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let mut options = Options::default();
    options.settings.max_connections = max_connections;
    let rig = Rig::with(backend.address, options);
    (backend, rig)
}

#[test]
fn without_a_limit_clients_are_served() {
    let (_backend, rig) = limited(u64::MAX);
    Client::connect(rig.address).send(REQUEST).until("ok");
}

#[test]
fn one_connection_too_many_is_told_so_and_closed() {
    let (_backend, rig) = limited(1);
    let mut served = Client::connect(rig.address);
    served.send(REQUEST).until("ok");
    let (answer, broken) = Client::connect(rig.address).send(REQUEST).rest();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: limit\r\n"), "{answer}");
    // A client that kept it would be refused for as long as it uses it.
    assert!(!broken, "it is closed");
    served.send(REQUEST).until("ok");
}

#[test]
fn far_too_many_connections_wait_and_are_not_dropped() {
    let (_backend, rig) = limited(1);
    let mut first = Client::connect(rig.address);
    first.send(REQUEST).until("ok");
    let mut others: Vec<_> = (0..80).map(|_| Client::connect(rig.address)).collect();
    for (index, mut client) in others.drain(..).enumerate() {
        let head = client.send(REQUEST).until("\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 503 "), "{index}");
    }
}
