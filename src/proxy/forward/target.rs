//! How the backend of an exchange is chosen: by what the request's head shows of it.

use http::StatusCode;

use crate::exchange::outcome::ErrorType;
use crate::fleet::Fleet;
use crate::proxy::answer::Answer;
use crate::proxy::guard::{BACKEND_FIELD, Request};
use crate::proxy::worker::Worker;
use crate::wire::route::Route;

/// How the backend of an exchange is chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Without a look at the request.
    Any,
    /// By the model that the body names, once it has done so.
    Model(Option<Box<str>>),
    /// One that works, whatever it serves.
    Working,
    /// By the name of a backend in a header field.
    Named(Box<str>),
}

impl Target {
    pub(super) fn of(worker: &Worker, route: Route, request: &Request<'_>) -> Self {
        if !worker.thread.with_fleet(Fleet::has_several) {
            return Self::Any;
        }
        match request.facts.x_inferometer_backend {
            Some(name) => Self::Named(String::from_utf8_lossy(name).into()),
            None if route.is_by_model() => Self::Model(None),
            None if asks_for_health(route, request) => Self::Working,
            None => named_in(request).map_or(Self::Any, |name| Self::Model(Some(decoded(name)))),
        }
    }

    /// Whether another backend may get the request where the one that was chosen cannot be reached.
    pub(super) fn has_others(&self) -> bool {
        matches!(self, Self::Model(Some(_)) | Self::Working)
    }

    /// The answer where no backend may be asked.
    pub(super) fn refusal(&self) -> Answer {
        if let Self::Named(name) = self {
            let text = format!("no backend has the name in {BACKEND_FIELD}: {}", name.escape_debug());
            return Answer { status: StatusCode::BAD_REQUEST, why: ErrorType::BadRequest, text };
        }
        let text = "every backend that may serve this is being drained: try again later".to_owned();
        Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::NoBackend, text }
    }
}

/// Whether the answer says that a server works, and nothing of one in particular.
fn asks_for_health(route: Route, request: &Request<'_>) -> bool {
    matches!(request.method, b"GET" | b"HEAD") && matches!(route.endpoint, "/" | "/health" | "/v1/health")
}

/// The model that the target names: in its path, or in the query of llama.cpp's properties.
fn named_in<'a>(request: &Request<'a>) -> Option<&'a str> {
    let path = request.path();
    if path == "/props" {
        let (_, query) = std::str::from_utf8(request.path_and_query()).ok()?.split_once('?')?;
        return query.split('&').find_map(|pair| pair.strip_prefix("model="));
    }
    ["/v1/models/", "/api/v0/models/"].into_iter().find_map(|prefix| path.strip_prefix(prefix))
}

/// A name in a path, without its percent-encoding (RFC 3986, 2.1).
fn decoded(name: &str) -> Box<str> {
    let (mut bytes, mut rest) = (Vec::with_capacity(name.len()), name.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        let coded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into()
}
