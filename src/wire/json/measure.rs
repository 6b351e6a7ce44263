//! Counts the characters of a string without keeping any.

use super::machine::{Machine, MachineState};
use super::table::Want;
use super::text::special;
use super::value::{Value, Visit};

impl<F: Copy> Machine<F> {
    /// Continues within a measured string.
    pub(super) fn measure(&mut self, bytes: &[u8], from: usize, visit: &mut impl Visit<F>) -> usize {
        let mut at = from;
        while let Some(found) = special(bytes, at) {
            self.measured += characters(&bytes[at..found]);
            if bytes[found] == b'"' {
                self.state = MachineState::After;
                if let Some(Want::Measured(field, _)) = self.want {
                    visit.value(*field, Value::Length(u64::try_from(self.measured).unwrap_or(0)));
                }
                return found + 1;
            }
            let Some(escaped) = bytes.get(found + 1) else {
                self.state = MachineState::MeasureEscape;
                return found + 1;
            };
            self.measure_escape(*escaped);
            at = found + 2;
        }
        self.measured += characters(&bytes[at.min(bytes.len())..]);
        self.state = MachineState::Measure;
        bytes.len()
    }

    /// An escape is one character; the four digits of `\u` are about to be counted as characters of their own.
    pub(super) fn measure_escape(&mut self, escaped: u8) {
        self.measured += if escaped == b'u' { 1 - 4 } else { 1 };
    }
}

/// The number of bytes that begin a character of UTF-8.
fn characters(bytes: &[u8]) -> i64 {
    // In blocks whose count fits a byte, so that the compiler vectorises the sum.
    let count = |block: &[u8]| block.iter().map(|byte| u8::from(byte & 0xC0 != 0x80)).sum::<u8>();
    let mut blocks = bytes.chunks_exact(128);
    let whole: i64 = blocks.by_ref().map(|block| i64::from(count(block))).sum();
    whole + i64::from(count(blocks.remainder()))
}
