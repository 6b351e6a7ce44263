//! Reads strings, numbers and words that are wanted.

use super::machine::{Machine, MachineState};
use super::scalar::{self, end_of_scalar};
use super::table::Want;
use super::text::{Text, special};
use super::value::{Gap, Value, Visit};
use crate::wire::event::Defect;

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
