//! The watched backend against real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::Backend;
use super::catalogue::Catalogue;
use super::monitor::{Monitor, Pace};
use super::probe::{self, Report};
use super::status::{Failure, State};

const PACE: Pace = Pace {
    probe_every: Duration::from_millis(5),
    probe_limit: Duration::from_millis(100),
    list_every: Duration::from_millis(5),
    list_limit: Duration::from_secs(5),
};

struct Told(UnboundedSender<bool>);

impl Report for Told {
    fn probed(&self, backend: &str, up: bool, _took: Duration) {
        assert_eq!(backend, "gpu1");
        let _ = self.0.send(up);
    }
}

fn monitor(address: &str) -> Arc<Monitor> {
    let backend = Backend { name: "gpu1".into(), address: address.parse().expect("an address") };
    Arc::new(Monitor::new(backend, None, PACE, Instant::now()))
}

/// Reads a request's head; its first line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("ASCII")
}

/// Answers each request by its first line; tells of each one afterwards.
async fn serve(listener: TcpListener, heads: UnboundedSender<String>, answer: fn(&str) -> Option<&'static str>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let head = head(&mut stream).await;
        if let Some(answer) = answer(&head) {
            stream.write_all(answer.as_bytes()).await.expect("an open connection");
        } else {
            let _ = stream.read_u8().await; // hangs until the other side gives up
        }
        let _ = heads.send(head);
    }
}

async fn until(told: &mut UnboundedReceiver<bool>, up: bool) {
    while told.recv().await.expect("the prober runs") != up {}
}

#[tokio::test]
async fn any_http_answer_is_up_and_a_closed_port_is_down_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    let (heads, mut seen) = unbounded_channel();
    let server = tokio::spawn(serve(listener, heads, |_| Some("HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\n")));
    let (tell, mut told) = unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let monitor = monitor(&format!("{address}/under/"));
    assert_eq!(monitor.status.snapshot().state, State::Unknown);
    let prober = tokio::spawn(probe::run(monitor.clone(), Arc::new(Told(tell)), stopped));

    until(&mut told, true).await;
    assert_eq!(monitor.status.snapshot().state, State::Up);
    let request = seen.recv().await.expect("a probe").to_ascii_lowercase();
    assert!(request.starts_with("head /under/ http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: {address}\r\n")), "{request}");

    server.abort();
    until(&mut told, false).await;
    assert_eq!(monitor.status.snapshot().state, State::Down(Failure::Refused));
    stop.send(true).expect("the prober listens");
    prober.await.expect("the prober ends when told");
}

#[tokio::test]
async fn silence_and_noise_are_down_for_their_own_reasons() {
    type Answer = fn(&str) -> Option<&'static str>;
    let cases: [(Answer, Failure); 2] =
        [(|_| None, Failure::NoAnswer), (|_| Some("SSH-2.0-OpenSSH_9\r\n\r\n"), Failure::Protocol)];
    for (answer, failure) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let monitor = monitor(&listener.local_addr().expect("address").to_string());
        let (heads, _seen) = unbounded_channel();
        let server = tokio::spawn(serve(listener, heads, answer));
        let (tell, mut told) = unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let prober = tokio::spawn(probe::run(monitor.clone(), Arc::new(Told(tell)), stopped));
        until(&mut told, false).await;
        assert_eq!(monitor.status.snapshot().state, State::Down(failure));
        prober.abort();
        server.abort();
    }
}

#[tokio::test]
async fn a_backend_without_ollamas_listing_is_asked_for_openais_as_soon_as_it_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let monitor = monitor(&listener.local_addr().expect("address").to_string());
    let (heads, mut seen) = unbounded_channel();
    tokio::spawn(serve(listener, heads, |head| {
        Some(if head.starts_with("GET /v1/models ") {
            "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{\"data\":[{\"id\":\"org/model\"}]}"
        } else {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        })
    }));
    let (tell, _told) = unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let catalogue = Arc::new(Catalogue::default());
    tokio::spawn(super::listing::run(monitor.clone(), catalogue.clone(), stopped.clone()));
    tokio::spawn(probe::run(monitor, Arc::new(Told(tell)), stopped));

    let mut listings = 0;
    while listings < 2 {
        // The second listing begins after the first has been taken over.
        listings += usize::from(seen.recv().await.expect("requests").starts_with("GET /v1/models "));
    }
    assert_eq!(catalogue.admitted("org/model").as_deref(), Some("org/model"));
    assert_eq!(catalogue.admitted("other"), None);
}

#[tokio::test]
async fn a_listing_without_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let monitor = monitor(&listener.local_addr().expect("address").to_string());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut sent = 0_usize;
        while stream.write_all(&[b' '; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    });
    let budget = super::fetch::Budget { time: Duration::from_secs(60), body: 64 * 1024 };
    let answer = super::fetch::fetch(&monitor.dialer, &monitor.host, (http::Method::GET, "/"), budget).await;
    assert!(matches!(answer, Err(super::fetch::FetchError::TooLarge)), "{answer:?}");
    assert!(server.await.expect("the server ends") < 64 * 1024 * 1024, "the connection is closed early");
}
