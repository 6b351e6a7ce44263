//! Content codings: a copy of a coded body is decoded, incrementally, so that it can be read. The bytes that pass
//! stay as they are.
//!
//! What is promised: what the sender has flushed comes out with the piece that completes it, so that its time is right;
//! a coding that is unknown, lies or breaks is one fact ([`DecodeError`]) and nothing worse; memory and work are bounded:
//! by what went in, by what one body may cost, and by the [`Budget`] that the bodies of a worker share. Left out on
//! purpose: several codings one upon another, checksums, dictionaries.

mod brotli;
mod gzip;
mod zstd;

use std::rc::Rc;

use super::budget::{Budget, Held};
use super::event::Defect;

/// Largest window that may be announced, in bytes. RFC 9659 names the same for zstd.
const MAX_WINDOW: u64 = 8 << 20;

/// Bytes that may come out for each that went in. Event streams shrink by 5 to 60 times.
const RATIO: u64 = 64;

/// Bytes that may come out beyond that, and the most that is saved up.
const HEADROOM: u64 = 256 << 10;
const MAX_SAVED: u64 = 4 << 20;

/// Bytes that are handed on at a time.
const OUTPUT: usize = 8 << 10;

/// What a block costs beside its bytes, counted in decoded bytes: to build its tables takes some microseconds, however
/// little is in it.
const BLOCK: u64 = 4 << 10;

/// Why a body is no longer read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is not what its coding says, or asks for a window that is never granted.
    Invalid,
    /// More comes out of it than may, or it takes more work or memory than is granted now.
    OverBudget,
}

impl DecodeError {
    pub(crate) const fn defect(self) -> Defect {
        match self {
            Self::Invalid => Defect::Encoding,
            Self::OverBudget => Defect::Budget,
        }
    }
}

/// Whose body it is. Clients are trusted with less than the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Side {
    /// Bytes that may come out in all. Ollama takes 20 MiB; a long stream of tokens is some 90 MB an hour.
    const fn total(self) -> u64 {
        match self {
            Self::Request => 32 << 20,
            Self::Response => 256 << 20,
        }
    }

    /// Memory that one decoder may hold: for a request a window of 2 MiB, which is what zstd takes by itself; for a
    /// response the largest, and half of it again while one of `br` grows.
    const fn memory(self) -> u64 {
        match self {
            Self::Request => 3 << 20,
            Self::Response => 14 << 20,
        }
    }
}

/// What a `Content-Encoding` field says.
#[derive(Debug)]
pub(crate) enum Coding {
    /// None at all.
    Plain,
    /// One that is decoded.
    Coded(Box<Decoder>),
    /// Another, or several.
    Unknown,
}

impl Coding {
    /// It is being decoded.
    pub(crate) const fn is_decoded(&self) -> bool {
        matches!(self, Self::Coded(_))
    }

    /// Reads the field. The names are compared without case (RFC 9110, 8.4.1).
    pub(crate) fn of(field: Option<&[u8]>, side: Side, budget: &Rc<Budget>) -> Self {
        let name = field.unwrap_or_default().trim_ascii();
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let method = match name {
            _ if name.is_empty() || is("identity") => return Self::Plain,
            _ if is("gzip") || is("x-gzip") => Method::Gzip(Box::default()),
            _ if is("deflate") => Method::Deflate(Box::default()),
            _ if is("br") => Method::Brotli(Box::default()),
            _ if is("zstd") => Method::Zstd(Box::default()),
            _ => return Self::Unknown,
        };
        let held = Held::of(budget);
        Self::Coded(Box::new(Decoder { method, side, allowed: HEADROOM, left: side.total(), held }))
    }
}

/// Decodes one body.
pub(crate) struct Decoder {
    method: Method,
    side: Side,
    /// Bytes that may still come out for those that went in.
    allowed: u64,
    /// Bytes that may still come out in all.
    left: u64,
    held: Held,
}

#[derive(Debug)]
enum Method {
    Gzip(Box<gzip::Gzip>),
    Deflate(Box<gzip::Deflate>),
    Brotli(Box<brotli::Brotli>),
    Zstd(Box<zstd::Zstd>),
}

/// Never shows what people wrote.
impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Decodes the next piece. After an error nothing more may be read; dropping the decoder gives its memory back.
    pub(crate) fn decode(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), DecodeError> {
        let earned = (piece.len() as u64).saturating_mul(RATIO);
        self.allowed = self.allowed.max(self.allowed.saturating_add(earned).min(MAX_SAVED.max(earned)));
        let (allowed, granted) = (self.allowed.min(self.left), self.held.budget.work());
        let mut buffer = [0; OUTPUT];
        let mut out = Output {
            buffer: &mut buffer,
            allowed,
            work: granted,
            held: &mut self.held,
            memory: self.side.memory(),
            sink,
        };
        let decoded = match &mut self.method {
            Method::Gzip(gzip) => gzip.decode(piece, &mut out),
            Method::Deflate(deflate) => deflate.decode(piece, &mut out),
            Method::Brotli(brotli) => brotli.decode(piece, &mut out),
            Method::Zstd(zstd) => zstd.decode(piece, &mut out),
        };
        let (given, spent) = (allowed - out.allowed, granted - out.work);
        self.allowed -= given;
        self.left -= given;
        self.held.budget.spend(spent);
        decoded
    }
}

/// Where decoded bytes go, and what they may cost.
struct Output<'a> {
    buffer: &'a mut [u8; OUTPUT],
    /// Bytes that may still come out of this piece.
    allowed: u64,
    /// Work that may still be done on it.
    work: u64,
    held: &'a mut Held,
    /// The most memory that its decoder may hold.
    memory: u64,
    sink: &'a mut dyn FnMut(&[u8]),
}

impl Output<'_> {
    /// Hands on the first `len` bytes of the buffer.
    fn give(&mut self, len: usize) -> Result<(), DecodeError> {
        self.work(len as u64)?;
        self.allowed = self.allowed.checked_sub(len as u64).ok_or(DecodeError::OverBudget)?;
        if len > 0 {
            (self.sink)(&self.buffer[..len]);
        }
        Ok(())
    }

    /// A block, a frame or a member begins.
    fn block(&mut self) -> Result<(), DecodeError> {
        self.work(BLOCK)
    }

    /// Work of another kind, counted in decoded bytes.
    fn work(&mut self, work: u64) -> Result<(), DecodeError> {
        let left = self.work.checked_sub(work);
        self.work = left.unwrap_or(0);
        left.map(|_| ()).ok_or(DecodeError::OverBudget)
    }

    /// The decoder holds so many bytes now.
    fn hold(&mut self, bytes: u64) -> Result<(), DecodeError> {
        let granted = bytes <= self.memory && self.held.grow_to(bytes);
        granted.then_some(()).ok_or(DecodeError::OverBudget)
    }
}

#[cfg(test)]
mod tests;
