//! Strings, numbers and words where something is wanted.

use super::pass::end_of_scalar;
use super::scanner::{Scanner, State};
use super::shape::Gap;
use super::table::Want;
use super::text::{Text, special};
use super::{Value, Visit, scalar};
use crate::wire::event::Defect;

impl<F: Copy> Scanner<F> {
    pub(super) fn null(&mut self, bytes: &[u8], from: usize) -> usize {
        let end = end_of_scalar(bytes, from);
        self.text.push(&bytes[from..end.unwrap_or(bytes.len())]);
        self.state = State::Null;
        match end {
            None => bytes.len(),
            Some(end) if !self.is_whole() => self.broken(end),
            Some(end) => {
                self.state = State::Done;
                end
            }
        }
    }

    #[inline]
    pub(super) fn string(&mut self, bytes: &[u8], start: usize, visit: &mut impl Visit<F>) -> usize {
        match self.want {
            None => {
                let end = self.pass_string(bytes, start);
                visit.gap(Gap::String, start, end - 1);
                end
            }
            Some(Want::Present(_) | Want::PresentOr(..) | Want::Truthy(_)) => {
                self.state = State::Peek;
                if start < bytes.len() { self.peek(bytes, start, visit) } else { start }
            }
            Some(Want::Text(field) | Want::TextOr(field, _)) => {
                let Some(end) = special(bytes, start).filter(|end| bytes[*end] == b'"') else {
                    self.text.clear();
                    self.state = State::Text;
                    return self.rest_of_text(bytes, start, visit);
                };
                self.state = State::After;
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
                self.pass_string(bytes, start)
            }
        }
    }

    #[inline]
    pub(super) fn peek(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let Some(Want::Present(field) | Want::PresentOr(field, _) | Want::Truthy(field)) = self.want else {
            return self.pass_string(bytes, at);
        };
        visit.value(*field, Value::Is(bytes[at] != b'"'));
        let end = self.pass_string(bytes, at);
        visit.gap(Gap::Present(*field), at, end - 1);
        end
    }

    pub(super) fn rest_of_text(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let Some(end) = self.text.read(bytes, at) else { return bytes.len() };
        self.state = State::After;
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
            let end = self.pass_scalar(bytes, start);
            visit.gap(Gap::Word, start, end);
            return end;
        };
        let Some(end) = end_of_scalar(bytes, start) else {
            self.text.clear();
            self.text.push(&bytes[start..]);
            self.state = State::Scalar;
            return bytes.len();
        };
        self.state = State::After;
        let text = &bytes[start..end];
        // As where a split makes it be kept: what is told must not depend on the pieces.
        let read = if text.len() > Text::MAX { Err(Defect::TooLong) } else { scalar::read(want, text) };
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
        self.state = State::After;
        match self.want.zip(self.text.get()).map(|(want, text)| scalar::read(want, text)) {
            Some(Ok(Some((field, value)))) => visit.value(field, value),
            Some(Ok(None)) => {}
            Some(Err(defect)) => self.defects.add(defect),
            None => self.defects.add(Defect::TooLong),
        }
        end
    }
}
