//! Content codings: a copy of a coded body is decoded, incrementally, so that it can be read. The bytes that pass
//! stay as they are.
//!
//! What is promised: what the sender has flushed comes out with the piece that completes it, so that its time is right;
//! a coding that is unknown, lies or breaks is one fact ([`Broken`]) and nothing worse; what comes out of a piece is
//! bounded by what went in (a bomb is broken); a window is at most 8 MiB, and of one body there is one. Left out on purpose: several codings one upon another, checksums, dictionaries.

mod brotli;
mod gzip;
mod zstd;

/// Largest window that is granted, in bytes. RFC 9659 names the same for zstd.
const MAX_WINDOW: u64 = 8 << 20;

/// Bytes that may come out for each that went in. Event streams shrink by 5 to 60 times.
const RATIO: u64 = 256;

/// Bytes that may come out beyond that, and the most that is saved up.
const HEADROOM: u64 = 256 << 10;
const MAX_SAVED: u64 = 4 << 20;

/// Bytes that are handed on at a time.
const OUTPUT: usize = 8 << 10;

/// The body is not what its coding says, or too much comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

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
    /// Reads the field. The names are compared without case (RFC 9110, 8.4.1).
    pub(crate) fn of(field: Option<&[u8]>) -> Self {
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
        Self::Coded(Box::new(Decoder { method, output: [0; OUTPUT], allowed: HEADROOM }))
    }
}

/// Decodes one body.
pub(crate) struct Decoder {
    method: Method,
    output: [u8; OUTPUT],
    /// Bytes that may still come out.
    allowed: u64,
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
    /// Decodes the next piece. After it broke nothing more may be read.
    pub(crate) fn decode(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Broken> {
        let earned = (piece.len() as u64).saturating_mul(RATIO);
        self.allowed = self.allowed.max(self.allowed.saturating_add(earned).min(MAX_SAVED.max(earned)));
        let mut out = Output { buffer: &mut self.output, allowed: &mut self.allowed, sink };
        match &mut self.method {
            Method::Gzip(gzip) => gzip.decode(piece, &mut out),
            Method::Deflate(deflate) => deflate.decode(piece, &mut out),
            Method::Brotli(brotli) => brotli.decode(piece, &mut out),
            Method::Zstd(zstd) => zstd.decode(piece, &mut out),
        }
    }
}

/// Where decoded bytes go.
struct Output<'a> {
    buffer: &'a mut [u8; OUTPUT],
    allowed: &'a mut u64,
    sink: &'a mut dyn FnMut(&[u8]),
}

impl Output<'_> {
    /// Hands on the first `len` bytes of the buffer.
    fn give(&mut self, len: usize) -> Result<(), Broken> {
        *self.allowed = self.allowed.checked_sub(len as u64).ok_or(Broken)?;
        if len > 0 {
            (self.sink)(&self.buffer[..len]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
