//! Follows chunked framing (RFC 9112, 7.1), split anywhere, and changes no byte of it except to remove trailers that
//! may not be sent.
//!
//! Pure. Strict enough that the framing can be read in one way only: sizes of few digits, CRLF as the only line end,
//! nothing but grammatical extensions after a size, no control characters in trailers. Only a backend may put blanks at
//! the end of a size line, as some servers do.

use hashbrown::HashSet;

use super::extension::Extension;
use super::grammar::{MAX_HEAD, is_token, is_value};
use super::trailers;

/// Longest extension of one chunk, in bytes.
const MAX_EXTENSION: usize = 4 * 1024;
/// Most hexadecimal digits of a size: 2^60 bytes are enough.
const MAX_DIGITS: u8 = 15;

/// A part of a body, as it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Data.
    Data(&'a [u8]),
    /// What is forwarded of the trailer section, line ends and the final empty line included. None is emitted where
    /// there is no trailer.
    Trailer(&'a [u8]),
}

impl<'a> Part<'a> {
    /// The forwarded trailer bytes; empty for data.
    pub(super) fn trailer(self) -> &'a [u8] {
        match self {
            Self::Data(_) => &[],
            Self::Trailer(lines) => lines,
        }
    }
}

/// How far bytes were followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// Bytes that belong to the body, up to its end or the first fault.
    pub(super) bytes: usize,
    /// How many of them are forwarded unchanged; what is forwarded of the rest was given as [`Part::Trailer`].
    pub(super) raw: usize,
    /// Whether the body continues after them.
    pub(super) state: BodyProgress,
}

/// Whether a body continues after the bytes that were followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyProgress {
    Continues,
    Over,
    /// Its framing is broken.
    Broken,
}

/// The state of one chunked body between two reads.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: ChunkState,
    size: u64,
    digits: u8,
    extension: usize,
    trailer: usize,
    lenient: bool,
    /// Trailers have begun.
    trails: bool,
    /// The name of a trailer, as far as it has come.
    name: Vec<u8>,
    /// The current trailer is removed.
    drops: bool,
    /// Trailers that are removed because `Connection` names them, in lower case.
    named: Option<Box<HashSet<Vec<u8>>>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    /// Blanks after a size.
    Blank,
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl Chunks {
    /// A response's body, which may have blanks after a size.
    pub(super) fn of_backend() -> Self {
        Self { lenient: true, ..Self::default() }
    }

    /// The same body in a message whose `Connection` names these fields: none of them is forwarded as a trailer.
    pub(super) fn without(self, named: Option<Box<HashSet<Vec<u8>>>>) -> Self {
        Self { named, ..self }
    }

    /// Follows the next bytes, and calls `part` for each part in them.
    pub(super) fn follow(&mut self, bytes: &[u8], part: &mut impl FnMut(Part<'_>)) -> Followed {
        let mut at = 0;
        let mut trails_from = self.trails.then_some(0);
        let followed =
            |bytes, trails_from: Option<usize>, state| Followed { bytes, raw: trails_from.unwrap_or(bytes), state };
        while at < bytes.len() {
            if self.at == ChunkState::Data {
                let left = bytes.len() - at;
                let take = left.min(usize::try_from(self.size).unwrap_or(usize::MAX));
                part(Part::Data(&bytes[at..at + take]));
                self.size -= take as u64;
                at += take;
                if self.size == 0 {
                    self.at = ChunkState::DataCr;
                }
                continue;
            }
            at += self.plain(&bytes[at..]);
            if at == bytes.len() || self.at == ChunkState::Data {
                continue;
            }
            let before = self.at;
            match self.step(bytes[at]) {
                Some(ended) => {
                    if !self.trails && self.at == ChunkState::TrailerName {
                        self.trails = true;
                        trails_from = Some(at);
                    }
                    if self.trails {
                        self.pass_trailer(before, bytes[at], part);
                    }
                    at += 1;
                    if ended {
                        return followed(at, trails_from, BodyProgress::Over);
                    }
                }
                None => return followed(at, trails_from, BodyProgress::Broken),
            }
        }
        followed(at, trails_from, BodyProgress::Continues)
    }

    /// Forwards the trailer byte that led from state `before` to the current one. A name is held back until it is
    /// complete.
    fn pass_trailer(&mut self, before: ChunkState, byte: u8, part: &mut impl FnMut(Part<'_>)) {
        if self.at == ChunkState::TrailerName {
            return self.name.push(byte);
        }
        if before == ChunkState::TrailerName {
            let named = self.named.as_ref().is_some_and(|named| named.contains(&self.name.to_ascii_lowercase()));
            self.drops = named || !trailers::passes(&self.name);
            self.name.push(byte);
            let name = std::mem::take(&mut self.name);
            if !self.drops {
                part(Part::Trailer(&name));
            }
            return;
        }
        if !self.drops {
            part(Part::Trailer(&[byte]));
        }
        // The line has ended.
        self.drops &= self.at != ChunkState::TrailerStart;
    }

    /// Follows the bytes between two chunks in one step where they have the usual form: a line end, a size in digits, a
    /// line end. Returns their length, 0 where they have another form.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        if self.at == ChunkState::DataCr && bytes.starts_with(b"\r\n") {
            self.at = ChunkState::Size;
            at = 2;
        }
        if self.at == ChunkState::Size
            && self.digits == 0
            && let Some((size, length)) = plain_size(&bytes[at..])
        {
            self.size = size;
            self.at = ChunkState::Data;
            at += length;
        }
        at
    }

    /// Takes one byte of framing. True after the last one, `None` where it is not allowed.
    fn step(&mut self, byte: u8) -> Option<bool> {
        self.at = match (self.at, byte) {
            (ChunkState::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (ChunkState::Size | ChunkState::Blank, b'\r') if self.digits > 0 => ChunkState::SizeLf,
            (ChunkState::Size | ChunkState::Blank, b';') if self.digits > 0 => self.extension(Extension::Start)?,
            (ChunkState::Size | ChunkState::Blank, b' ' | b'\t') if self.lenient && self.digits > 0 => self.blank()?,
            (ChunkState::Extension(extension), b'\r') if extension.may_end(self.lenient) => ChunkState::SizeLf,
            (ChunkState::Extension(extension), _) => self.extension(extension.step(byte)?)?,
            (ChunkState::SizeLf, b'\n') => self.after_size(),
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => ChunkState::Size,
            (ChunkState::TrailerStart, b'\r') => ChunkState::LastLf,
            (ChunkState::TrailerStart | ChunkState::TrailerName, _) if is_token(byte) => {
                self.trailer(ChunkState::TrailerName)?
            }
            (ChunkState::TrailerName, b':') => ChunkState::TrailerValue,
            (ChunkState::TrailerValue, b'\r') => ChunkState::TrailerLf,
            (ChunkState::TrailerValue, _) if is_value(byte) => self.trailer(ChunkState::TrailerValue)?,
            (ChunkState::TrailerLf, b'\n') => ChunkState::TrailerStart,
            (ChunkState::LastLf, b'\n') => return Some(true),
            _ => return None,
        };
        Some(false)
    }

    fn digit(&mut self, byte: u8) -> Option<ChunkState> {
        let digit = char::from(byte).to_digit(16).filter(|_| self.digits < MAX_DIGITS)?;
        self.size = self.size << 4 | u64::from(digit);
        self.digits += 1;
        Some(ChunkState::Size)
    }

    fn blank(&mut self) -> Option<ChunkState> {
        self.extension(Extension::Start).map(|_| ChunkState::Blank)
    }

    fn extension(&mut self, at: Extension) -> Option<ChunkState> {
        self.extension += 1;
        (self.extension <= MAX_EXTENSION).then_some(ChunkState::Extension(at))
    }

    fn after_size(&mut self) -> ChunkState {
        self.digits = 0;
        self.extension = 0;
        if self.size == 0 { ChunkState::TrailerStart } else { ChunkState::Data }
    }

    fn trailer(&mut self, state: ChunkState) -> Option<ChunkState> {
        self.trailer += 1;
        (self.trailer <= MAX_HEAD).then_some(state)
    }
}

/// A size above 0 in digits with its line end, and the length of both.
#[inline]
fn plain_size(bytes: &[u8]) -> Option<(u64, usize)> {
    let (mut size, mut count) = (0, 0);
    while let Some(digit) = char::from(*bytes.get(count)?).to_digit(16) {
        size = size << 4 | u64::from(digit);
        count += 1;
        if count > usize::from(MAX_DIGITS) {
            return None;
        }
    }
    (size > 0 && bytes[count..].starts_with(b"\r\n")).then_some((size, count + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(chunks: &mut Chunks, bytes: &[u8]) -> (Followed, Vec<u8>, Vec<u8>) {
        let (mut data, mut trailers) = (Vec::new(), Vec::new());
        let followed = chunks.follow(bytes, &mut |part| match part {
            Part::Data(bytes) => data.extend_from_slice(bytes),
            Part::Trailer(bytes) => trailers.extend_from_slice(bytes),
        });
        (followed, data, trailers)
    }

    #[test]
    fn data_and_trailers_are_separated_however_they_are_split() {
        let body = b"5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: z\r\n\r\n";
        for at in 0..body.len() {
            let mut chunks = Chunks::default();
            let (first, mut data, mut trailers) = follow(&mut chunks, &body[..at]);
            assert_eq!(first, Followed { bytes: at, raw: first.raw, state: BodyProgress::Continues });
            let (second, more, last) = follow(&mut chunks, &[&body[at..], b"GET"].concat());
            data.extend(more);
            trailers.extend(last);
            assert_eq!((second.bytes, second.state), (body.len() - at, BodyProgress::Over), "split at {at}");
            assert_eq!(data, b"hello0123456789");
            assert_eq!(trailers, b"X-Sum: 1\r\nY: z\r\n\r\n");
        }
    }

    /// Fed byte by byte, the shortcut never applies.
    fn follow_slowly(bytes: &[u8]) -> (Followed, Vec<u8>, Vec<u8>) {
        let mut chunks = Chunks::of_backend();
        let (mut total, mut raw, mut data, mut trailers) = (0, 0, Vec::new(), Vec::new());
        for byte in bytes {
            let (followed, more, last) = follow(&mut chunks, &[*byte]);
            total += followed.bytes;
            raw += followed.raw;
            data.extend(more);
            trailers.extend(last);
            if followed.state != BodyProgress::Continues {
                return (Followed { bytes: total, raw, state: followed.state }, data, trailers);
            }
        }
        (Followed { bytes: total, raw, state: BodyProgress::Continues }, data, trailers)
    }

    #[test]
    fn extensions_are_read_alike_whole_and_byte_by_byte() {
        let body = b"5\r\nhello\r\n00a;x\r\n0123456789\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n";
        let marks = b"0123aF;\r\n \tx:\0\xff";
        for at in 0..body.len() {
            for mark in marks {
                for damaged in [
                    [&body[..at], &[*mark], &body[at + 1..]].concat(),
                    [&body[..at], &[*mark], &body[at..]].concat(),
                    [&body[..at], &body[at + 1..]].concat(),
                ] {
                    let whole = follow(&mut Chunks::of_backend(), &damaged);
                    assert_eq!(whole, follow_slowly(&damaged), "{}", damaged.escape_ascii());
                }
            }
        }
        for size in ["fffffffffffffff", "ffffffffffffffff", "000000000000001", "0000000000000001"] {
            let body = format!("{size}\r\nx");
            assert_eq!(follow(&mut Chunks::of_backend(), body.as_bytes()), follow_slowly(body.as_bytes()), "{size}");
        }
    }

    #[test]
    fn bytes_before_a_fault_are_followed() {
        let (followed, data, _) = follow(&mut Chunks::default(), b"2\r\nhi\r\nx");
        assert_eq!((followed, &data[..]), (Followed { bytes: 7, raw: 7, state: BodyProgress::Broken }, &b"hi"[..]));
    }

    #[test]
    fn only_a_backend_may_put_blanks_after_a_size() {
        let body = b"2 \t\r\nhi\r\n0 \r\n\r\n";
        assert_eq!(follow(&mut Chunks::default(), body).0.state, BodyProgress::Broken);
        assert_eq!(follow(&mut Chunks::of_backend(), body).0.state, BodyProgress::Over);
        assert_eq!(follow(&mut Chunks::of_backend(), b" 2\r\n").0.state, BodyProgress::Broken);
    }

    #[test]
    fn a_forbidden_trailer_is_dropped_however_it_is_split_and_the_rest_passes_byte_for_byte() {
        let kept: &[u8] = b"5;x=y\r\nhello\r\n0;z\r\nX-Sum:1 \r\nhosts: \r\n\r\n";
        let body =
            b"5;x=y\r\nhello\r\n0;z\r\nHost: evil\r\nX-Sum:1 \r\nTransfer-Encoding: chnked\r\nhosts: \r\nte:x\r\n\r\n";
        for at in 0..=body.len() {
            let (mut chunks, mut passed) = (Chunks::default(), Vec::new());
            for piece in [&body[..at], &body[at..]] {
                let (followed, _, trailers) = follow(&mut chunks, piece);
                assert_eq!(followed.bytes, piece.len());
                passed.extend_from_slice(&piece[..followed.raw]);
                passed.extend(trailers);
            }
            assert_eq!(passed.escape_ascii().to_string(), kept.escape_ascii().to_string(), "split at {at}");
        }
    }
}
