//! `Expect: 100-continue` over HTTP/2: the backend's permission reaches the client, and the body flows with it and without.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::{Method, Request};

use super::closing::Over;
use crate::support::backend::Backend;
use crate::support::http2::{Client, piece, request, rest, wait};
use crate::support::rig::Rig;

const PERMISSION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const DOWNLOAD: usize = 8 << 20;

/// A backend that permits the body, asks for it with nothing, or refuses it, as the path says; or sends much.
fn backend() -> Backend {
    Backend::start(|connection| {
        while let Some(head) = connection.head() {
            let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
            if head.starts_with("get /much ") {
                connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {DOWNLOAD}\r\n\r\n").as_bytes());
                connection.write(&vec![b'x'; DOWNLOAD]);
                continue;
            }
            assert!(head.contains("expect: 100-continue"), "{head}");
            if head.starts_with("put /no ") {
                return connection.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
            }
            if head.starts_with("put /yes ") {
                connection.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
                connection.write(PERMISSION);
                connection.write(PERMISSION);
            }
            assert_eq!(connection.exactly(4), b"body");
            connection.write(super::OK);
        }
    })
}

fn put(path: &str) -> Request<()> {
    let mut put = request(Method::PUT, path);
    put.headers_mut().append("expect", "100-continue".parse().expect("a value"));
    put.headers_mut().append("content-length", "4".parse().expect("a value"));
    put
}

/// The status of the next interim response; `None` where the final one comes.
fn permission(response: &mut ResponseFuture) -> Option<u16> {
    let interim = wait(poll_fn(|cx| response.poll_informational(cx)));
    interim.map(|interim| interim.expect("a stream").status().as_u16())
}

/// Asks, sends the body once it is permitted, and reads the answer.
fn put_permitted(client: &Client) {
    let (mut response, mut stream) = client.send(put("/yes"), false);
    assert_eq!(permission(&mut response), Some(100), "and no other interim response");
    stream.send_data(Bytes::from_static(b"body"), true).expect("a stream");
    assert_eq!(permission(&mut response), None, "once");
    assert_eq!(rest(wait(response).expect("a head").into_body()).expect("a whole body"), "ok");
}

#[test]
fn the_backends_permission_to_send_a_body_reaches_the_client() {
    for over in Over::each() {
        let rig = over.rig(&backend(), |_| {});
        let client = connect(&over, &rig);
        for _ in 0..3 {
            put_permitted(&client);
            assert_eq!(rig.record().outcome.as_str(), "completed", "{}", over.name());
        }
    }
}

/// A client over TLS or without.
fn connect(over: &Over, rig: &Rig) -> Client {
    let Some(authority) = &over.0 else { return Client::connect(rig.address) };
    let config = authority.client(None, &["h2"]);
    Client::over(rig.address, |socket| async move {
        let name = "localhost".try_into().expect("a name");
        tokio_rustls::TlsConnector::from(config).connect(name, socket).await.expect("TLS")
    })
}

#[test]
fn without_a_permission_the_body_flows_and_a_refusal_comes_without_it() {
    let rig = Rig::before(backend().address);
    let client = Client::connect(rig.address);
    let (mut response, mut stream) = client.send(put("/silent"), false);
    stream.send_data(Bytes::from_static(b"body"), true).expect("a stream");
    assert_eq!(permission(&mut response), None);
    assert_eq!(rest(wait(response).expect("a head").into_body()).expect("a whole body"), "ok");
    let (mut response, _stream) = client.send(put("/no"), false);
    assert_eq!(permission(&mut response), None);
    assert_eq!(wait(response).expect("a head").status(), 417);
}

#[test]
fn a_permission_finds_its_place_between_the_frames_of_a_download() {
    let rig = Rig::before(backend().address);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/much"), true);
    let mut body = wait(response).expect("a head").into_body();
    let reading = std::thread::spawn(move || {
        let mut read = 0;
        while let Some(data) = piece(&mut body) {
            read += data.expect("it goes on").len();
        }
        read
    });
    for _ in 0..50 {
        put_permitted(&client);
    }
    assert_eq!(reading.join().expect("no panic"), DOWNLOAD);
}
