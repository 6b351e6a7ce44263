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
            None => {
                request.path().strip_prefix("/v1/models/").map_or(Self::Any, |name| Self::Model(Some(decoded(name))))
            }
        }
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
