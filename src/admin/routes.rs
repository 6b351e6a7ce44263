//! Which request gets which answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::access::Admission;
use super::answer::{self, AdminAnswer, JSON, TEXT, answer};
use super::body::Body;
use super::parts::Parts;
use super::scrapes::Scrapes;
use super::sign_ins::{Refusal, SignIns};
use super::slots::AnswerGuard;
use super::{guard, health, negotiate, page};
use crate::api;
use crate::api::access::Identity;
use crate::exchange::client::product;

#[derive(Clone, Copy)]
enum Resource {
    Page,
    Metrics,
    Live,
    Ready,
    Health,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
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
    pub(super) sign_ins: SignIns,
}

impl Site {
    /// `client` is the address that the request comes from.
    pub(super) async fn answer(&self, request: Request<Incoming>, client: IpAddr, guard: &AnswerGuard) -> AdminAnswer {
        if let Err(refusal) = guard::check(self.own, &request) {
            return answer(refusal.status(), TEXT, refusal.text());
        }
        let path = request.uri().path();
        match self.parts.access.admit(client, path, request.headers()).await {
            Admission::Open => {}
            Admission::Authenticated => {
                guard.mark_authenticated();
                let user = self.parts.access.user(request.headers());
                let product = request.headers().get(USER_AGENT).and_then(|agent| product(agent.as_bytes()));
                user.into_iter().for_each(|user| self.sign_ins.accept(user, client, product, Instant::now()));
            }
            Admission::Denied => {
                self.refuse(request.headers(), Refusal::WrongPassword);
                return answer::unauthorized();
            }
            Admission::RetryAfter(wait) => {
                self.refuse(request.headers(), Refusal::TooManyAttempts);
                return answer::too_many_requests(wait);
            }
        }
        if api::owns(path) {
            return self.api(request, Identity::default()).await;
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
            Resource::Page => answer::html(page::html(&self.parts, self.own, Instant::now())),
        }
    }

    async fn api(&self, mut request: Request<Incoming>, identity: Identity) -> AdminAnswer {
        request.extensions_mut().insert(identity);
        let service = TowerToHyperService::new(self.parts.api.clone());
        let Ok(answer) = service.call(request).await;
        answer::of_api(answer).await
    }

    /// A browser asks without credentials first, which is no attempt.
    fn refuse(&self, headers: &HeaderMap, why: Refusal) {
        if headers.contains_key(AUTHORIZATION) {
            self.sign_ins.refuse(self.parts.access.user(headers), why, Instant::now());
        }
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
