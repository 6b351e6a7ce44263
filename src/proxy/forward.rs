//! One exchange on its way, whatever the client speaks: how it begins, where it goes, and what is said when it fails.

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
use crate::wire::reader::{Head, Reported};
use crate::wire::route::{ErrorShape, Route};

/// Whether a request has a body, and whether servers read one with its method.
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

/// What the response needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) shape: ErrorShape,
    route: Route,
    /// The answer has no body.
    pub(super) head_only: bool,
    pub(super) version: Version,
    /// The client wants to go on with its connection.
    pub(super) keeps: bool,
    /// It asks for another protocol.
    upgrade: bool,
    /// Asking twice does no harm (RFC 9110, 9.2.1), and all of it is at hand.
    pub(super) repeatable: bool,
    body: RequestBody,
}

/// One exchange on its way, whatever the client speaks: its backend, its observation, and what may be sent again.
pub(super) struct Forward {
    pub(super) tap: Tap,
    /// The backend that serves it.
    lease: Lease,
    pub(super) asked: Asked,
    /// What is left of the request's body, for the client to send.
    pub(super) upload: Framing,
    /// The body's framing was broken from the start.
    pub(super) broken: bool,
    /// What was asked, for the backends that may be asked.
    pub(super) head: KeptHead,
}

impl Forward {
    /// An exchange begins. `behind` are the bytes that came with the head: what belongs to the body is taken from them, as
    /// far as it may be looked at now.
    ///
    /// A client that leaves right after its head is counted too: the exchange begins before anything is waited for.
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
            let start = Start { id, method: Method::parse(request.method()), route, trace, parent, at: now };
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
        let asked = Asked {
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
        // A body that came whole with its head names its model before the request is sent.
        if upload.is_over() {
            tap.request_read();
        }
        // Boxed, as it is moved about: from the reading of its head to its backend and back.
        Box::new(Self { tap, lease, asked, upload, broken, head })
    }

    /// Whether a final head with this status proves that the backend has read the request's body, which was `sent` to
    /// its end when the head arrived, or was not.
    ///
    /// Servers that answer without reading the body may keep the connection, and then parse what lies unread as the
    /// next request (cpp-httplib does, for a 401, for OPTIONS and while a model loads). A client would choose the bytes
    /// of another client's exchange: a connection without the proof is not used again.
    pub(super) fn has_proof_of_upload(&self, status: u16, sent: bool) -> bool {
        match self.asked.body {
            RequestBody::Absent => true,
            RequestBody::Expected => sent && (200..300).contains(&status),
            RequestBody::Unexpected => false,
        }
    }

    /// The head of the final response has arrived: judges what the fields alone cannot tell. `sent` tells whether the
    /// backend's connection has taken the whole request.
    ///
    /// # Errors
    /// What makes it unfit to be handed on.
    pub(super) fn respond(&mut self, response: &Response<'_>, sent: bool, now: Instant) -> Result<(), Failure> {
        // After a switch nothing is looked at: it must be wanted, and no byte of the request may be under way.
        if response.status == 101 && !(self.asked.upgrade && response.hop.switches() && self.upload.is_over()) {
            return Err(Failure::Improper("it switches protocols unasked"));
        }
        if response.status == 101 && !sent {
            return Err(Failure::Improper("it switches protocols before it has the request"));
        }
        let route = self.asked.route;
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

    /// The backend that serves it.
    pub(super) fn member(&self) -> &Arc<Member> {
        self.lease.member()
    }

    /// What outlasts a switch of protocols.
    pub(super) fn into_tunnel(self) -> (Tap, Lease) {
        (self.tap, self.lease)
    }

    /// It ends with an answer of ours.
    pub(super) fn give_up(&mut self, answer: &Answer) {
        self.tap.answer(answer.status.as_u16());
        self.tap.end(match answer.why.origin() {
            Origin::Upstream => End::BackendFailed(answer.why),
            _ => End::Rejected(answer.why),
        });
    }
}

/// The trace that a client names.
fn trace_of(facts: &NotedFields<'_>) -> Option<(TraceId, ParentSpan)> {
    facts.traceparent.filter(|_| !facts.several_traceparents).and_then(trace::parse_traceparent)
}

/// A fresh connection to a backend.
///
/// # Errors
/// The answer for the client.
pub(super) async fn connect(worker: Rc<Worker>, member: Arc<Member>) -> Result<Box<Upstream>, Answer> {
    let limit = member.settings.connect_timeout;
    let mut dialled = member.dialer.dial(limit).await;
    // What is idle gives way to what is needed.
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

/// The answer to a client whose backend failed before the head of its response.
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

/// The answer to a client whose upload failed, by its own doing.
pub(super) fn blame(why: ErrorType) -> Answer {
    let (status, text) = match why {
        ErrorType::ClientTimeout => (StatusCode::REQUEST_TIMEOUT, "the request's body took too long to arrive"),
        _ => (StatusCode::BAD_REQUEST, "the request's body is framed wrongly or breaks off"),
    };
    Answer { status, why, text: text.to_owned() }
}
