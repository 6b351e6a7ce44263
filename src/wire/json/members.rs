//! The fast path for members as servers write them: one after another, without space.

use super::machine::{Machine, MachineState};
use super::scalar::{end_of_scalar, plain_count};
use super::table::Want;
use super::text::{plain_end, special};
use super::value::{Gap, Value, Visit};

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
            _ => None,
        }
    }
}
