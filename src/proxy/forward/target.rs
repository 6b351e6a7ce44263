//! How the backend of an exchange is chosen: by what the request's head shows of it.

use http::StatusCode;

use crate::exchange::outcome::ErrorType;
use crate::fleet::{Fleet, Management, Unserved};
use crate::proxy::answer::Answer;
use crate::proxy::everywhere::Errand;
use crate::proxy::guard::{BACKEND_FIELD, Request};
use crate::proxy::worker::Worker;
use crate::wire::listing::Listing;
use crate::wire::route::{Operation, Route};

/// How the backend of an exchange is chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Without a look at the request.
    Any,
    /// By what the body names, once it has done so: an earlier answer, else the model.
    Model(Option<Box<str>>),
    /// It has the earlier answer that the body names.
    Holder,
    /// By the earlier answer that the head names.
    Answer(Box<[u8]>),
    /// All of them, once the body is known.
    All(Errand),
    /// One that works, whatever it serves.
    Working,
    /// By the name of a backend in a header field.
    Named(Box<str>),
    /// No backend may be asked.
    Nowhere(Unserved),
}

impl Target {
    pub(super) fn of(worker: &Worker, route: Route, request: &Request<'_>) -> Self {
        if !worker.thread.with_fleet(Fleet::has_several) {
            return Self::Any;
        }
        let errand = errand_of(worker, route, request);
        match request.facts.x_inferometer_backend {
            Some(name) => Self::Named(String::from_utf8_lossy(name).into()),
            None if errand.is_some() => errand.map_or(Self::Any, Self::All),
            None if route.is_by_model() || route.may_continue() => Self::Model(None),
            None if asks_what_any_answers(route, request) => Self::Working,
            None => match (answer_in(route, request), named_in(request)) {
                (Some(id), _) => Self::Answer(id),
                (None, Some(name)) => Self::Model(Some(decoded(name))),
                (None, None) => Self::Any,
            },
        }
    }

    /// Whether another backend may get the request where the one that was chosen cannot be reached.
    pub(super) fn has_others(&self) -> bool {
        matches!(self, Self::Model(Some(_)) | Self::Working)
    }

    /// The answer where no backend may be asked.
    pub(super) fn refusal(&self, why: Unserved) -> Answer {
        if let Self::Named(name) = self {
            let text = format!("no backend has the name in {BACKEND_FIELD}: {}", name.escape_debug());
            return Answer { status: StatusCode::BAD_REQUEST, why: ErrorType::BadRequest, text };
        }
        let (status, why, text) = match why {
            Unserved::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorType::NoBackend,
                "every backend that may serve this is being drained, or none is found yet: try again later",
            ),
            Unserved::NotAllowed => (
                StatusCode::NOT_FOUND,
                ErrorType::BadRequest,
                "no backend may be asked for this model: allow and deny of [[backends]] keep it away",
            ),
        };
        Answer { status, why, text: text.to_owned() }
    }
}

/// What the request asks of several backends.
fn errand_of(worker: &Worker, route: Route, request: &Request<'_>) -> Option<Errand> {
    let is_everywhere = |management| worker.thread.with_fleet(|fleet| fleet.is_everywhere(management));
    match route.operation {
        Operation::Pull => is_everywhere(Management::Pull).then_some(Errand::Pull),
        _ if route.aborts() && request.method == b"POST" => Some(Errand::Abort),
        _ if route.endpoint == "/api/delete" && route.names_model => {
            is_everywhere(Management::Delete).then_some(Errand::Delete)
        }
        _ => None,
    }
}

/// Whether any server that works may answer: it is asked whether it works, or what there is to be asked for.
fn asks_what_any_answers(route: Route, request: &Request<'_>) -> bool {
    let asks = matches!(route.endpoint, "/" | "/health" | "/v1/health") || Listing::of(route.endpoint).is_some();
    asks && matches!(request.method, b"GET" | b"HEAD")
}

/// The earlier answer that the target names: in its path, or in the query by which llama.cpp's streams are resumed.
fn answer_in(route: Route, request: &Request<'_>) -> Option<Box<[u8]>> {
    let path = request.path();
    let id = if path == "/v1/stream" {
        query(request)?.split('&').find_map(|pair| pair.strip_prefix("conv_id="))?
    } else {
        let (prefix, _) = route.endpoint.split_once(':').filter(|_| ANSWERS.contains(&route.endpoint))?;
        path.strip_prefix(prefix)?.split('/').next()?
    };
    Some(decoded(id).as_bytes().into())
}

/// Endpoints whose paths name an earlier answer.
const ANSWERS: [&str; 7] = [
    "/v1/responses/:id",
    "/v1/chat/completions/:id",
    "/v1/files/:id",
    "/v1/batches/:id",
    "/v1/conversations/:id",
    "/v1/stream/:conversation",
    "/api/v1/models/download/status/:job",
];

fn query<'a>(request: &Request<'a>) -> Option<&'a str> {
    std::str::from_utf8(request.path_and_query()).ok()?.split_once('?').map(|(_, query)| query)
}

/// The model that the target names: in its path, or in the query of llama.cpp's properties.
fn named_in<'a>(request: &Request<'a>) -> Option<&'a str> {
    let path = request.path();
    if path == "/props" {
        return query(request)?.split('&').find_map(|pair| pair.strip_prefix("model="));
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
