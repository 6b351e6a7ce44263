//! What happens to a connection between exchanges when the process starts to drain.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};

use crate::proxy::admission::Life;
use crate::proxy::polls::Polls;
use crate::proxy::stage::{self, Records};

/// What a client reads that had sent these bytes when the drain started, and how many exchanges they began.
fn answered(sent: &str) -> (String, usize) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    let front = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut client = TcpStream::connect(front.local_addr().expect("an address")).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    client.write_all(sent.as_bytes()).expect("it fits into the socket");
    let near = front.accept().expect("a connection").0;
    near.set_nonblocking(true).expect("a socket");
    let records = Records::default();
    runtime.block_on(async {
        let near = tokio::net::TcpStream::from_std(near).expect("a socket");
        // No exchange reaches a backend.
        let worker = stage::worker(front.local_addr().expect("an address"), &records);
        worker.thread.life.set(Life::Draining);
        let polls = Rc::<Polls>::default();
        let mut serving = pin!(super::serve(worker, polls.clone(), near, stage::admission()));
        poll_fn(|cx| {
            polls.begin();
            let served = serving.as_mut().poll(cx);
            polls.end();
            served
        })
        .await;
    });
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an end in order, not a reset");
    (answer, records.len())
}

#[test]
fn an_unread_request_is_answered_when_a_drain_begins() {
    let (answer, exchanges) = answered("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    let head = answer.to_ascii_lowercase();
    assert!(head.contains("connection: close\r\n") && head.contains("x-inferometer-error: draining\r\n"), "{answer}");
    assert_eq!(exchanges, 1);
}

#[test]
fn a_silent_connection_is_closed_at_once_when_a_drain_begins() {
    assert_eq!(answered(""), (String::new(), 0));
}
