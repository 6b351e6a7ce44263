//! Passing over what is not wanted, at the speed of a byte search.

use super::scanner::{Scanner, State};
use super::text::special;

impl<F: Copy> Scanner<F> {
    /// Begins to pass over the array or object that opens at `at`. Only brackets of the kind that opened it are
    /// counted: in JSON the others are nested within them.
    pub(super) fn pass(&mut self, bytes: &[u8], at: usize) -> usize {
        self.brackets = if bytes[at] == b'{' { *b"{}" } else { *b"[]" };
        self.passing = 1;
        self.state = State::PassNested;
        at + 1
    }

    pub(super) fn pass_nested(&mut self, bytes: &[u8], from: usize) -> usize {
        let [open, close] = self.brackets;
        let mut at = from;
        while let Some(found) = memchr::memchr3(b'"', open, close, &bytes[at..]) {
            at += found + 1;
            match bytes[at - 1] {
                b'"' => {
                    at = self.pass_string(bytes, at);
                    if self.state != State::PassNested {
                        return at;
                    }
                }
                byte if byte == open => self.passing += 1,
                _ => {
                    self.passing -= 1;
                    if self.passing == 0 {
                        self.state = self.after_value();
                        return at;
                    }
                }
            }
        }
        bytes.len()
    }

    /// Passes over the rest of a string.
    #[inline]
    pub(super) fn pass_string(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = special(bytes, at) {
            if bytes[found] == b'"' {
                self.state = if self.passing > 0 { State::PassNested } else { State::After };
                return found + 1;
            }
            if found + 1 == bytes.len() {
                self.state = State::PassEscape;
                return found + 1;
            }
            at = found + 2;
        }
        self.state = State::PassString;
        bytes.len()
    }

    /// Passes over the rest of a number or word.
    #[inline]
    pub(super) fn pass_scalar(&mut self, bytes: &[u8], from: usize) -> usize {
        let end = end_of_scalar(bytes, from);
        self.state = if end.is_some() { State::After } else { State::PassScalar };
        end.unwrap_or(bytes.len())
    }
}

/// Where a number or word ends that goes on at `from`; nothing if not within `bytes`.
#[inline]
pub(super) fn end_of_scalar(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].iter().position(|byte| !is_part_of_scalar(*byte)).map(|found| from + found)
}

#[inline]
pub(super) fn is_part_of_scalar(byte: u8) -> bool {
    PART_OF_SCALAR[usize::from(byte)]
}

/// Bytes that numbers and words are made of, by value.
static PART_OF_SCALAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'+' | b'.');
        byte += 1;
    }
    table
};
