//! One exchange: the request to the backend, the response to the client.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue};
use http::{Method as HttpMethod, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};

use super::answer::Answer;
use super::body::ProxyBody;
use super::error::classify;
use super::headers;
use super::shared::Shared;
use super::tap::{Gate, RequestBody, ResponseBody, Tap};
use super::upgrade::Upgraded;
use super::upstream::{SendError, Upstream};
use super::worker::Worker;
use crate::backend::dial::DialError;
use crate::exchange::Observation;
use crate::exchange::outcome::{End, ErrorType, Origin};
use crate::exchange::record::{Method, Start};
use crate::exchange::trace::TraceId;
use crate::tls::Fault;
use crate::wire::reader::{Head, Reported};
use crate::wire::route::{ErrorShape, Route};

/// How long a body that waits for `100 Continue` is held back from a backend that says nothing (RFC 9110, 10.1.1 lets
/// a client stop waiting at any time; clients such as curl wait as long).
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// What the response needs to know of its request.
struct Asked {
    shape: ErrorShape,
    route: Route,
    method: HttpMethod,
    version: Version,
    /// It asks for another protocol.
    upgrade: bool,
}

/// Serves one request. The exchange begins with the call: a client that leaves right behind its head has the future
/// dropped before it is ever polled. Dropping it at any point closes the backend's connection and ends the exchange.
pub(super) fn exchange(
    worker: Rc<Worker>,
    shared: Rc<Shared>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ProxyBody>, Infallible>> {
    let now = Instant::now();
    let path = request.uri().path();
    let route = Route::of(request.method().as_str(), path);
    let asked = Asked {
        shape: ErrorShape::of(path),
        route,
        method: request.method().clone(),
        version: request.version(),
        upgrade: request.version() == Version::HTTP_11 && headers::wants_upgrade(request.headers()),
    };
    let tap = Tap::start(shared.clone(), now, || {
        let id = worker.next_id();
        let start = Start {
            id,
            method: Method::parse(request.method().as_str()),
            route,
            backend: worker.backend.name.clone(),
            trace: trace_of(request.headers()).unwrap_or_else(|| worker.make_trace(id)),
            at: now,
        };
        Observation::start(start, &worker.settings.observe, &*worker.sink)
    });
    async move {
        Ok(match serve(&worker, &shared, &tap, request, &asked).await {
            Ok(response) => response,
            Err(answer) => {
                tap.answer(answer.status.as_u16());
                tap.end(end_of(answer.why));
                let mut response = answer.respond(asked.shape);
                if shared.over_limit {
                    // A connection stays one too many however many others end.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        })
    }
}

/// The trace that a client names. Two headers name none (W3C Trace Context, 3.2).
fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    let mut all = headers.get_all("traceparent").iter();
    match (all.next(), all.next()) {
        (Some(parent), None) => TraceId::parse(parent.as_bytes()),
        _ => None,
    }
}

/// Whose doing an answer of ours counts as.
fn end_of(why: ErrorType) -> End {
    match why.origin() {
        Origin::Upstream => End::BackendFailed(why),
        _ => End::Rejected(why),
    }
}

async fn serve(
    worker: &Worker,
    shared: &Rc<Shared>,
    tap: &Rc<Tap>,
    request: Request<Incoming>,
    asked: &Asked,
) -> Result<Response<ProxyBody>, Answer> {
    if let Some(refused) = worker.refusal(shared.over_limit) {
        return Err(refused);
    }
    let request = prepare(worker, tap, request)?;
    let sent = send(worker, shared, tap, request);
    let (mut upstream, response) = match worker.settings.first_byte {
        None => sent.await?,
        Some(limit) => tokio::time::timeout(limit, sent).await.map_err(|_| too_late(worker))??,
    };
    if let Some(fault) = fault(&response, tap, asked) {
        return Err(improper(worker, fault));
    }
    // The HTTP library would speak HTTP/1.0 to this peer from now on, and a chunked upload would lose its body.
    upstream.once = response.version() == Version::HTTP_10;
    Ok(hand_on(worker, shared, tap, upstream, response, asked))
}

/// Makes the backend's request out of the client's.
fn prepare(worker: &Worker, tap: &Rc<Tap>, request: Request<Incoming>) -> Result<Request<RequestBody>, Answer> {
    let (mut parts, body) = request.into_parts();
    parts.uri = headers::target(&parts.uri, &worker.backend.address.prefix).map_err(|_| Answer {
        status: StatusCode::BAD_REQUEST,
        why: ErrorType::BadRequest,
        text: "the target does not fit behind the backend's path prefix".to_owned(),
    })?;
    headers::to_backend(&mut parts.headers, parts.version, &worker.settings.host_header, &worker.authority);
    let waits = parts.version >= Version::HTTP_11
        && !body.is_end_stream()
        && parts.headers.get(EXPECT).is_some_and(|expect| headers::has_token(expect, "100-continue"));
    parts.version = Version::HTTP_11;
    if body.is_end_stream() {
        tap.uploaded();
    }
    let open = Arc::new(AtomicBool::new(false));
    let gate = waits.then(|| Gate::new(open.clone(), CONTINUE_PATIENCE));
    tap.observe(|observation| describe_body(observation, &parts.headers));
    let mut request = Request::from_parts(parts, RequestBody::new(body, tap.clone(), gate));
    if waits {
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                open.store(true, Ordering::Relaxed);
            }
        });
    }
    Ok(request)
}

/// Tells how the body has to be read for what it names. `x-body-compressed` is SGLang's own field.
fn describe_body(observation: &mut Observation, headers: &HeaderMap) {
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/")) {
        observation.request_opaque();
    } else if let Some(coding) = headers.get(CONTENT_ENCODING).or_else(|| headers.get("x-body-compressed")) {
        observation.request_coded(coding.as_bytes());
    }
}

/// Sends the request over an idle connection, else over a fresh one. It is sent again only if not one byte of it was
/// written to a connection that turned out to be closed: a generation never starts twice.
async fn send(
    worker: &Worker,
    shared: &Shared,
    tap: &Tap,
    mut request: Request<RequestBody>,
) -> Result<(Box<Upstream>, Response<Incoming>), Answer> {
    loop {
        let mut upstream = match worker.pool.take() {
            Some(upstream) => upstream,
            None => connect(worker).await?,
        };
        tap.observe(Observation::forwarded);
        match upstream.send(request, &shared.quiet).await {
            Ok(response) => return Ok((upstream, response)),
            Err(SendError { unsent: Some(again), .. }) if upstream.reused => request = again,
            Err(SendError { error, .. }) => return Err(explain(worker, classify(&error, shared), &error)),
        }
    }
}

async fn connect(worker: &Worker) -> Result<Box<Upstream>, Answer> {
    let dialled = worker.dialer.dial(worker.settings.connect_timeout).await;
    let failed = |why, text: String| {
        let status =
            if why == ErrorType::ConnectTimeout { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Answer { status, why, text }
    };
    let at = &worker.backend.address;
    let stream = dialled.map_err(|error| match error {
        DialError::Refused => failed(
            ErrorType::ConnectRefused,
            format!("the backend at {at} refuses connections: start it, or set --backend to where it listens"),
        ),
        DialError::Timeout => failed(
            ErrorType::ConnectTimeout,
            format!("the backend at {at} does not accept connections in time: check --backend and --connect-timeout"),
        ),
        DialError::Dns(_) => {
            failed(ErrorType::Dns, format!("the name of the backend {at} does not resolve: check --backend"))
        }
        DialError::Tls(fault) => failed(ErrorType::Tls, format!("the backend at {at}: {fault}")),
        DialError::Other(error) => failed(ErrorType::Reset, format!("the backend at {at} cannot be reached: {error}")),
    })?;
    Upstream::new(stream).await.map_err(|error| failed(ErrorType::Protocol, format!("the backend at {at}: {error}")))
}

/// What makes a response's head unfit to be handed on, though the HTTP library could read it.
fn fault(response: &Response<Incoming>, tap: &Tap, asked: &Asked) -> Option<&'static str> {
    if !headers::is_framed_clearly(response.headers()) {
        return Some("its length can be read in two ways");
    }
    // After a switch nothing is looked at: it must be wanted, and no byte of the request may be under way.
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    (switching && !(asked.upgrade && tap.is_uploaded())).then_some("it switches protocols unasked")
}

/// The backend answered in a way that cannot be handed on.
fn improper(worker: &Worker, fault: impl std::fmt::Display) -> Answer {
    let at = &worker.backend.address;
    let text = format!("the backend at {at} does not answer in proper HTTP/1.1: {fault}");
    Answer { status: StatusCode::BAD_GATEWAY, why: ErrorType::Protocol, text }
}

/// The backend took longer than it may.
fn too_late(worker: &Worker) -> Answer {
    let at = &worker.backend.address;
    Answer {
        status: StatusCode::GATEWAY_TIMEOUT,
        why: ErrorType::Incomplete,
        text: format!("the backend at {at} did not begin its answer in time: raise limits.first_byte, or set it to 0"),
    }
}

/// An exchange failed between the request and the response's head.
fn explain(worker: &Worker, why: ErrorType, error: &hyper::Error) -> Answer {
    let at = &worker.backend.address;
    let (status, text) = match why {
        ErrorType::ClientBody => {
            (StatusCode::BAD_REQUEST, "the request's body is framed wrongly or breaks off".to_owned())
        }
        ErrorType::ClientTimeout => {
            (StatusCode::REQUEST_TIMEOUT, "the request's body took too long to arrive".to_owned())
        }
        ErrorType::Tls => {
            let fault = Fault::find(error).unwrap_or(Fault::Other);
            (StatusCode::BAD_GATEWAY, format!("the backend at {at}: {fault}"))
        }
        ErrorType::Protocol => return improper(worker, error),
        ErrorType::Reset => {
            (StatusCode::BAD_GATEWAY, format!("the backend at {at} reset the connection before it answered"))
        }
        _ => (StatusCode::BAD_GATEWAY, format!("the backend at {at} closed the connection before it answered")),
    };
    Answer { status, why, text }
}

/// Hands the backend's response to the client.
fn hand_on(
    worker: &Worker,
    shared: &Shared,
    tap: &Rc<Tap>,
    upstream: Box<Upstream>,
    response: Response<Incoming>,
    asked: &Asked,
) -> Response<ProxyBody> {
    let (mut parts, body) = response.into_parts();
    let now = Instant::now();
    tap.observe(|observation| {
        let head = Head {
            status: parts.status.as_u16(),
            content_type: parts.headers.get(CONTENT_TYPE).map(|value| value.as_bytes()),
            content_encoding: parts.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()),
            reported: Reported::read(asked.route, |name| parts.headers.get(name).map(|value| value.as_bytes())),
        };
        observation.responded(&head, now);
    });
    tap.answer(parts.status.as_u16());
    let switching = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    headers::to_client(&mut parts.headers, switching);
    parts.version = Version::HTTP_11;
    if switching {
        tap.observe(Observation::tunnelled);
        let (backend, ahead) = upstream.into_tunnel();
        *shared.upgraded.borrow_mut() = Some(Upgraded { backend, ahead, tap: tap.clone() });
        return Response::from_parts(parts, ProxyBody::own(bytes::Bytes::new()));
    }
    let length = parts.headers.get(CONTENT_LENGTH);
    let close_delimited = asked.version == Version::HTTP_10 && length.is_none();
    let announce_empty = asked.method != HttpMethod::HEAD && length.is_some_and(|length| length == "0");
    let body = ResponseBody::new(body, tap.clone(), upstream, worker.pool.clone())
        .reset_on_error(close_delimited)
        .announce_empty(announce_empty);
    Response::from_parts(parts, ProxyBody::Backend(body))
}
