//! One exchange of any protocol: how it begins, which backend gets it, and what the client is answered when it fails.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::answer::Answer;
use super::chunks::BodyProgress;
use super::framing::Framing;
use super::guard::{NotedFields, Request};
use super::named_model::RequestScan;
use super::polls::Polls;
use super::request::{self, KeptHead};
use super::response::{Response, Version};
use super::tap::Tap;
use super::upstream::{Failure, Upstream};
use super::worker::Worker;
use crate::backend::dial::DialError;
use crate::exchange::Observation;
use crate::exchange::outcome::{End, ErrorType, Origin};
use crate::exchange::placement::Placement;
use crate::exchange::record::{Method, Start};
use crate::exchange::trace::{self, ParentSpan, TraceId};
use crate::fleet::{Lease, Member};
use crate::tls::Fault;
use crate::wire::conversation::Conversation;
use crate::wire::reader::{Head, Reported};
use crate::wire::route::{ErrorShape, Route};

/// Whether a request has a body, and whether servers read a body with its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestBody {
    Absent,
    Expected,
    Unexpected,
}

impl RequestBody {
    fn of(request: &Request<'_>) -> Self {
        match request.method {
            _ if request.framing.is_over() => Self::Absent,
            b"POST" | b"PUT" | b"PATCH" => Self::Expected,
            _ => Self::Unexpected,
        }
    }
}

/// The facts of a request that its response depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestSummary {
    pub(super) shape: ErrorShape,
    route: Route,
    /// The response has no body.
    pub(super) head_only: bool,
    pub(super) version: Version,
    /// The client wants to keep its connection.
    pub(super) keeps: bool,
    /// The client asks for another protocol.
    upgrade: bool,
    /// The method is safe (RFC 9110, 9.2.1) and there is no body, so the request can be sent again.
    pub(super) repeatable: bool,
    body: RequestBody,
}

/// One exchange of any protocol: its backend, its observation, and the part of the request that may be sent again.
pub(super) struct Forward {
    pub(super) tap: Tap,
    /// The backend that serves it.
    lease: Lease,
    pub(super) request: RequestSummary,
    /// The part of the request's body that the client has still to send.
    pub(super) upload: Framing,
    /// The part of the body that came with the head is framed wrongly.
    pub(super) broken: bool,
    /// The head, kept to be written for one or more backends.
    pub(super) head: KeptHead,
}

impl Forward {
    /// Begins an exchange. `behind` are the bytes that came with the head: those of the body are taken from it, as far
    /// as they may be scanned in this turn.
    ///
    /// Nothing is awaited before this, so that a client that leaves right after its head is counted too.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        polls: &Rc<Polls>,
        mut request: Request<'_>,
        behind: &mut &[u8],
    ) -> Box<Self> {
        let now = polls.arrival();
        let path = request.path();
        let route = Route::of(request.method(), path);
        let lease = worker.thread.choose();
        let scan = RequestScan::of(route, &request.facts, &worker.thread.decoding.requests);
        let mut tap = Tap::start(worker, polls, now, scan, || {
            let id = worker.next_id();
            let (trace, parent) = match trace_of(&request.facts) {
                Some((trace, parent)) => (trace, Some(parent)),
                None => (worker.make_trace(id), None),
            };
            let client = request.facts.user_agent.and_then(|user_agent| worker.thread.products.of(user_agent));
            let (method, conversation) = (Method::parse(request.method()), conversation_of(&request.facts));
            let start = Start { id, method, route, trace, parent, client, conversation, at: now };
            let budget = &worker.thread.decoding.responses;
            let mut observation = Observation::start(start, &worker.observe, budget, &*worker.sink);
            let placement = Placement {
                backend: lease.member().backend.name.clone(),
                reason: lease.reason(),
                attempt: 1,
                queued: Duration::ZERO,
            };
            observation.placed(placement, now);
            observation
        });
        let summary = RequestSummary {
            shape: ErrorShape::of(path),
            route,
            head_only: request.method == b"HEAD",
            version: if request.http11 { Version::Http11 } else { Version::Http10 },
            keeps: request.keeps(),
            upgrade: request::switches(&request),
            repeatable: request.framing.is_over() && matches!(request.method, b"GET" | b"HEAD" | b"OPTIONS"),
            body: RequestBody::of(&request),
        };
        let mut upload = std::mem::replace(&mut request.framing, Framing::OVER);
        let first: &[u8] = if upload.is_over() { &[] } else { &behind[..tap.reads(behind.len())] };
        let mut head = KeptHead::keep(&request, first.len());
        let mut broken = false;
        if !upload.is_over() {
            let mut trailers = Vec::new();
            let followed = upload.follow(first, &mut |part| {
                tap.request(part);
                trailers.extend_from_slice(part.trailer());
            });
            head.keep_body(&first[..followed.raw]);
            head.keep_body(&trailers);
            *behind = &behind[followed.bytes..];
            broken = followed.state == BodyProgress::Broken;
        }
        // A body that came complete with its head names its model before the request is sent.
        if upload.is_over() {
            tap.request_read();
        }
        // Boxed, as it moves between tasks' states: from reading the head to the attempt and back.
        Box::new(Self { tap, lease, request: summary, upload, broken, head })
    }

    /// Whether a final head with this status proves that the backend has read the request's body. `sent` says whether
    /// the whole body had been sent when the head arrived.
    ///
    /// Servers that answer without reading the body may keep the connection, and then parse the unread bytes as the
    /// next request (cpp-httplib does, for a 401, for OPTIONS and while a model loads). A client could then choose the
    /// bytes of another client's request, so a connection without that proof is not reused.
    pub(super) fn has_proof_of_upload(&self, status: u16, sent: bool) -> bool {
        match self.request.body {
            RequestBody::Absent => true,
            RequestBody::Expected => sent && (200..300).contains(&status),
            RequestBody::Unexpected => false,
        }
    }

    /// Takes the head of the final response, and checks what its fields alone do not show. `sent` says whether the
    /// backend's connection has taken the whole request.
    ///
    /// # Errors
    /// What makes the response unfit to be forwarded.
    pub(super) fn respond(&mut self, response: &Response<'_>, sent: bool, now: Instant) -> Result<(), Failure> {
        // After a switch the bytes are opaque: it must have been asked for, and no byte of the request may be
        // outstanding.
        if response.status == 101 && !(self.request.upgrade && response.connection.switches() && self.upload.is_over())
        {
            return Err(Failure::Improper("it switches protocols unasked"));
        }
        if response.status == 101 && !sent {
            return Err(Failure::Improper("it switches protocols before it has the request"));
        }
        let route = self.request.route;
        self.tap.observe(|observation| {
            let head = Head {
                status: response.status,
                content_type: response.content_type,
                content_encoding: response.content_encoding,
                reported: Reported::parse(route, |name| response.field(name)),
            };
            observation.responded(&head, now);
        });
        self.tap.answer(response.status);
        Ok(())
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        self.lease.member()
    }

    /// The parts that are still needed after a protocol switch.
    pub(super) fn into_tunnel(self) -> (Tap, Lease) {
        (self.tap, self.lease)
    }

    /// Ends the exchange with an answer of the proxy's own.
    pub(super) fn give_up(&mut self, answer: &Answer) {
        self.tap.answer(answer.status.as_u16());
        self.tap.end(match answer.why.origin() {
            Origin::Upstream => End::BackendFailed(answer.why),
            _ => End::Rejected(answer.why),
        });
    }
}

/// The trace that the client's `traceparent` names.
fn trace_of(facts: &NotedFields<'_>) -> Option<(TraceId, ParentSpan)> {
    facts.traceparent.filter(|_| !facts.several_traceparents).and_then(trace::parse_traceparent)
}

/// The conversation that header fields name.
fn conversation_of(facts: &NotedFields<'_>) -> Option<Conversation> {
    let named = |name: Option<&[u8]>| name.and_then(Conversation::named);
    named(facts.x_session_id).or_else(|| named(facts.x_conversation_id))
}

/// Opens a connection to a backend.
///
/// # Errors
/// The answer for the client, where no connection can be opened.
pub(super) async fn connect(worker: Rc<Worker>, member: Arc<Member>) -> Result<Box<Upstream>, Answer> {
    let limit = member.settings.connect_timeout;
    let mut dialled = member.dialer.dial(limit).await;
    // Idle connections are given up for one that is needed.
    if matches!(dialled, Err(DialError::Exhausted(_))) && worker.thread.pools.clear() {
        dialled = member.dialer.dial(limit).await;
    }
    let failed = |why, text: String| {
        let status = match why {
            ErrorType::ConnectTimeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorType::Limit => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        Answer { status, why, text }
    };
    let at = &member.backend.address;
    dialled.map(Upstream::new).map_err(|error| match error {
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
        DialError::Exhausted(error) => failed(
            ErrorType::Limit,
            format!(
                "no connection to the backend can be opened ({error}): raise the limit of open files or local ports"
            ),
        ),
        DialError::Other(error) => failed(ErrorType::Reset, format!("the backend at {at} cannot be reached: {error}")),
    })
}

/// The answer to a client whose backend failed before the response's head.
pub(super) fn explain(member: &Member, failure: &Failure) -> Answer {
    let at = &member.backend.address;
    let why = failure.why();
    let (status, text) = match failure {
        Failure::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            format!("the backend at {at} did not begin its answer in time: raise limits.first_byte, or set it to 0"),
        ),
        Failure::Improper(fault) => {
            (StatusCode::BAD_GATEWAY, format!("the backend at {at} does not answer in proper HTTP/1.1: {fault}"))
        }
        Failure::Closed => {
            (StatusCode::BAD_GATEWAY, format!("the backend at {at} closed the connection before it answered"))
        }
        Failure::Broken(error) => {
            let text = match Fault::find(error) {
                Some(fault) => format!("the backend at {at}: {fault}"),
                None => format!("the backend at {at} reset the connection before it answered"),
            };
            (StatusCode::BAD_GATEWAY, text)
        }
    };
    Answer { status, why, text }
}

/// The answer to a client whose upload failed through its own fault.
pub(super) fn blame(why: ErrorType) -> Answer {
    let (status, text) = match why {
        ErrorType::ClientTimeout => (StatusCode::REQUEST_TIMEOUT, "the request's body took too long to arrive"),
        _ => (StatusCode::BAD_REQUEST, "the request's body is framed wrongly or breaks off"),
    };
    Answer { status, why, text: text.to_owned() }
}
