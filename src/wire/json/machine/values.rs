//! How the machine reads values: members in a row, wanted strings and numbers, measured strings, and what is skipped.

use super::{Machine, MachineState};
use crate::wire::event::Defect;
use crate::wire::json::scalar::{self, end_of_scalar, is_part_of_scalar, plain_count};
use crate::wire::json::table::Want;
use crate::wire::json::text::{Text, plain_end, special, special_afar};
use crate::wire::json::value::{Gap, Value, Visit};

/// The fast path for members as servers write them: one after another, without space.
impl<F: Copy> Machine<F> {
    /// Reads members, beginning inside a key, as long as each is whole and written without space. This is where a plain
    /// chunk spends its time.
    pub(super) fn members(&mut self, bytes: &[u8], start: usize, visit: &mut impl Visit<F>) -> usize {
        let inside = self.stack[self.depth - 1].inside;
        let mut start = start;
        loop {
            let Some(end) = special(bytes, start).filter(|end| bytes[*end] == b'"') else {
                self.text.clear();
                self.state = MachineState::Key;
                return self.rest_of_key(bytes, start);
            };
            self.want = inside.member(&bytes[start..end]);
            let [b':', first, ..] = bytes[end + 1..] else {
                self.state = MachineState::Colon;
                return end + 1;
            };
            let next = match self.plain_value(first, bytes, end + 2, visit) {
                Some(next) => {
                    self.state = MachineState::After;
                    next
                }
                None => {
                    self.state = MachineState::Value;
                    self.value(bytes, end + 2, visit)
                }
            };
            let [b',', b'"', ..] = bytes[next..] else { return next };
            if self.state != MachineState::After {
                return next;
            }
            start = next + 2;
        }
    }

    /// Reads a value of the most frequent kinds, if it is whole and plainly written. Returns its end.
    #[inline]
    fn plain_value(&self, first: u8, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> Option<usize> {
        match (self.want, first) {
            (None, b'"') => {
                let end = plain_end(bytes, at + 1)?;
                visit.gap(Gap::String, at + 1, end);
                Some(end + 1)
            }
            (None, b'0'..=b'9' | b'-' | b'a'..=b'z') => {
                let end = end_of_scalar(bytes, at)?;
                visit.gap(Gap::Word, at, end);
                Some(end)
            }
            (Some(Want::Count(field)), b'0'..=b'9') => {
                let (count, end) = plain_count(bytes, at)?;
                visit.value(*field, Value::Count(count));
                visit.gap(Gap::Count(*field), at, end);
                Some(end)
            }
            (Some(Want::Present(field) | Want::PresentOr(field, _)), b'"') => {
                let end = plain_end(bytes, at + 1)?;
                visit.value(*field, Value::Is(end > at + 1));
                visit.gap(Gap::Present(*field), at + 1, end);
                Some(end + 1)
            }
            (Some(Want::Text(field)), b'"') => {
                let end = special(bytes, at + 1).filter(|end| bytes[*end] == b'"' && *end - at <= Text::MAX)?;
                visit.value(*field, Value::Text(&bytes[at + 1..end]));
                Some(end + 1)
            }
            (Some(Want::Flag(field)), b't' | b'f') => {
                let (is, end) = match bytes[at..] {
                    [b't', b'r', b'u', b'e', ..] => (true, at + 4),
                    [b'f', b'a', b'l', b's', b'e', ..] => (false, at + 5),
                    _ => return None,
                };
                if bytes.get(end).is_none_or(|byte| is_part_of_scalar(*byte)) {
                    return None;
                }
                visit.value(*field, Value::Is(is));
                Some(end)
            }
            _ => None,
        }
    }
}

/// Strings, numbers and words that are wanted.
impl<F: Copy> Machine<F> {
    pub(super) fn null(&mut self, bytes: &[u8], from: usize) -> usize {
        let end = end_of_scalar(bytes, from);
        self.text.push(&bytes[from..end.unwrap_or(bytes.len())]);
        self.state = MachineState::Null;
        match end {
            None => bytes.len(),
            Some(end) if !self.is_whole() => self.fail(end),
            Some(end) => {
                self.state = MachineState::Done;
                end
            }
        }
    }

    #[inline]
    pub(super) fn string(&mut self, bytes: &[u8], start: usize, visit: &mut impl Visit<F>) -> usize {
        match self.want {
            None => {
                let end = self.skip_string(bytes, start);
                visit.gap(Gap::String, start, end - 1);
                end
            }
            Some(Want::Present(_) | Want::PresentOr(..) | Want::Truthy(_)) => {
                self.state = MachineState::Peek;
                if start < bytes.len() { self.peek(bytes, start, visit) } else { start }
            }
            Some(Want::Text(field) | Want::TextOr(field, _)) => {
                let Some(end) = special(bytes, start).filter(|end| bytes[*end] == b'"') else {
                    self.text.clear();
                    self.state = MachineState::Text;
                    return self.rest_of_text(bytes, start, visit);
                };
                self.state = MachineState::After;
                let mut text = &bytes[start..end];
                if text.len() > Text::MAX {
                    self.defects.add(Defect::TooLong);
                    text = b"";
                }
                visit.value(*field, Value::Text(text));
                end + 1
            }
            Some(Want::Measured(..)) => {
                self.measured = 0;
                self.measure(bytes, start, visit)
            }
            Some(_) => {
                self.defects.add(Defect::Type);
                self.skip_string(bytes, start)
            }
        }
    }

    #[inline]
    pub(super) fn peek(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let Some(Want::Present(field) | Want::PresentOr(field, _) | Want::Truthy(field)) = self.want else {
            return self.skip_string(bytes, at);
        };
        visit.value(*field, Value::Is(bytes[at] != b'"'));
        let end = self.skip_string(bytes, at);
        visit.gap(Gap::Present(*field), at, end - 1);
        end
    }

    pub(super) fn rest_of_text(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let Some(end) = self.text.read(bytes, at) else { return bytes.len() };
        self.state = MachineState::After;
        if let Some(Want::Text(field) | Want::TextOr(field, _)) = self.want {
            if self.text.get().is_none() {
                self.defects.add(Defect::TooLong);
            }
            visit.value(*field, Value::Text(self.text.get().unwrap_or_default()));
        }
        end
    }

    #[inline]
    pub(super) fn scalar(&mut self, bytes: &[u8], start: usize, visit: &mut impl Visit<F>) -> usize {
        let Some(want) = self.want else {
            let end = self.skip_scalar(bytes, start);
            visit.gap(Gap::Word, start, end);
            return end;
        };
        let Some(end) = end_of_scalar(bytes, start) else {
            self.text.clear();
            self.text.push(&bytes[start..]);
            self.state = MachineState::Scalar;
            return bytes.len();
        };
        self.state = MachineState::After;
        let text = &bytes[start..end];
        // The limit of a buffered text holds here too, so that the result does not depend on the pieces.
        let read = if text.len() > Text::MAX { Err(Defect::TooLong) } else { scalar::parse(want, text) };
        match read {
            Ok(Some((field, value))) => {
                visit.value(field, value);
                if let Value::Count(_) = value {
                    visit.gap(Gap::Count(field), start, end);
                }
            }
            Ok(None) => {}
            Err(defect) => self.defects.add(defect),
        }
        end
    }

    pub(super) fn rest_of_scalar(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let end = end_of_scalar(bytes, at);
        self.text.push(&bytes[at..end.unwrap_or(bytes.len())]);
        let Some(end) = end else { return bytes.len() };
        self.state = MachineState::After;
        match self.want.zip(self.text.get()).map(|(want, text)| scalar::parse(want, text)) {
            Some(Ok(Some((field, value)))) => visit.value(field, value),
            Some(Ok(None)) => {}
            Some(Err(defect)) => self.defects.add(defect),
            None => self.defects.add(Defect::TooLong),
        }
        end
    }
}

/// The characters of a string, counted without keeping any.
impl<F: Copy> Machine<F> {
    /// Continues within a measured string.
    pub(super) fn measure(&mut self, bytes: &[u8], from: usize, visit: &mut impl Visit<F>) -> usize {
        let mut at = from;
        // Prompts are long up to their first escape, so the first search is one for distant bytes.
        let mut next = special_afar(bytes, at);
        while let Some(found) = next {
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
            next = special(bytes, at);
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

/// Values that are not wanted, skipped at the speed of a byte search.
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

/// The number of bytes that begin a character of UTF-8.
fn characters(bytes: &[u8]) -> i64 {
    // In blocks whose count fits a byte, so that the compiler vectorises the sum.
    let count = |block: &[u8]| block.iter().map(|byte| u8::from(byte & 0xC0 != 0x80)).sum::<u8>();
    let mut blocks = bytes.chunks_exact(128);
    let whole: i64 = blocks.by_ref().map(|block| i64::from(count(block))).sum();
    whole + i64::from(count(blocks.remainder()))
}
