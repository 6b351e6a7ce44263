//! Tests that a tunnel holds the lease of its backend until it ends.

use std::io::{Read, Write};
use std::net::TcpListener;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};

use crate::exchange::outcome::Outcome;
use crate::proxy::polls::Polls;
use crate::proxy::stage::{self, Records};

/// Switches protocols once, sends back what it receives, and closes with its client.
fn backend() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        stream.write_all(switch).expect("it is taken");
        while stream.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).expect("it is taken");
        }
    });
    address
}

#[test]
fn a_tunnel_is_in_flight_on_its_backend_until_it_ends() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    let records = Records::default();
    runtime.block_on(async {
        let worker = stage::worker(backend(), &records);
        let member = worker.thread.with_fleet(|fleet| fleet.members()[0].clone());
        let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut client = TcpStream::connect(front.local_addr().expect("an address")).await.expect("it listens");
        let (near, _) = front.accept().await.expect("a connection");
        assert_eq!(member.in_flight(), 0);
        let serving =
            tokio::task::spawn_local(super::serve(worker, std::rc::Rc::<Polls>::default(), near, stage::admission()));
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n!")
            .await
            .expect("it is taken");
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n!") {
            seen.push(client.read_u8().await.expect("the switch, and an echo"));
        }
        assert_eq!(member.in_flight(), 1, "while it goes on");
        drop(client);
        serving.await.expect("no panic");
        assert_eq!(member.in_flight(), 0, "once it has ended");
    });
    assert_eq!(records.last().outcome, Outcome::Completed);
}
