//! The second listener: metrics, health and a page for people.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a page: addresses, backends, models in memory, what is in flight |
//! | `/metrics` | every metric, in Prometheus text format 0.0.4 or `OpenMetrics` 1.0 as asked for; gzip where accepted |
//! | `/livez`, `/-/healthy` | 200: the process runs |
//! | `/readyz`, `/-/ready` | 200 while clients are served, 503 before and while draining; never the backend's state |
//! | `/health` | JSON: status, backends, how many exchanges are in flight |
//!
//! GET and HEAD only. Promises: nothing here delays an exchange (metrics are written on threads of their own, two at a
//! time, which go behind those that serve clients); bound to loopback it answers to loopback names only, so that no web
//! site can read it through a browser (DNS rebinding), and no page of another site gets anything but a link followed;
//! with users in the web configuration file every path but `/livez` and `/readyz`, known or not, wants a password; slow
//! and silent clients and wrong passwords, however many, keep nobody out, and cost a bounded amount of memory and of
//! processor time; nothing that is shown is content. Where several ask at once, metrics may be a second old. Left out:
//! HTTP/2, WebSockets, a reload endpoint (it would be a POST; SIGHUP does it).

mod accept;
pub mod access;
mod guard;
mod guesses;
mod handshake;
mod health;
mod models;
mod page;
mod password;
mod places;
pub mod ready;
mod scrapes;
mod socket;
mod turns;
mod web_config;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use accept::Format;

use crate::backend::monitor::Monitor;
use crate::history::in_flight::InFlight;
use crate::tls::linger::linger;
use access::{Access, Admitted};
use places::{Answering, Doing, Places};
use ready::Readiness;
use scrapes::{Body, Scrapes};
use socket::Watched;

/// For a head, and for the next one on a connection that is kept.
const HEAD: Duration = Duration::from_secs(30);

/// Bytes of a head.
const HEAD_BYTES: usize = 16 * 1024;

/// A connection's life at most, so that a client that does not read cannot hold its place for ever.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// For an answer under way when a connection is to end.
const GRACE: Duration = Duration::from_secs(1);

/// Where every place is taken by somebody who must not be closed, it is looked again after so long.
const LOOK: Duration = Duration::from_millis(50);

/// Most bytes of an answer that the system holds for one connection. Left to itself it goes to megabytes for each that
/// does not read.
const SYSTEM_BUFFER: usize = 128 * 1024;

/// Writes every metric.
pub type Encode = Arc<dyn Fn(Format) -> Vec<u8> + Send + Sync>;

/// What is shown.
pub struct Parts {
    /// Version of the program.
    pub version: &'static str,
    /// Source revision of the program.
    pub revision: &'static str,
    /// When the program started.
    pub started: Instant,
    /// Where clients are served.
    pub clients: SocketAddr,
    /// Whether they speak TLS there.
    pub clients_speak_tls: bool,
    /// Who may ask, and whether over TLS.
    pub access: Access,
    /// Whether clients are served.
    pub readiness: Arc<Readiness>,
    /// The metrics.
    pub metrics: Encode,
    /// The backends.
    pub backends: Vec<Arc<Monitor>>,
    /// What is going on.
    pub in_flight: InFlight,
}

struct Site {
    parts: Parts,
    own: SocketAddr,
    scrapes: Scrapes,
}

/// Serves until `shutdown` is true or its sender is gone, and a second longer for answers under way.
pub async fn serve(listener: TcpListener, parts: Parts, mut shutdown: watch::Receiver<bool>) {
    // A listener that does not know its address is treated as the stricter kind.
    let own = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let scrapes = Scrapes::new(parts.metrics.clone());
    let site = Arc::new(Site { parts, own, scrapes });
    let mut connections = JoinSet::new();
    let mut places = Places::default();
    let on_stop = shutdown.clone();
    loop {
        let has_room = places.has_room();
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => places.sweep(),
            // Where nobody can be closed, somebody can soon; the system's queue holds the others.
            () = tokio::time::sleep(LOOK), if !has_room => {}
            (stream, peer) = accept(&listener), if has_room => {
                let doing = Doing::nothing_yet(peer.ip());
                places.take(doing.clone(), connections.spawn(connection(stream, site.clone(), doing, on_stop.clone())));
            }
            () = site.scrapes.crowded.notified() => places.drop_oldest_page(),
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A socket that is closed already refuses it.
                let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SYSTEM_BUFFER);
                return (stream, peer);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to the second listener");
                if let Some(pause) = crate::tls::accept::pause(&error) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn connection(socket: TcpStream, site: Arc<Site>, doing: Doing, mut shutdown: watch::Receiver<bool>) {
    let mut access = site.parts.access.watch();
    let policy = access.borrow_and_update().clone();
    let Some(stream) = handshake::secured(socket, &policy).await else { return };
    let unread = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        let (site, ip, answering) = (site.clone(), doing.ip, doing.answering());
        unread.fetch_or(!request.body().is_end_stream(), Ordering::Relaxed);
        Box::pin(async move {
            let mut answer = site.answer(&request, ip, &answering).await;
            answer.body_mut().begin(answering);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Watched { stream, doing: doing.clone() }), service);
    let served = tokio::select! {
        served = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(served),
        () = stopped(&mut shutdown) => None,
        _ = access.changed() => None,
        () = tokio::time::sleep(LIFETIME) => None,
    };
    let Some(served) = served else {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = tokio::time::timeout(GRACE, connection).await;
        return;
    };
    // A client that is still sending what nobody reads gets its answer only from a socket that is closed in two steps.
    let lingers = served.is_err() || unread.load(Ordering::Relaxed);
    let mut stream = connection.into_parts().io.into_inner().stream;
    if lingers {
        return linger(stream).await;
    }
    let _ = tokio::time::timeout(GRACE, stream.shutdown()).await;
}

#[derive(Clone, Copy)]
enum Page {
    Home,
    Metrics,
    Live,
    Ready,
    Health,
}

impl Page {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Home,
            "/metrics" => Self::Metrics,
            "/livez" | "/-/healthy" => Self::Live,
            "/readyz" | "/-/ready" => Self::Ready,
            "/health" => Self::Health,
            _ => return None,
        })
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REALM: HeaderValue = HeaderValue::from_static("Basic realm=\"inferometer\", charset=\"UTF-8\"");
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// The page is one file without scripts: nothing may be loaded, framed or sent.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// No page of another site may have an answer as an image, a script or a frame.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

type Answer = Response<Body>;

impl Site {
    async fn answer(&self, request: &Request<Incoming>, ip: IpAddr, answering: &Answering) -> Answer {
        if let Err(refusal) = guard::check(self.own, request) {
            return answer(refusal.status(), TEXT, refusal.text());
        }
        match self.parts.access.admits(ip, request.uri().path(), request.headers()).await {
            Admitted::Anyone => {}
            Admitted::Known => answering.let_in(),
            Admitted::No => {
                let mut refusal = answer(StatusCode::UNAUTHORIZED, TEXT, "a user and a password are needed\n");
                refusal.headers_mut().insert(header::WWW_AUTHENTICATE, REALM);
                return refusal;
            }
            Admitted::Later(wait) => return too_many(wait),
        }
        let Some(page) = Page::of(request.uri().path()) else {
            return answer(StatusCode::NOT_FOUND, TEXT, "not found; see /\n");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n");
            refusal.headers_mut().insert(header::ALLOW, ALLOW);
            return refusal;
        }
        match page {
            Page::Live => answer(StatusCode::OK, TEXT, "ok\n"),
            Page::Ready => self.ready(),
            Page::Metrics => self.metrics(request.headers(), answering).await,
            Page::Health => answer(StatusCode::OK, JSON, health::json(&self.parts, Instant::now())),
            Page::Home => {
                let mut home = answer(StatusCode::OK, HTML, page::html(&self.parts, self.own, Instant::now()));
                home.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
                home
            }
        }
    }

    fn ready(&self) -> Answer {
        let state = self.parts.readiness.state();
        let status = if state.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer(status, TEXT, format!("{}\n", state.as_str()))
    }

    async fn metrics(&self, wanted: &HeaderMap, answering: &Answering) -> Answer {
        let (format, gzip) = (accept::format(wanted), accept::gzip(wanted));
        match self.scrapes.page(format, gzip, answering).await {
            Some((bytes, page)) => exposition(format, gzip, Body::of(bytes, page)),
            None => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics could not be written; see the log\n"),
        }
    }
}

/// Prometheus 3 refuses a scrape without a content type.
fn exposition(format: Format, gzip: bool, body: Body) -> Answer {
    let kind = HeaderValue::from_static(match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    });
    let mut answer = answer(StatusCode::OK, kind, body);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn too_many(wait: Duration) -> Answer {
    // Whole seconds, and not before it is over.
    let seconds = wait.as_secs() + 1;
    let text = format!("too many wrong passwords, or too many at once: try again in {seconds} s\n");
    let mut refusal = answer(StatusCode::TOO_MANY_REQUESTS, TEXT, text);
    refusal.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    refusal
}

fn answer(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

#[cfg(test)]
mod tests;
