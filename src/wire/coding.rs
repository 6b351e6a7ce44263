//! Content codings: decodes a copy of a coded body incrementally, so that it can be read. The forwarded bytes stay as
//! they are.
//!
//! Promises: what the sender has flushed is decoded with the piece that completes it, so that its time is right; an
//! unknown or malformed coding yields one fact ([`DecodeError`]); memory and work are bounded by the input, by a limit
//! for one body, and by the [`DecodeBudget`] that the bodies of a worker share. Left out on purpose: stacked codings,
//! checksums, dictionaries.

mod brotli;
mod gzip;
mod output;
mod zstd;

use std::rc::Rc;

use super::budget::{DecodeBudget, MemoryLease};
pub(crate) use output::DecodeError;
use output::{OUTPUT, Output};

/// Bytes that each byte of input may expand to. Event streams compress by 5 to 60 times.
const RATIO: u64 = 64;

/// Bytes that a body may expand to beyond that.
const HEADROOM: u64 = 256 << 10;

/// Most bytes of unused expansion that carry over to later pieces.
const MAX_SAVED: u64 = 4 << 20;

/// The side that sent the body. Limits are lower for a client than for the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Side {
    /// Most decoded bytes of a body. Ollama accepts 20 MiB; a long stream of tokens is some 90 MB an hour.
    const fn max_decoded(self) -> u64 {
        match self {
            Self::Request => 32 << 20,
            Self::Response => 256 << 20,
        }
    }

    /// Most bytes that one decoder may hold: for a request a window of 2 MiB, zstd's default, and for a response the
    /// largest window, and half of it again while one of `br` grows.
    const fn max_memory(self) -> u64 {
        match self {
            Self::Request => 3 << 20,
            Self::Response => 14 << 20,
        }
    }
}

/// What the value of a `Content-Encoding` field means.
#[derive(Debug)]
pub(crate) enum Coding {
    /// Not coded.
    Plain,
    Coded(Box<Decoder>),
    /// A coding that is not decoded, or several. Also any coding after decoding stopped.
    Unknown,
}

impl Coding {
    pub(crate) const fn is_decoded(&self) -> bool {
        matches!(self, Self::Coded(_))
    }

    /// `field` is the value of `Content-Encoding`. Names are compared without case (RFC 9110, 8.4.1).
    pub(crate) fn parse(field: Option<&[u8]>, side: Side, budget: &Rc<DecodeBudget>) -> Self {
        let name = field.unwrap_or_default().trim_ascii();
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let method = match name {
            _ if name.is_empty() || is("identity") => return Self::Plain,
            _ if is("gzip") || is("x-gzip") => DecodeMethod::Gzip(Box::default()),
            _ if is("deflate") => DecodeMethod::Deflate(Box::default()),
            _ if is("br") => DecodeMethod::Brotli(Box::default()),
            _ if is("zstd") => DecodeMethod::Zstd(Box::default()),
            _ => return Self::Unknown,
        };
        let lease = MemoryLease::new(budget);
        Self::Coded(Box::new(Decoder { method, side, allowed: HEADROOM, left: side.max_decoded(), lease }))
    }
}

/// Decodes one body.
pub(crate) struct Decoder {
    method: DecodeMethod,
    side: Side,
    /// Bytes that the input so far may still expand to.
    allowed: u64,
    /// Bytes that the whole body may still expand to.
    left: u64,
    lease: MemoryLease,
}

#[derive(Debug)]
enum DecodeMethod {
    Gzip(Box<gzip::Gzip>),
    Deflate(Box<gzip::Deflate>),
    Brotli(Box<brotli::Brotli>),
    Zstd(Box<zstd::Zstd>),
}

/// Leaves out the decoder's window, which holds content.
impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Decodes the next piece of the body. After an error it must not be called again; dropping the decoder returns its
    /// memory to the budget.
    pub(crate) fn decode(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), DecodeError> {
        let earned = (piece.len() as u64).saturating_mul(RATIO);
        self.allowed = self.allowed.max(self.allowed.saturating_add(earned).min(MAX_SAVED.max(earned)));
        let (allowed, granted) = (self.allowed.min(self.left), self.lease.budget.available_work());
        let mut buffer = [0; OUTPUT];
        let mut out = Output {
            buffer: &mut buffer,
            allowed,
            work: granted,
            lease: &mut self.lease,
            max_memory: self.side.max_memory(),
            sink,
        };
        let decoded = match &mut self.method {
            DecodeMethod::Gzip(gzip) => gzip.decode(piece, &mut out),
            DecodeMethod::Deflate(deflate) => deflate.decode(piece, &mut out),
            DecodeMethod::Brotli(brotli) => brotli.decode(piece, &mut out),
            DecodeMethod::Zstd(zstd) => zstd.decode(piece, &mut out),
        };
        let (given, spent) = (allowed - out.allowed, granted - out.work);
        self.allowed -= given;
        self.left -= given;
        self.lease.budget.charge(spent);
        decoded
    }
}

#[cfg(test)]
mod tests;
