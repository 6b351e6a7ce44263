//! Skips values that are not wanted, at the speed of a byte search.

use super::machine::{Machine, MachineState};
use super::scalar::end_of_scalar;
use super::text::special;

impl<F: Copy> Machine<F> {
    /// Begins to skip the array or object that opens at `at`. Only brackets of its own kind are counted: in JSON the
    /// others are nested within them.
    pub(super) fn skip(&mut self, bytes: &[u8], at: usize) -> usize {
        self.brackets = if bytes[at] == b'{' { *b"{}" } else { *b"[]" };
        self.skipping = 1;
        self.state = MachineState::SkipNested;
        at + 1
    }

    pub(super) fn skip_nested(&mut self, bytes: &[u8], from: usize) -> usize {
        let [open, close] = self.brackets;
        let mut at = from;
        while let Some(found) = memchr::memchr3(b'"', open, close, &bytes[at..]) {
            at += found + 1;
            match bytes[at - 1] {
                b'"' => {
                    at = self.skip_string(bytes, at);
                    if self.state != MachineState::SkipNested {
                        return at;
                    }
                }
                byte if byte == open => self.skipping += 1,
                _ => {
                    self.skipping -= 1;
                    if self.skipping == 0 {
                        self.state = self.after_value();
                        return at;
                    }
                }
            }
        }
        bytes.len()
    }

    /// Skips the rest of a string.
    #[inline]
    pub(super) fn skip_string(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = special(bytes, at) {
            if bytes[found] == b'"' {
                self.state = if self.skipping > 0 { MachineState::SkipNested } else { MachineState::After };
                return found + 1;
            }
            if found + 1 == bytes.len() {
                self.state = MachineState::SkipEscape;
                return found + 1;
            }
            at = found + 2;
        }
        self.state = MachineState::SkipString;
        bytes.len()
    }

    /// Skips the rest of a number or word.
    #[inline]
    pub(super) fn skip_scalar(&mut self, bytes: &[u8], from: usize) -> usize {
        let end = end_of_scalar(bytes, from);
        self.state = if end.is_some() { MachineState::After } else { MachineState::SkipScalar };
        end.unwrap_or(bytes.len())
    }
}
