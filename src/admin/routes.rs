//! Which request gets which answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::response::IntoResponse as _;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::answer::{self, AdminAnswer, JSON, TEXT, answer};
use super::body::Body;
use super::guard::RequestRefusal;
use super::parts::Parts;
use super::scrapes::Scrapes;
use super::slots::AnswerGuard;
use super::{embedded, guard, health, negotiate, page};
use crate::access::identity::{Identity, Means};
use crate::access::{Asker, Connection, Denial};
use crate::api::{self, ApiError, Code};

#[derive(Clone, Copy)]
enum Resource {
    Page,
    Plain,
    Metrics,
    Live,
    Ready,
    Health,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/plain" => Self::Plain,
            "/metrics" => Self::Metrics,
            "/livez" | "/-/healthy" => Self::Live,
            "/readyz" | "/-/ready" => Self::Ready,
            "/health" => Self::Health,
            _ => return None,
        })
    }
}

pub(super) struct Site {
    pub(super) parts: Parts,
    /// The listener's own address.
    pub(super) own: SocketAddr,
    pub(super) scrapes: Scrapes,
}

impl Site {
    /// `peer` is the address that the connection comes from.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: IpAddr, guard: &AnswerGuard) -> AdminAnswer {
        if let Err(refusal) = guard::check(self.own, &request) {
            return turn_away(request.uri().path(), refusal).await;
        }
        let path = request.uri().path();
        if embedded::is_asset(path) {
            return asset(&request);
        }
        let connection = Connection { peer, own: self.own, is_tls: self.parts.access.speaks_tls() };
        let identity = match self.parts.gate.admit(&Asker::of(&request, connection)).await {
            Ok(identity) => identity,
            Err(denial) => return refuse(&request, &denial).await,
        };
        if identity.means() != Means::Open {
            guard.mark_authenticated();
        }
        if api::owns(path) {
            return self.api(request, connection, identity).await;
        }
        let Some(resource) = Resource::at(path) else {
            return answer(StatusCode::NOT_FOUND, TEXT, "not found; see /\n");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer::method_not_allowed();
        }
        match resource {
            Resource::Live => answer(StatusCode::OK, TEXT, "ok\n"),
            Resource::Ready => self.ready(),
            Resource::Metrics => self.metrics(request.headers(), guard).await,
            Resource::Health => {
                let kept = health::kept(self.parts.readers.as_ref()).await;
                let last_scrape = self.scrapes.last_served();
                answer(StatusCode::OK, JSON, health::json(&self.parts, last_scrape, kept.as_ref(), Instant::now()))
            }
            Resource::Page => embedded::page(request.headers()).unwrap_or_else(|| self.plain()),
            Resource::Plain => self.plain(),
        }
    }

    async fn api(&self, mut request: Request<Incoming>, connection: Connection, identity: Identity) -> AdminAnswer {
        request.extensions_mut().insert(connection);
        request.extensions_mut().insert(identity);
        let service = TowerToHyperService::new(self.parts.api.clone());
        let Ok(answer) = service.call(request).await;
        answer::of_api(answer).await
    }

    fn plain(&self) -> AdminAnswer {
        answer::html(page::html(&self.parts, self.own, Instant::now()))
    }

    fn ready(&self) -> AdminAnswer {
        let state = self.parts.readiness.state();
        let status = if state.is_serving() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer(status, TEXT, format!("{}\n", state.as_str()))
    }

    async fn metrics(&self, headers: &HeaderMap, guard: &AnswerGuard) -> AdminAnswer {
        let (format, gzip) = (negotiate::format(headers), negotiate::accepts_gzip(headers));
        match self.scrapes.exposition(format, gzip, guard).await {
            Some((bytes, exposition)) => answer::exposition(format, gzip, Body::of(bytes, exposition)),
            None => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics could not be written; see the log\n"),
        }
    }
}

/// A file of the page, which is the same for everybody: whoever is to sign in needs it, too.
fn asset(request: &Request<Incoming>) -> AdminAnswer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::method_not_allowed();
    }
    let found = embedded::asset(request.uri().path(), request.headers());
    found.unwrap_or_else(|| answer(StatusCode::NOT_FOUND, TEXT, "not found; see /\n"))
}

/// Says why a browser's request, or one for another name, is not answered: in JSON where the API would have answered.
async fn turn_away(path: &str, refusal: RequestRefusal) -> AdminAnswer {
    if !api::owns(path) {
        return answer(refusal.status(), TEXT, format!("{}\n", refusal.text()));
    }
    let code = match refusal {
        RequestRefusal::Malformed => Code::InvalidParameter,
        RequestRefusal::Foreign | RequestRefusal::CrossSite => Code::InsufficientPermissions,
    };
    answer::of_api(ApiError::new(code, refusal.text()).into_response()).await
}

/// Says why a request is not answered: in JSON where the API would have answered, and to people with the page, which
/// asks for credentials.
async fn refuse(request: &Request<Incoming>, denial: &Denial) -> AdminAnswer {
    let path = request.uri().path();
    if !api::owns(path) {
        let is_missing = matches!(denial, Denial::Unauthenticated(..));
        let asks = is_missing && path == "/" && negotiate::wants_html(request.headers());
        return asks.then(|| sign_in(request.headers(), denial)).flatten().unwrap_or_else(|| answer::denied(denial));
    }
    let mut refusal = answer::of_api(ApiError::from(denial).into_response()).await;
    answer::add_challenge(refusal.headers_mut(), denial);
    refusal
}

fn sign_in(headers: &HeaderMap, denial: &Denial) -> Option<AdminAnswer> {
    let mut unconditional = headers.clone();
    unconditional.remove(http::header::IF_NONE_MATCH);
    let mut page = embedded::page(&unconditional)?;
    *page.status_mut() = denial.status();
    page.headers_mut().insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    page.headers_mut().remove(http::header::ETAG);
    answer::add_challenge(page.headers_mut(), denial);
    Some(page)
}
