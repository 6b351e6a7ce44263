//! Strings: finding their ends, and unescaping short ones.

use std::fmt;

const QUOTE: u8 = b'"';
const BACKSLASH: u8 = b'\\';

/// The next quote or backslash at or after `from`.
#[inline]
pub(super) fn special(bytes: &[u8], from: usize) -> Option<usize> {
    let near = |word| zeros(word ^ (u64::from(QUOTE) * ONES)) | zeros(word ^ (u64::from(BACKSLASH) * ONES));
    find(bytes, from, near, |byte| matches!(byte, QUOTE | BACKSLASH), |far| memchr::memchr2(QUOTE, BACKSLASH, far))
}

/// As [`special`], where it is probably far away.
#[inline]
pub(super) fn special_afar(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr2(QUOTE, BACKSLASH, bytes.get(from..)?).map(|found| from + found)
}

/// The closing quote of the string that continues at `from`, if the next quote has no backslash before it.
#[inline]
pub(super) fn plain_end(bytes: &[u8], from: usize) -> Option<usize> {
    let near = |word| zeros(word ^ (u64::from(QUOTE) * ONES));
    let end = find(bytes, from, near, |byte| byte == QUOTE, |far| memchr::memchr(QUOTE, far))?;
    (end == from || bytes[end - 1] != BACKSLASH).then_some(end)
}

/// The closing quote of the string that continues at `from`.
#[inline]
pub(super) fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let first = from + memchr::memchr(QUOTE, bytes.get(from..)?)?;
    if first == from || bytes[first - 1] != BACKSLASH {
        return Some(first);
    }
    let mut at = from;
    loop {
        let found = special(bytes, at)?;
        if bytes[found] == QUOTE {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Finds a byte: by words first, as most strings in a chunk are too short to repay a vector search.
#[inline(always)]
fn find(
    bytes: &[u8],
    from: usize,
    near: impl Fn(u64) -> u64,
    last: impl Fn(u8) -> bool,
    far: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    const NEAR: usize = 64;
    let mut rest = bytes.get(from..)?;
    let len = rest.len();
    while let Some((word, more)) = rest.split_first_chunk::<8>() {
        let hits = near(u64::from_le_bytes(*word));
        if hits != 0 {
            return Some(from + len - rest.len() + (hits.trailing_zeros() / 8) as usize);
        }
        rest = more;
        if len - rest.len() >= NEAR {
            return far(rest).map(|found| from + len - rest.len() + found);
        }
    }
    rest.iter().position(|byte| last(*byte)).map(|found| from + len - rest.len() + found)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// The high bit of each zero byte. Bits above the lowest zero byte may be wrong; only the lowest is used.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// A short text assembled from pieces. It allocates with the first piece, which most elements do not need.
#[derive(Clone)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    overflow: bool,
    escape: Escape,
    /// A high surrogate whose low half has not been read yet.
    high: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    None,
    Begun,
    Unicode { digits: u8, unit: u16 },
}

/// Leaves out the text, which is content.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Text {
    /// Longest text, in bytes.
    pub(crate) const MAX: usize = 512;

    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), overflow: false, escape: Escape::None, high: None }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.overflow = false;
        self.escape = Escape::None;
        self.high = None;
    }

    /// The text so far; `None` if it was longer than [`Text::MAX`].
    pub(super) fn get(&self) -> Option<&[u8]> {
        (!self.overflow).then_some(&*self.bytes)
    }

    /// Appends bytes as they are.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > Self::MAX {
            self.overflow = true;
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Continues within a string. Returns the position past its closing quote, or `None` if that is not in `bytes`.
    pub(super) fn read(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            if !matches!(self.escape, Escape::None) {
                self.read_escape(*bytes.get(at)?);
                at += 1;
                continue;
            }
            let found = special(bytes, at);
            let run = &bytes[at..found.unwrap_or(bytes.len())];
            if !run.is_empty() {
                self.flush_surrogate();
                self.push(run);
            }
            at = found? + 1;
            if bytes[at - 1] == QUOTE {
                self.flush_surrogate();
                return Some(at);
            }
            self.escape = Escape::Begun;
        }
    }

    fn read_escape(&mut self, byte: u8) {
        match self.escape {
            Escape::Unicode { digits, unit } => {
                let digit = (byte as char).to_digit(16).unwrap_or(0) as u16;
                let unit = unit << 4 | digit;
                self.escape = Escape::Unicode { digits: digits + 1, unit };
                if digits == 3 {
                    self.escape = Escape::None;
                    self.push_unit(unit);
                }
            }
            _ if byte == b'u' => self.escape = Escape::Unicode { digits: 0, unit: 0 },
            _ => {
                self.escape = Escape::None;
                self.flush_surrogate();
                self.push(&[match byte {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                }]);
            }
        }
    }

    /// Appends one UTF-16 unit. An unpaired surrogate becomes U+FFFD.
    fn push_unit(&mut self, unit: u16) {
        match (self.high.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                let code = 0x1_0000 + (u32::from(high - 0xD800) << 10) + u32::from(unit - 0xDC00);
                self.push_character(code);
            }
            (high, _) => {
                if high.is_some() {
                    self.push_character(0xFFFD);
                }
                match unit {
                    0xD800..=0xDBFF => self.high = Some(unit),
                    other => self.push_character(u32::from(other)),
                }
            }
        }
    }

    fn push_character(&mut self, code: u32) {
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Replaces a high surrogate that is not followed by a low one.
    fn flush_surrogate(&mut self) {
        if self.high.take().is_some() {
            self.push_character(0xFFFD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> String {
        let mut text = Text::new();
        for (index, piece) in pieces.iter().enumerate() {
            let end = text.read(piece, 0);
            assert_eq!(end.is_some(), index + 1 == pieces.len(), "the quote ends it");
        }
        String::from_utf8(text.get().expect("short").to_vec()).expect("UTF-8")
    }

    #[test]
    fn escapes_are_resolved_at_every_split() {
        let written = br#"a\"b\\c\/d\b\f\n\r\te\u00e9\u20AC\uD83D\uDE00\uD83Dx\uDE00\uD83D\n\ud83d\ud83d\ude00""#;
        let meant = "a\"b\\c/d\u{8}\u{c}\n\r\te\u{e9}\u{20ac}\u{1f600}\u{fffd}x\u{fffd}\u{fffd}\n\u{fffd}\u{1f600}";
        assert_eq!(read(&[written]), meant);
        for split in 1..written.len() {
            assert_eq!(read(&[&written[..split], &written[split..]]), meant, "split at {split}");
        }
    }

    #[test]
    fn a_text_above_its_limit_is_unknown() {
        let mut text = Text::new();
        text.push(&[b'x'; Text::MAX]);
        assert_eq!(text.get().map(<[u8]>::len), Some(Text::MAX));
        text.push(b"y");
        assert_eq!(text.get(), None);
        text.clear();
        assert_eq!(text.get(), Some(&[][..]));
    }

    #[test]
    fn quotes_and_backslashes_are_found_at_every_position() {
        for len in 0..100 {
            for place in 0..len {
                for wanted in [b'"', b'\\'] {
                    let mut bytes = vec![b'!' + 128; len];
                    bytes[place] = wanted;
                    for from in 0..=len {
                        let expected = (from <= place).then_some(place);
                        assert_eq!(special(&bytes, from), expected, "{len} {place} {from}");
                    }
                }
            }
        }
    }
}
