//! One exchange of any protocol: how it begins, and which backend gets it.

mod place;
mod target;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::answer::{Answer, Merged};
use super::chunks::{BodyProgress, Part};
use super::everywhere::Everywhere;
use super::framing::Framing;
use super::guard::{BACKEND_FIELD, NotedFields, Request};
use super::named_model::RequestScan;
use super::polls::Polls;
use super::request::{self, KeptHead};
use super::response::{Response, Version};
use super::tap::Tap;
use super::upstream::{Failure, Upstream};
use super::worker::Worker;
use crate::exchange::Observation;
use crate::exchange::outcome::{End, ErrorType, Origin};
use crate::exchange::placement::Placement;
use crate::exchange::record::{Method, Start};
use crate::exchange::trace::{self, ParentSpan, TraceId};
use crate::fleet::{Fleet, Lease, Member};
use crate::wire::answer_ids::AnswerIds;
use crate::wire::conversation::Conversation;
use crate::wire::listing::Listing;
use crate::wire::reader::{Head, Reported};
use crate::wire::route::{ErrorShape, Route};
use target::Target;

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
    is_get: bool,
}

/// One exchange of any protocol: its backend, its observation, and the part of the request that may be sent again.
pub(super) struct Forward {
    pub(super) tap: Tap,
    /// Its number.
    id: u64,
    /// When it began.
    begun: Instant,
    /// How its backend is chosen.
    target: Target,
    /// The id that its head gives to its answer, by which a later request may name it. `None` where it is of no use.
    given_id: Option<Box<[u8]>>,
    /// It is for all of these, whose answers are put together.
    everywhere: Option<Box<Everywhere>>,
    /// Backends to which no connection could be opened.
    tried: Vec<Arc<Member>>,
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
        request: &mut Request<'_>,
        behind: &mut &[u8],
    ) -> Box<Self> {
        let now = polls.arrival();
        let (path, method) = (request.path(), request.method());
        let route = Route::of(method, path);
        let target = Target::of(worker, route, request);
        let lease = if target == Target::Any { worker.thread.with_fleet(Fleet::choose) } else { None };
        let id = worker.next_id();
        let scan = RequestScan::of(
            route,
            &request.facts,
            &worker.thread.decoding.requests,
            matches!(target, Target::Model(None) | Target::All(_)),
        );
        let mut tap = Tap::start(worker, polls, (id, now), (scan, route.runs_model()), || {
            let (trace, parent) = match trace_of(&request.facts) {
                Some((trace, parent)) => (trace, Some(parent)),
                None => (worker.make_trace(id), None),
            };
            let client = request.facts.user_agent.and_then(|user_agent| worker.thread.products.of(user_agent));
            let (method, conversation) = (Method::parse(method), conversation_of(&request.facts));
            let start = Start { id, method, route, trace, parent, client, conversation, at: now };
            let budget = &worker.thread.decoding.responses;
            let mut observation = Observation::start(start, &worker.observe, budget, &*worker.sink);
            if let Some(lease) = &lease {
                observation.placed(placement(lease, 1), now);
            }
            observation
        });
        if let Some(lease) = lease {
            tap.hold(lease);
        }
        let summary = RequestSummary {
            shape: ErrorShape::of(path),
            route,
            head_only: request.method == b"HEAD",
            version: if request.http11 { Version::Http11 } else { Version::Http10 },
            keeps: request.keeps(),
            upgrade: request::switches(request),
            repeatable: request.framing.is_over() && matches!(request.method, b"GET" | b"HEAD" | b"OPTIONS"),
            body: RequestBody::of(request),
            is_get: request.method == b"GET",
        };
        let mut upload = std::mem::replace(&mut request.framing, Framing::OVER);
        let first: &[u8] = if upload.is_over() { &[] } else { &behind[..tap.reads(behind.len())] };
        let (mut head, begun_body) = (KeptHead::keep(request, first.len()), first.len());
        if matches!(target, Target::Named(_)) {
            head.withhold(BACKEND_FIELD);
        }
        let mut broken = false;
        if !upload.is_over() {
            let (followed, _) = head.keep_piece(&mut upload, first, &mut |part| tap.request(part));
            *behind = &behind[followed.bytes..];
            broken = followed.state == BodyProgress::Broken;
        }
        let given_id = request.facts.x_conversation_id.filter(|_| target != Target::Any && route.operation.generates());
        let given_id = given_id.map(Into::into);
        // Boxed, as it moves between tasks' states: from reading the head to the attempt and back.
        let mut forward = Box::new(Self {
            tap,
            id,
            begun: now,
            target,
            given_id,
            everywhere: None,
            tried: Vec::new(),
            request: summary,
            upload,
            broken,
            head,
        });
        let is_over = forward.upload.is_over();
        // Where it cannot be placed, that is found again when it is to be sent, and answered.
        if matches!(forward.place_once_known(worker, is_over, now), Ok(false)) {
            let _refused = forward.hold(begun_body, worker, now);
        }
        // A body that came complete with its head names its model before the request is sent.
        if is_over {
            forward.tap.request_read();
        }
        forward
    }

    /// The listing that all backends answer together, where there are several and the client names none.
    pub(super) fn listing(&mut self, worker: &Worker) -> Option<Listing> {
        let listing = Listing::of(self.request.route.endpoint)?;
        let is_plain =
            self.request.is_get && self.request.body == RequestBody::Absent && self.target == Target::Working;
        let merges = is_plain && worker.thread.with_fleet(|fleet| fleet.has_several() && fleet.merges());
        if merges {
            // What is coded could not be spliced.
            self.head.withhold("accept-encoding");
        }
        merges.then_some(listing)
    }

    /// A connection over which the answer of several backends comes, where the request is for all of them, or the answer
    /// for the client where there is none to be had.
    pub(super) fn connect_everywhere(&mut self) -> Option<Result<Box<Upstream>, Answer>> {
        let everywhere = self.everywhere.take()?;
        Some(everywhere.connect(&self.head).map_err(|error| {
            let text = format!("no connection can be opened ({error}): raise the limit of open files");
            Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::Limit, text }
        }))
    }

    /// Passes a merged answer to the observation, as if the backend had sent it, and ends the exchange.
    pub(super) fn merged(&mut self, merged: &Merged, now: Instant) {
        let route = self.request.route;
        self.tap.forwarded();
        self.tap.uploaded();
        self.tap.observe(|observation| {
            let content_type = Some(&*merged.content_type);
            let reported = Reported::parse(route, |_| None);
            observation.responded(&Head { status: 200, content_type, content_encoding: None, reported }, now);
        });
        self.tap.response(Part::Data(&merged.body), now);
        self.tap.frame_end();
        self.tap.answer(200);
        self.tap.end(End::Complete);
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
        let head = Head {
            status: response.status,
            content_type: response.content_type,
            content_encoding: response.content_encoding,
            reported: Reported::default(),
        };
        self.tap.observe(|observation| {
            let reported = Reported::parse(route, |name| response.field(name));
            observation.responded(&Head { reported, ..head }, now);
        });
        self.tap.expect_ids(|budget| AnswerIds::of(route, &head, budget));
        self.tap.answer(response.status);
        self.tap.responded(retry_after(response));
        if response.status == 404 && matches!(self.target, Target::Model(Some(_))) {
            self.tap.lacks_model();
        }
        Ok(())
    }

    /// The backend. To be called once it is chosen.
    pub(super) fn member(&self) -> &Arc<Member> {
        self.tap.lease().expect("a request is sent once its backend is chosen").member()
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

fn placement(lease: &Lease, attempt: u32) -> Placement {
    let backend = lease.member().backend.name.clone();
    Placement { backend, reason: lease.reason(), attempt, queued: Duration::ZERO, held: None }
}

/// How long a refusal asks to stay away, in whole seconds. A date is not read.
fn retry_after(response: &Response<'_>) -> Option<Duration> {
    if !matches!(response.status, 429 | 503) {
        return None;
    }
    let seconds = response.field("retry-after")?;
    std::str::from_utf8(seconds).ok()?.trim().parse().ok().map(Duration::from_secs)
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
