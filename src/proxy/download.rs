//! Reads one response from its heads to its end, for HTTP/1 and HTTP/2 clients alike. Pure.
//!
//! Promises: the observation sees every byte of the body before the client can; bytes after the response are dropped
//! and its connection is not reused; neither is a connection whose backend has not proved that it read the request.

use std::time::Instant;

use super::chunks::{BodyProgress, Part};
use super::forward::Forward;
use super::framing::Framing;
use super::grammar::HeadScan;
use super::response::{self, Response, Version};
use super::tap::Tap;
use super::upstream::Failure;

/// Consumes a response as it is read.
pub(super) trait Receiver {
    /// An interim head, which is followed by another one (RFC 9110, 15.2).
    fn interim(&mut self, head: &Response<'_>);

    /// The head of the final response, and how its body is framed.
    ///
    /// # Errors
    /// When the client's protocol cannot express it.
    fn head(&mut self, head: &Response<'_>, framing: &Framing) -> Result<(), Failure>;

    /// Body data without framing.
    fn data(&mut self, data: &[u8]);

    /// The body bytes of one read as they are on the wire, and the trailer lines that follow them. Called after
    /// [`Receiver::data`] for the same bytes.
    fn piece(&mut self, raw: &[u8], trailers: &[u8]);
}

/// How far the response has come.
#[derive(Debug)]
enum ResponseStage {
    Heads,
    Body(Framing),
    Whole,
    /// It switches protocols. Holds the bytes that the backend sent after its head.
    Switched(Vec<u8>),
    /// Its body is framed wrongly.
    Broken,
}

/// How a response ended.
#[derive(Debug)]
pub(super) enum ResponseEnd {
    Whole,
    /// It switches protocols. Holds the bytes that the backend sent after its head.
    Switched(Vec<u8>),
    /// It broke off; what was read before has been passed on.
    Failed(Failure),
}

/// Follows one response from its first byte, and buffers an incomplete head.
#[derive(Debug)]
pub(super) struct Download {
    stage: ResponseStage,
    /// An incomplete head.
    held: Vec<u8>,
    /// Body bytes that came with the head and are left for a later turn.
    ahead: Vec<u8>,
    /// How far the head has been scanned.
    seen: HeadScan,
    /// A byte of it has been read.
    begun: bool,
    /// The client was waited for, and the backend has not been waited for since, so its bytes lay unread.
    held_back: bool,
    /// Its connection is not to be reused.
    ends_connection: bool,
    /// It is an event stream.
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
    /// Whether a byte of the response has been read.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the final head has been read.
    pub(super) fn has_head(&self) -> bool {
        !matches!(self.stage, ResponseStage::Heads)
    }

    /// Whether all of it has been read.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.stage, ResponseStage::Whole)
    }

    /// Whether its connection is not to be reused.
    pub(super) fn ends_connection(&self) -> bool {
        self.ends_connection
    }

    pub(super) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The client takes nothing, so the backend's bytes stay unread.
    pub(super) fn hold_back(&mut self) {
        self.held_back = true;
    }

    /// No bytes of the backend are left unread.
    pub(super) fn caught_up(&mut self) {
        self.held_back = false;
    }

    /// How it ended, or `None` while more is to be read. A switch is returned once only.
    pub(super) fn ended(&mut self) -> Option<ResponseEnd> {
        match &mut self.stage {
            ResponseStage::Heads | ResponseStage::Body(_) => None,
            ResponseStage::Whole => Some(ResponseEnd::Whole),
            ResponseStage::Switched(ahead) => Some(ResponseEnd::Switched(std::mem::take(ahead))),
            ResponseStage::Broken => Some(ResponseEnd::Failed(Failure::Improper("its chunks are framed wrongly"))),
        }
    }

    /// Copies bytes that were read earlier and left over into `into`, as a read would. Returns their number; 0 where
    /// there are none.
    pub(super) fn read_ahead(&mut self, into: &mut [u8]) -> usize {
        let read = into.len().min(self.ahead.len());
        into[..read].copy_from_slice(&self.ahead[..read]);
        self.ahead.drain(..read);
        read
    }

    /// Takes the bytes of one read. `sent` says whether the backend's connection has taken the whole request.
    ///
    /// # Errors
    /// What makes the response unfit to be passed on. Before [`Download::has_head`], nothing of it has been.
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
            let read = response::parse_head(rest, &mut self.seen).map_err(Failure::Improper)?;
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

    /// From the final head, decides how the body is framed and whether the connection can be reused.
    fn begin(&mut self, response: &mut Response<'_>, forward: &Forward, sent: bool) -> Framing {
        let framing = std::mem::replace(&mut response.framing, Framing::OVER);
        let framing = if forward.request.head_only || response.is_bodiless() { Framing::OVER } else { framing };
        self.is_stream = matches!(framing, Framing::Chunked(_)) && response.content_type.is_some_and(is_event_stream);
        self.ends_connection = response.connection.close
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

    /// The backend has closed in order, which completes some responses. False where it cuts this one.
    pub(super) fn close(&mut self) -> bool {
        let closes = matches!(self.stage, ResponseStage::Body(Framing::Close));
        if closes {
            self.stage = ResponseStage::Whole;
        }
        closes
    }
}

/// Whether a media type is that of server-sent events or of JSON lines.
fn is_event_stream(media_type: &[u8]) -> bool {
    let is = |other: &str| media_type.get(..other.len()).is_some_and(|it| it.eq_ignore_ascii_case(other.as_bytes()));
    is("text/event-stream") || is("application/x-ndjson")
}

/// The last `length` bytes of `held`. Copies nothing where that is all of it: copying a head that dribbles in would
/// cost the square of its length.
fn last(mut held: Vec<u8>, length: usize) -> Vec<u8> {
    held.drain(..held.len() - length);
    held
}
