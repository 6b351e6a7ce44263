//! One response of a backend, from its heads to its end, whatever the client speaks. Pure.
//!
//! Promises: the observation sees every byte of the body before the client can; what stands after the response belongs to
//! nobody, and its connection carries no other exchange; neither does one whose backend cannot be proved to have read the
//! request.

use std::time::Instant;

use super::chunks::{BodyProgress, Part};
use super::forward::Forward;
use super::framing::Framing;
use super::grammar::HeadScan;
use super::response::{self, Response, Version};
use super::tap::Tap;
use super::upstream::Failure;

/// Takes a response as it is read.
pub(super) trait Receiver {
    /// A head that is followed by another one (RFC 9110, 15.2).
    fn interim(&mut self, head: &Response<'_>);

    /// The head of the final response, and how its body is framed.
    ///
    /// # Errors
    /// What the client's protocol cannot say.
    fn head(&mut self, head: &Response<'_>, framing: &Framing) -> Result<(), Failure>;

    /// Data of the body, without its frame.
    fn data(&mut self, data: &[u8]);

    /// All of the body that was read at one instant, as it stands on the wire, and the trailer lines that follow it. Called
    /// after [`Receiver::data`] for the same bytes.
    fn piece(&mut self, raw: &[u8], trailers: &[u8]);
}

/// How far the response has come.
#[derive(Debug)]
enum ResponseStage {
    Heads,
    Body(Framing),
    /// All of it was read.
    Whole,
    /// It switches protocols; what the backend sent after its head.
    Switched(Vec<u8>),
    /// Its body is framed wrongly.
    Broken,
}

/// How reading a response ends.
#[derive(Debug)]
pub(super) enum ResponseEnd {
    /// All of it was read.
    Whole,
    /// It switches protocols; what the backend sent after its head.
    Switched(Vec<u8>),
    /// What was read before was handed on.
    Failed(Failure),
}

/// Follows one response from the first byte of its heads, and keeps a head that is not whole.
#[derive(Debug)]
pub(super) struct Download {
    stage: ResponseStage,
    /// A head that is not whole yet.
    held: Vec<u8>,
    /// What of the body came with its head and is to be looked at in a later turn.
    ahead: Vec<u8>,
    /// How far it was looked at.
    seen: HeadScan,
    /// A byte of it was read.
    begun: bool,
    /// The client was waited for, and the backend has not been waited for since: what it sent lay unread.
    held_back: bool,
    /// Its connection carries no other exchange.
    ends_connection: bool,
    /// It is a stream of events.
    is_stream: bool,
}

impl Default for Download {
    fn default() -> Self {
        Self {
            stage: ResponseStage::Heads,
            held: Vec::new(),
            ahead: Vec::new(),
            seen: HeadScan::default(),
            begun: false,
            held_back: false,
            ends_connection: false,
            is_stream: false,
        }
    }
}

impl Download {
    /// Whether a byte of the response was read.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the final head was read.
    pub(super) fn has_head(&self) -> bool {
        !matches!(self.stage, ResponseStage::Heads)
    }

    /// Whether all of it was read.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.stage, ResponseStage::Whole)
    }

    /// Whether its connection carries no other exchange.
    pub(super) fn ends_connection(&self) -> bool {
        self.ends_connection
    }

    /// Whether it is a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The client takes nothing: what the backend sends lies unread.
    pub(super) fn hold_back(&mut self) {
        self.held_back = true;
    }

    /// The backend has sent nothing that lies unread.
    pub(super) fn caught_up(&mut self) {
        self.held_back = false;
    }

    /// How it ended, if nothing more is to be read. A switch is handed out once.
    pub(super) fn ended(&mut self) -> Option<ResponseEnd> {
        match &mut self.stage {
            ResponseStage::Heads | ResponseStage::Body(_) => None,
            ResponseStage::Whole => Some(ResponseEnd::Whole),
            ResponseStage::Switched(ahead) => Some(ResponseEnd::Switched(std::mem::take(ahead))),
            ResponseStage::Broken => Some(ResponseEnd::Failed(Failure::Improper("its chunks are framed wrongly"))),
        }
    }

    /// Puts what was read before and not taken where a read would, as much as fits. 0 where there is nothing.
    pub(super) fn read_ahead(&mut self, into: &mut [u8]) -> usize {
        let read = into.len().min(self.ahead.len());
        into[..read].copy_from_slice(&self.ahead[..read]);
        self.ahead.drain(..read);
        read
    }

    /// Takes what was read at one instant. `sent` tells whether the backend's connection has taken the whole request.
    ///
    /// # Errors
    /// What makes the response unfit to be handed on. Nothing of it has been, if this is before [`Download::has_head`].
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        forward: &mut Forward,
        sent: bool,
        now: Instant,
        to: &mut impl Receiver,
    ) -> Result<(), Failure> {
        self.begun = true;
        if self.has_head() {
            self.take_body(bytes, &mut forward.tap, now, to);
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        let mut rest = bytes;
        if !held.is_empty() {
            held.extend_from_slice(bytes);
            rest = &held;
        }
        loop {
            let read = response::read(rest, &mut self.seen).map_err(Failure::Improper)?;
            let Some((mut response, length)) = read else {
                let left = rest.len();
                self.held = if held.is_empty() { rest.to_vec() } else { last(held, left) };
                return Ok(());
            };
            rest = &rest[length..];
            if response.is_interim() {
                to.interim(&response);
                continue;
            }
            forward.respond(&response, sent, now)?;
            let framing = self.begin(&mut response, forward, sent);
            to.head(&response, &framing)?;
            if response.status == 101 {
                self.stage = ResponseStage::Switched(rest.to_vec());
            } else {
                self.stage = if framing.is_over() { ResponseStage::Whole } else { ResponseStage::Body(framing) };
                let (first, later) = rest.split_at(forward.tap.reads(rest.len()));
                self.ahead = later.to_vec();
                self.take_body(first, &mut forward.tap, now, to);
            }
            return Ok(());
        }
    }

    /// The final head decides how the body is framed and whether its connection serves another exchange.
    fn begin(&mut self, response: &mut Response<'_>, forward: &Forward, sent: bool) -> Framing {
        let framing = std::mem::replace(&mut response.framing, Framing::OVER);
        let framing = if forward.asked.head_only || response.is_bodiless() { Framing::OVER } else { framing };
        self.is_stream = matches!(framing, Framing::Chunked(_)) && response.content_type.is_some_and(is_event_stream);
        self.ends_connection = response.hop.close
            || response.version == Version::Http10
            || matches!(framing, Framing::Close)
            || response.status == 101
            || !forward.has_proof_of_upload(response.status, sent);
        framing
    }

    fn take_body(&mut self, bytes: &[u8], tap: &mut Tap, now: Instant, to: &mut impl Receiver) {
        let ResponseStage::Body(framing) = &mut self.stage else {
            // Bytes after a response belong to no request, and must not become the next one's.
            self.ends_connection |= !(bytes.is_empty() && self.ahead.is_empty());
            return;
        };
        let mut trailers = Vec::new();
        let followed = framing.follow(bytes, &mut |part| {
            tap.response(part, now);
            match part {
                Part::Data(data) => to.data(data),
                Part::Trailer(lines) => trailers.extend_from_slice(lines),
            }
        });
        if self.held_back {
            tap.held_back();
        }
        tap.frame_end();
        to.piece(&bytes[..followed.raw], &trailers);
        match followed.state {
            BodyProgress::Continues => {}
            BodyProgress::Over => {
                self.ends_connection |= followed.bytes < bytes.len() || !self.ahead.is_empty();
                self.stage = ResponseStage::Whole;
            }
            BodyProgress::Broken => self.stage = ResponseStage::Broken,
        }
    }

    /// The backend's connection has ended in order, which ends some responses. False where it cuts this one.
    pub(super) fn close(&mut self) -> bool {
        let closes = matches!(self.stage, ResponseStage::Body(Framing::Close));
        if closes {
            self.stage = ResponseStage::Whole;
        }
        closes
    }
}

/// Whether a media type is that of events that are sent as they happen.
fn is_event_stream(media_type: &[u8]) -> bool {
    let is = |other: &str| media_type.get(..other.len()).is_some_and(|it| it.eq_ignore_ascii_case(other.as_bytes()));
    is("text/event-stream") || is("application/x-ndjson")
}

/// The last bytes of what was held. Nothing is copied where that is all of it: a head that dribbles in would cost the
/// square of its length.
fn last(mut held: Vec<u8>, length: usize) -> Vec<u8> {
    held.drain(..held.len() - length);
    held
}
