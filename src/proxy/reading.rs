//! How this proxy parses HTTP/1 bytes, and what it writes to the other side. Pure.
//!
//! For tests and fuzzing against other parsers; connections take the same steps with sockets in between.

use super::chunks::{BodyProgress, Part};
use super::fields::fields;
use super::framing::Framing;
use super::grammar::HeadScan;
use super::guard::{Request, Verdict, parse_head};
use super::hold::{HeldBodies, HoldLimits};
use super::named_model::RequestScan;
use super::request::{KeptHead, RequestHead};
use super::response::{self, Persistence, Version};
use crate::backend::HostHeader;
use crate::wire::budget::DecodeBudget;
use crate::wire::route::Route;

/// A complete message that is forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// A method, a space and a target in origin-form; or a status.
    pub start: Vec<u8>,
    /// Names and values of the head.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content of the body, without its framing.
    pub body: Vec<u8>,
    /// Its length in bytes, empty lines and interim responses before it included.
    pub length: usize,
    /// The bytes that are sent to the other side.
    pub written: Vec<u8>,
}

/// The requests at the start of a client's bytes, as long as each is complete and the connection continues.
#[must_use]
pub fn requests(stream: &[u8]) -> Vec<Message> {
    let (mut read, mut rest) = (Vec::new(), stream);
    while let Verdict::Head(mut head, length) = parse_head(rest, &mut HeadScan::default()) {
        let mut message = Message { start: start_of(&head), fields: pairs(head.fields), ..Message::default() };
        RequestHead::of(&head).write("", &HostHeader::Preserve, b"backend:1", &mut message.written);
        let framing = std::mem::replace(&mut head.framing, Framing::OVER);
        let Some(body) = take_body(framing, &rest[length..], &mut message) else { break };
        message.length = length + body;
        rest = &rest[message.length..];
        read.push(message);
        if !head.keeps() {
            break;
        }
    }
    read
}

/// A request that was held until its backend could be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldRequest {
    /// The model that it is placed by.
    pub model: Option<String>,
    /// The most bytes of its body that were held.
    pub most_held: u64,
    /// Its body was too long to be held until its model was known.
    pub is_too_long: bool,
    /// Its body has come to its end.
    pub is_whole: bool,
    /// The bytes that are sent to the backend.
    pub written: Vec<u8>,
}

/// The request at the start of a client's bytes, whose body comes in pieces of so many bytes and is held up to `most`
/// bytes until it names its model. `None` where it is refused, or cannot be placed yet.
#[must_use]
pub fn held(stream: &[u8], piece: usize, most: u64) -> Option<HeldRequest> {
    let Verdict::Head(mut request, length) = parse_head(stream, &mut HeadScan::default()) else { return None };
    let route = Route::of(request.method(), request.path());
    let mut scan = RequestScan::of(route, &request.facts, &DecodeBudget::unlimited(), true);
    let mut upload = std::mem::replace(&mut request.framing, Framing::OVER);
    let mut head = KeptHead::keep(&request, 0);
    let (bodies, limits) = (HeldBodies::default(), HoldLimits { request: most, total: most });
    let (mut held, mut rest) = (HeldRequest::default(), &stream[length..]);
    let next = |rest: &[u8]| rest.len().min(piece.max(1));
    loop {
        let is_over = upload.is_over() || held.is_too_long;
        held.model = scan.model(is_over).map(str::to_owned);
        if held.model.is_some() || is_over {
            break;
        }
        if rest.is_empty() || !head.may_hold(&bodies, &limits) {
            return None;
        }
        let (followed, kept) = head.keep_piece(&mut upload, &rest[..next(rest)], &mut |part| {
            if let Part::Data(data) = part {
                scan.read(data);
            }
        });
        if followed.state == BodyProgress::Broken {
            return None;
        }
        held.is_too_long = head.hold(kept, &bodies, &limits).is_err();
        held.most_held = held.most_held.max(bodies.bytes());
        rest = &rest[followed.bytes..];
    }
    head.write("", &HostHeader::Preserve, b"backend:1", &mut held.written);
    head.release();
    assert_eq!(bodies.bytes(), 0, "what was sent is held no longer");
    while !upload.is_over() && !rest.is_empty() {
        let mut trailers = Vec::new();
        let followed = upload.follow(&rest[..next(rest)], &mut |part| trailers.extend_from_slice(part.trailer()));
        if followed.state == BodyProgress::Broken {
            break;
        }
        held.written.extend_from_slice(&rest[..followed.raw]);
        held.written.append(&mut trailers);
        rest = &rest[followed.bytes..];
    }
    held.is_whole = upload.is_over();
    Some(held)
}

/// The final response to a GET at the start of a backend's bytes, if it is complete and does not switch protocols. The
/// connection ends after these bytes.
#[must_use]
pub fn response(stream: &[u8]) -> Option<Message> {
    let (mut message, mut rest) = (Message::default(), stream);
    loop {
        let (mut head, length) = response::parse_head(rest, &mut HeadScan::default()).ok()??;
        rest = &rest[length..];
        if head.is_interim() {
            head.write(Version::Http11, Persistence::Implied, &mut message.written);
            continue;
        }
        if head.status == 101 {
            return None;
        }
        message.start = head.status.to_string().into_bytes();
        message.fields = pairs(head.fields);
        let framing = std::mem::replace(&mut head.framing, Framing::OVER);
        let framing = if head.is_bodiless() { Framing::OVER } else { framing };
        let closes = matches!(framing, Framing::Close);
        let persistence = if closes { Persistence::Close } else { Persistence::Implied };
        head.write(Version::Http11, persistence, &mut message.written);
        let body = take_body(framing, rest, &mut message)?;
        message.length = stream.len() - rest.len() + body;
        return Some(message);
    }
}

/// Follows a body to its end and returns its length; `None` where it does not end.
fn take_body(mut framing: Framing, bytes: &[u8], message: &mut Message) -> Option<usize> {
    let ends_with_connection = matches!(framing, Framing::Close);
    let mut trailers = Vec::new();
    let followed = framing.follow(bytes, &mut |part| match part {
        Part::Data(data) => message.body.extend_from_slice(data),
        Part::Trailer(lines) => trailers.extend_from_slice(lines),
    });
    message.written.extend_from_slice(&bytes[..followed.raw]);
    message.written.append(&mut trailers);
    (followed.state == BodyProgress::Over || ends_with_connection).then_some(followed.bytes)
}

fn start_of(head: &Request<'_>) -> Vec<u8> {
    let target = head.path_and_query();
    let slash: &[u8] = if target.starts_with(b"/") || target == b"*" { b"" } else { b"/" };
    [head.method, b" ", slash, target].concat()
}

fn pairs(lines: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields(lines).map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}
