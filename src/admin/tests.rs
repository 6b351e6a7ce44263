//! The second listener against real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::access::Access;
use super::ready::Readiness;
use super::{Encode, Parts, serve};
use crate::access::Gate;
use crate::backend::Backend;
use crate::backend::monitor::{Monitor, Monitors, Pace};
use crate::backend::status::ProbeFailure;
use crate::exchange::outcome::Phase;
use crate::exchange::record::{Method, Start};
use crate::exchange::sink::{Sink, TokenFrame, Watch};
use crate::exchange::trace::TraceId;
use crate::history::in_flight::InFlight;
use crate::history::journal::Journal;
use crate::wire::route::Route;

struct Admin {
    address: std::net::SocketAddr,
    readiness: Arc<Readiness>,
    backend: Arc<Monitor>,
    in_flight: InFlight,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

async fn admin_with(metrics: Encode) -> Admin {
    guarded(metrics, Access::open()).await
}

async fn guarded(metrics: Encode, access: Access) -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let backend = Backend { name: "gpu1".into(), address: "gpu.lan:1234".parse().expect("an address") };
    let backend = Arc::new(Monitor::new(backend, None, Pace::default(), Instant::now()));
    let (readiness, in_flight) = (Arc::new(Readiness::default()), InFlight::default());
    let parts = Parts {
        max_connections: usize::MAX,
        version: "1.2.3",
        revision: Some("abc"),
        started: Instant::now(),
        clients: "127.0.0.1:11435".parse().expect("address"),
        clients_speak_tls: false,
        gate: Arc::new(Gate::new(access.rules(), Journal::default())),
        access,
        readiness: readiness.clone(),
        metrics,
        backends: Monitors::new(vec![backend.clone()]),
        in_flight: in_flight.clone(),
        history: Arc::default(),
        readers: None,
        api: axum::Router::new(),
    };
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve(listener, parts, stopped));
    Admin { address, readiness, backend, in_flight, stop, server }
}

async fn admin() -> Admin {
    admin_with(Arc::new(|_| b"up 1\n".to_vec())).await
}

impl Admin {
    /// Sends the bytes and reads until the other side closes.
    async fn raw_bytes(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        stream.write_all(request.as_bytes()).await.expect("write");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer and a close");
        answer
    }

    async fn raw(&self, request: &str) -> String {
        String::from_utf8(self.raw_bytes(request).await).expect("text")
    }

    async fn ask(&self, method: &str, path: &str) -> String {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask("GET", path).await
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

#[tokio::test]
async fn metrics_have_the_content_type_that_prometheus_requires() {
    let answer = admin().await.get("/metrics?name=x").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert_eq!(body(&answer), "up 1\n");
}

#[tokio::test]
async fn metrics_are_in_the_requested_format_and_coding() {
    let admin = admin_with(Arc::new(|format| format!("{format:?}\n").into_bytes())).await;
    let ask =
        |accept: &str| format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{accept}\r\n\r\n");
    let open = admin.raw(&ask("Accept: application/openmetrics-text;version=1.0.0")).await;
    assert!(
        open.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{open}"
    );
    assert!(open.contains("\r\nvary: accept, accept-encoding\r\n"), "{open}");
    assert_eq!(body(&open), "OpenMetrics\n");
    let zipped = admin.raw_bytes(&ask("Accept-Encoding: gzip")).await;
    let end = zipped.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&zipped[..end]);
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n") && head.contains("text/plain"), "{head}");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&zipped[end..]), &mut text).expect("gzip");
    assert_eq!(text, "Text\n");
}

#[tokio::test]
async fn a_head_request_gets_the_same_head_and_no_body() {
    let admin = admin().await;
    for path in ["/metrics", "/livez", "/health"] {
        let (get, head) = (admin.get(path).await, admin.ask("HEAD", path).await);
        let fields = |answer: &str| {
            let head = answer.split_once("\r\n\r\n").expect("a head").0;
            // Seconds in the body may have more digits a moment later.
            let is_shown = |line: &&str| path != "/health" || !line.starts_with("content-length: ");
            let lines = head.lines().filter(|line| !line.starts_with("date:")).filter(is_shown);
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(fields(&head), fields(&get), "{path}");
        assert!(head.contains("\r\ncontent-length: "), "{path}: {head}");
        assert_eq!(body(&head), "", "{path}");
    }
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_program_and_liveness_does_not() {
    let admin = admin().await;
    let backend_down = admin.backend.status.record(Instant::now(), Err(ProbeFailure::Refused), Duration::ZERO);
    assert!(backend_down);
    for (advance, status) in [
        ((|_| {}) as fn(&Readiness), "HTTP/1.1 503 "),
        (Readiness::set_serving, "HTTP/1.1 200 "),
        (Readiness::set_draining, "HTTP/1.1 503 "),
        (Readiness::set_serving, "HTTP/1.1 503 "),
    ] {
        advance(&admin.readiness);
        for path in ["/readyz", "/-/ready"] {
            assert!(admin.get(path).await.starts_with(status), "{path} {status}");
        }
        for path in ["/livez", "/-/healthy", "/health"] {
            assert!(admin.get(path).await.starts_with("HTTP/1.1 200 "), "{path}");
        }
    }
}

#[tokio::test]
async fn health_is_json_with_null_for_unknown_values() {
    let admin = admin().await;
    let read = |answer: String| serde_json::from_str::<serde_json::Value>(body(&answer)).expect("JSON");
    let health = read(admin.get("/health").await);
    assert_eq!((&health["status"], &health["version"]), (&"starting".into(), &"1.2.3".into()));
    assert_eq!(health["backends"][0]["up"], serde_json::Value::Null);
    assert_eq!(health["backends"][0]["probe_seconds"], serde_json::Value::Null);
    assert_eq!(health["last_scrape_seconds"], serde_json::Value::Null);
    admin.get("/metrics").await;
    assert!(read(admin.get("/health").await)["last_scrape_seconds"].is_f64());
    admin.backend.status.record(Instant::now(), Err(ProbeFailure::Dns), Duration::from_millis(250));
    let down = &read(admin.get("/health").await)["backends"][0];
    assert_eq!((&down["up"], &down["reason"]), (&false.into(), &"name does not resolve".into()));
    assert_eq!(down["probe_seconds"], 0.25);
}

#[tokio::test]
async fn other_methods_other_paths_and_foreign_names_are_refused() {
    let admin = admin().await;
    let post = admin.ask("POST", "/metrics").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nallow: GET, HEAD\r\n"), "{post}");
    for path in ["/metrics/", "//metrics", "/Metrics", "/api/tags", "/..%2fmetrics", "/metrics%00"] {
        assert!(admin.get(path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    let foreign = admin.raw("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(foreign.starts_with("HTTP/1.1 403 ") && foreign.contains("--admin-listen"), "{foreign}");
    for fields in
        ["Host: evil.example\r\n", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "Host: a\r\nHost: b\r\n"]
    {
        let refused = admin.raw(&format!("GET /dashboard/stats HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")).await;
        let (head, body) = refused.split_once("\r\n\r\n").expect("a head");
        let error: serde_json::Value = serde_json::from_str(body).expect("JSON, as every error of the API");
        let (status, code) =
            if fields.contains("Host: b") { ("400", "INVALID_PARAMETER") } else { ("403", "INSUFFICIENT_PERMISSIONS") };
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{refused}");
        assert_eq!(error["error"]["code"], code, "{refused}");
    }
    let without = admin.raw("GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(without.starts_with("HTTP/1.0 200 "), "{without}");
}

#[tokio::test]
async fn the_page_shows_what_is_in_flight_and_escapes_it() {
    let admin = admin().await;
    assert!(admin.get("/plain").await.contains("Nothing in flight."));
    let start = Start {
        id: 1,
        method: Method::Post,
        route: Route::OTHER,
        trace: TraceId::from_random(1),
        parent: None,
        client: None,
        conversation: None,
        at: Instant::now(),
    };
    let _row = {
        let mut row = admin.in_flight.started(&start);
        row.requested(Some(&"<script>alert(1)</script>".into()));
        row.phase(Phase::Decode);
        row.tokens(TokenFrame { events: 41, tokens: 41, gap: None, stalled: false });
        row
    };
    let page = admin.get("/plain").await;
    assert!(page.contains("\r\ncontent-type: text/html; charset=utf-8\r\n"), "{page}");
    assert!(page.contains("\r\ncontent-security-policy: default-src 'none'"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    for shown in
        ["&lt;script&gt;", ">decode<", ">41<", "OLLAMA_HOST=http://127.0.0.1:11435", "http://gpu.lan:1234", "1.2.3"]
    {
        assert!(page.contains(shown), "{shown} in {page}");
    }
}

#[tokio::test]
async fn metrics_that_panic_are_a_500_and_the_next_scrape_is_answered() {
    let admin = admin_with(Arc::new(|_| panic!("on purpose"))).await;
    for _ in 0..super::scrapes::MAX_EXPOSITIONS + 1 {
        assert!(admin.get("/metrics").await.starts_with("HTTP/1.1 500 "));
    }
    assert!(admin.get("/livez").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_slow_scrape_delays_no_other_request() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let admin = admin_with(Arc::new(move |_| {
        let _ = entered.send(());
        let _ = blocked.lock().expect("lock").recv();
        b"late 1\n".to_vec()
    }))
    .await;
    let mut scrape = TcpStream::connect(admin.address).await.expect("connect");
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("write");
    has_entered.recv().await.expect("the scrape began");
    assert!(admin.get("/livez").await.starts_with("HTTP/1.1 200 "));
    release.send(()).expect("it waits");
    let mut answer = String::new();
    scrape.read_to_string(&mut answer).await.expect("an answer");
    assert_eq!(body(&answer), "late 1\n");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_too() {
    let admin = admin().await;
    let mut idle = TcpStream::connect(admin.address).await.expect("connect");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("write");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    admin.stop.send(true).expect("it listens");
    admin.server.await.expect("it ends");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("a clean close");
    assert!(TcpStream::connect(admin.address).await.is_err(), "the listener is closed");
}

/// One exchange on a connection that is kept.
async fn round(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("write");
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
}

/// Every slot, taken by a connection that has sent this.
async fn held(admin: &Admin, opening: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..super::slots::MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(admin.address).await.expect("connect");
        stream.write_all(opening.as_bytes()).await.expect("write");
        held.push(stream);
    }
    held
}

#[tokio::test]
async fn slow_and_silent_clients_lock_no_other_client_out() {
    let admin = admin_with(Arc::new(|_| vec![b'x'; 1 << 20])).await;
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for opening in ["", "GET /metrics HTTP/1.1\r\nHost: lo", scrape] {
        let slow = held(&admin, opening).await;
        for _ in 0..3 {
            assert!(admin.get("/livez").await.starts_with("HTTP/1.1 200 "), "{opening}");
        }
        drop(slow);
    }
    let mut quick = TcpStream::connect(admin.address).await.expect("connect");
    round(&mut quick).await;
    let mut slow = held(&admin, "GET /").await;
    let mut one = [0];
    assert_eq!(quick.read(&mut one).await.expect("a close"), 0, "the one that was silent longest went");
    let last = slow.last_mut().expect("the last");
    last.write_all(b"livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("write");
    let mut status = [0; 12];
    last.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_listener_that_keeps_failing_is_retried_after_a_pause() {
    let listener = crate::tls::accept::tests::failing::listener().await;
    assert!(crate::tls::accept::tests::failing::waits(std::pin::pin!(super::listener::accept(&listener))));
}
