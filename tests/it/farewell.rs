//! TLS says farewell with a record, often without closing the socket. It means what the end of a socket means.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use http::Method;
use inferometer::tls::client::{Settings, TlsClient};
use rustls::{ClientConnection, StreamOwned};
use tokio::io::AsyncWriteExt;

use crate::support::PATIENCE;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::rig::{Options, Rig};
use crate::support::secure;
use crate::tls::behind_tls;

/// Says farewell, and leaves the socket open.
fn say_farewell(stream: &mut StreamOwned<ClientConnection, TcpStream>) {
    stream.conn.send_close_notify();
    stream.flush().expect("a socket");
}

#[test]
fn a_farewell_over_tls_cancels_the_backend_in_every_phase() {
    let post = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    let answered = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
    let whole = format!("{post}{{}}");
    let (next, ahead) = (format!("{whole}GET /next"), format!("{whole}{}", "x".repeat(9000)));
    for (request, answer) in [
        (post, ""),
        (&whole, ""),
        (&whole, answered),
        // Bytes that were sent ahead do not hide it.
        (&next, ""),
        (&next, answered),
        (&ahead, answered),
    ] {
        let ((ready, readies), (gone, goes)) = (mpsc::channel(), mpsc::channel());
        let backend = Backend::start(move |connection| {
            connection.head();
            connection.write(answer.as_bytes());
            ready.send(()).expect("the test waits");
            gone.send(connection.closed()).expect("the test waits");
        });
        let authority = Authority::new();
        let rig = behind_tls(authority.identity(&["localhost"]), &backend);
        let mut stream = secure::connect(rig.address, authority.client(None, &["http/1.1"]));
        stream.write_all(request.as_bytes()).expect("it reads");
        stream.flush().expect("it reads");
        readies.recv_timeout(PATIENCE).expect("the backend is asked");
        if !answer.is_empty() {
            secure::head(&mut stream);
        }
        say_farewell(&mut stream);
        assert!(goes.recv_timeout(PATIENCE).expect("an end"), "the backend is let go: {request}");
        assert_eq!(rig.record().outcome.as_str(), "client_cancelled", "{request}");
    }
}

#[test]
fn what_was_sent_ahead_over_tls_is_answered_in_its_turn() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let path = String::from_utf8_lossy(&request).split(' ').nth(1).expect("a path").to_owned();
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len()).as_bytes());
            connection.write(path.as_bytes());
        }
    });
    let authority = Authority::new();
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    let mut stream = secure::connect(rig.address, authority.client(None, &["http/1.1"]));
    let body = "x".repeat(30_000);
    let mut sent = String::new();
    for number in 0..20 {
        sent += &format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }
    stream.write_all(sent.as_bytes()).expect("it reads");
    for number in 0..20 {
        secure::head(&mut stream);
        let path = format!("/{number}");
        let mut answer = vec![0; path.len()];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, path.as_bytes());
    }
}

#[test]
fn a_farewell_over_tls_cancels_every_stream_of_http2() {
    let ((ready, readies), (gone, goes)) = (mpsc::channel(), mpsc::channel());
    let backend = Backend::start(move |connection| {
        connection.request();
        ready.send(()).expect("the test waits");
        gone.send(connection.closed()).expect("the test waits");
    });
    let authority = Authority::new();
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    let config = authority.client(None, &["h2"]);
    let (leave, leaving) = tokio::sync::oneshot::channel::<()>();
    let client = http2::Client::over(rig.address, move |socket| async move {
        let name = "localhost".try_into().expect("a name");
        let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.expect("TLS");
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut far, &mut stream) => {}
                _ = leaving => {
                    stream.get_mut().1.send_close_notify();
                    stream.flush().await.expect("a socket");
                    // The socket stays.
                    std::future::pending::<()>().await;
                }
            }
        });
        near
    });
    let _streams: Vec<_> = (0..3).map(|_| client.send(http2::request(Method::GET, "/api/chat"), true)).collect();
    (0..3).for_each(|_| readies.recv_timeout(PATIENCE).expect("the backend is asked"));
    leave.send(()).expect("it waits");
    for _ in 0..3 {
        assert!(goes.recv_timeout(PATIENCE).expect("an end"), "the backend is let go");
        assert_eq!(rig.record().outcome.as_str(), "client_cancelled");
    }
}

/// A backend over TLS that resets a used connection as soon as it has read the beginning of the next request.
#[test]
fn a_request_that_left_in_part_over_tls_is_never_sent_again() {
    const TRIES: usize = 40;
    let authority = Authority::new();
    let server = Authority::server(&authority.identity(&["127.0.0.1"]), None);
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let backend = secure::serve(server, move |stream| {
        loop {
            let mut first = [0; 4];
            if stream.read_exact(&mut first).is_err() {
                return;
            }
            if &first == b"POST" {
                counted.fetch_add(1, Ordering::SeqCst);
                socket2::SockRef::from(&stream.sock).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
                return;
            }
            secure::head(stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let settings = Settings { ca_file: Some(authority.file()), ..Settings::default() };
    let client = TlsClient::load(&settings, "127.0.0.1").expect("files");
    let rig = Rig::with(backend, Options { backend_tls: Some(client), ..Options::default() });
    // A head of many records: some of them have left when the reset arrives.
    let field = format!("x-field: {}\r\n", "y".repeat(2_000));
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\n{}Content-Length: 1\r\n\r\nx", field.repeat(120));
    for tried in 1..=TRIES {
        let mut client = Client::connect(rig.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
        client.send(&post);
        let answer = String::from_utf8_lossy(&client.until("\r\n\r\n")).into_owned();
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert_eq!(begun.load(Ordering::SeqCst), tried, "a generation was begun twice");
    }
}
