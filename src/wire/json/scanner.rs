//! The scanner itself: a state machine that takes whole tokens where a piece holds them, and resumes where not.

use super::shape::Lessons;
use super::table::{Object, Want};
use super::text::Text;
use super::{Value, Visit};
use crate::wire::event::{Defect, Defects};

/// Deepest nesting of wanted values in any table, and one more.
const DEPTH: usize = 9;

/// Reads one JSON object after another, each ended by [`Scanner::reset`].
#[derive(Debug)]
pub(crate) struct Scanner<F: 'static> {
    pub(super) root: &'static Object<F>,
    /// What is wanted of each element where the value is an array.
    many: Option<(F, &'static Want<F>)>,
    pub(super) state: State,
    /// Containers that are open around the present position, down to where nothing is wanted any more.
    pub(super) stack: [Frame<F>; DEPTH],
    pub(super) depth: usize,
    /// What is wanted of the value that comes next, or that is being read.
    pub(super) want: Option<&'static Want<F>>,
    /// In a value that is passed over: how many brackets of its kind are open.
    pub(super) passing: u64,
    pub(super) brackets: [u8; 2],
    /// A token that a split or an escape keeps from being borrowed.
    pub(super) text: Text,
    /// Characters so far of a string that is measured; an escape that is half read may make it negative.
    pub(super) measured: i64,
    pub(super) defects: Defects,
    /// What the elements so far had in common.
    pub(super) lessons: Lessons<F>,
}

/// An open container.
#[derive(Debug)]
pub(super) struct Frame<F: 'static> {
    pub(super) inside: Inside<F>,
    /// What is told when it closes.
    want: Option<&'static Want<F>>,
    is_object: bool,
    /// Elements or members that ended.
    count: u32,
}

impl<F> Frame<F> {
    const EMPTY: Self = Self { inside: Inside::Nothing, want: None, is_object: false, count: 0 };
}

/// What is wanted inside a container.
#[derive(Debug)]
pub(super) enum Inside<F: 'static> {
    Nothing,
    Members(&'static Object<F>),
    Elements(F, &'static Want<F>),
}

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before the value; nothing but space so far.
    Start,
    /// Inside a bare `null`, which llama.cpp sends as an element of its own.
    Null,
    /// After `{`.
    FirstMember,
    /// After a comma in an object.
    Member,
    /// Inside a key that did not come whole.
    Key,
    /// After a key.
    Colon,
    /// After `[`.
    FirstElement,
    /// Before a value.
    Value,
    /// At the first byte of a string of which only that byte matters.
    Peek,
    /// Inside a wanted string that did not come whole.
    Text,
    /// Inside a wanted number or word that did not come whole.
    Scalar,
    /// Inside a number or word that is passed over.
    PassScalar,
    /// Inside a string that is passed over.
    PassString,
    /// After a backslash in such a string.
    PassEscape,
    /// Inside a string that is measured.
    Measure,
    /// After a backslash in such a string.
    MeasureEscape,
    /// Inside an array or object that is passed over.
    PassNested,
    /// After a value in a container.
    After,
    /// The value is whole.
    Done,
    /// This is not JSON.
    Broken,
}

impl<F: Copy> Scanner<F> {
    pub(crate) fn new(root: &'static Object<F>) -> Self {
        Self {
            root,
            many: None,
            state: State::Start,
            stack: [const { Frame::EMPTY }; DEPTH],
            depth: 0,
            want: None,
            passing: 0,
            brackets: [0; 2],
            text: Text::new(),
            measured: 0,
            defects: Defects::default(),
            lessons: Lessons::default(),
        }
    }

    /// Takes an array in place of the object too.
    pub(crate) fn or_each(mut self, many: Option<(F, &'static Want<F>)>) -> Self {
        self.many = many;
        self
    }

    /// Forgets the value that was read, whole or not.
    pub(crate) fn reset(&mut self) {
        self.state = State::Start;
        self.depth = 0;
        self.want = None;
        self.passing = 0;
    }

    /// A whole value was read.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// A whole value was read if nothing more belongs to it.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        self.is_done() || (self.state == State::Null && self.text.get() == Some(b"null"))
    }

    /// What was read is not JSON; the rest of it is ignored.
    pub(crate) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Nothing but space was read since the last value.
    pub(crate) fn is_blank(&self) -> bool {
        self.state == State::Start
    }

    /// What was not as documented so far, over all values.
    pub(crate) fn defects(&self) -> Defects {
        self.defects
    }

    /// Counts a defect that was found around the JSON.
    pub(crate) fn defect(&mut self, defect: Defect) {
        self.defects.add(defect);
    }

    /// Reads on. Returns how much of `bytes` belongs to the value: all of it, unless the value ends before.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], visit: &mut impl Visit<F>) -> usize {
        if self.state != State::Start || bytes.is_empty() {
            return self.read_on(bytes, visit);
        }
        if let Some(end) = self.read_again(bytes, visit) {
            return end;
        }
        let end = self.read_on(bytes, visit);
        if self.is_done() {
            self.read_in_full(&bytes[..end]);
        }
        end
    }

    /// Reads on step by step.
    pub(super) fn read_on(&mut self, bytes: &[u8], visit: &mut impl Visit<F>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::FirstMember | State::Member => self.member(bytes, at, visit),
                State::After => self.after(bytes, at, visit),
                State::Start | State::FirstElement | State::Value => self.value(bytes, at, visit),
                State::Colon => self.colon(bytes, at),
                State::Key => self.rest_of_key(bytes, at),
                State::Peek => self.peek(bytes, at, visit),
                State::Text => self.rest_of_text(bytes, at, visit),
                State::Scalar => self.rest_of_scalar(bytes, at, visit),
                State::PassScalar => self.pass_scalar(bytes, at),
                State::PassString => self.pass_string(bytes, at),
                State::PassEscape => {
                    self.state = State::PassString;
                    at + 1
                }
                State::PassNested => self.pass_nested(bytes, at),
                State::Measure => self.measure(bytes, at, visit),
                State::MeasureEscape => {
                    self.measure_escape(bytes[at]);
                    self.state = State::Measure;
                    at + 1
                }
                State::Null => self.null(bytes, at),
                State::Done => return at,
                State::Broken => return bytes.len(),
            };
        }
        at
    }

    pub(super) fn broken(&mut self, at: usize) -> usize {
        self.defects.add(Defect::Json);
        self.state = State::Broken;
        at
    }

    #[inline]
    fn member(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        match bytes[at] {
            b'"' => self.members(bytes, at + 1, visit),
            byte if is_space(byte) => at + 1,
            b'}' if self.state == State::FirstMember => self.close(at, visit),
            _ => self.broken(at),
        }
    }

    pub(super) fn rest_of_key(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(end) = self.text.read(bytes, at) else { return bytes.len() };
        // A key longer than is kept is longer than any that is wanted.
        let frame = self.stack.get(self.depth.wrapping_sub(1));
        self.want = frame.zip(self.text.get()).and_then(|(frame, key)| frame.inside.member(key));
        self.state = State::Colon;
        end
    }

    fn colon(&mut self, bytes: &[u8], at: usize) -> usize {
        match bytes[at] {
            b':' => {
                self.state = State::Value;
                at + 1
            }
            byte if is_space(byte) => at + 1,
            _ => self.broken(at),
        }
    }

    #[inline]
    pub(super) fn value(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        match bytes[at] {
            b'"' if self.depth > 0 => self.string(bytes, at + 1, visit),
            b'{' | b'[' => self.open(bytes, at),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if self.depth > 0 => self.scalar(bytes, at, visit),
            byte if is_space(byte) => at + 1,
            b']' if self.state == State::FirstElement => self.close(at, visit),
            b'n' if self.depth == 0 => {
                self.text.clear();
                self.null(bytes, at)
            }
            _ => self.broken(at),
        }
    }

    #[inline]
    fn open(&mut self, bytes: &[u8], at: usize) -> usize {
        let is_object = bytes[at] == b'{';
        let want = match self.want {
            Some(Want::Measured(_, nested) | Want::PresentOr(_, nested) | Want::TextOr(_, nested)) => Some(*nested),
            want => want,
        };
        let inside = match (want, is_object) {
            _ if self.depth == 0 && is_object => Some(Inside::Members(self.root)),
            _ if self.depth == 0 => self.many.map(|(field, want)| Inside::Elements(field, want)),
            (Some(Want::Object(members)), true) => Some(Inside::Members(members)),
            (Some(Want::Each(field, want)), false) => Some(Inside::Elements(*field, want)),
            (Some(Want::Length(_)), false) | (Some(Want::Present(_) | Want::Truthy(_)), _) => Some(Inside::Nothing),
            (None, _) => return self.pass(bytes, at),
            (Some(_), _) => None,
        };
        let Some((inside, frame)) = inside.zip(self.stack.get_mut(self.depth)) else {
            self.defects.add(Defect::Type);
            return self.pass(bytes, at);
        };
        *frame = Frame { inside, want, is_object, count: 0 };
        self.depth += 1;
        self.state = if is_object { State::FirstMember } else { State::FirstElement };
        self.want = frame.inside.element();
        at + 1
    }

    #[inline]
    fn after(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let byte = bytes[at];
        if is_space(byte) {
            return at + 1;
        }
        let Some(frame) = self.stack.get_mut(self.depth.wrapping_sub(1)) else { return self.broken(at) };
        let close = if frame.is_object { b'}' } else { b']' };
        if byte != b',' && byte != close {
            return self.broken(at);
        }
        frame.count = frame.count.saturating_add(1);
        if let Inside::Elements(field, _) = frame.inside {
            visit.value(field, Value::Ended);
        }
        if byte == close {
            return self.close(at, visit);
        }
        self.state = if frame.is_object { State::Member } else { State::Value };
        self.want = frame.inside.element();
        at + 1
    }

    #[inline]
    fn close(&mut self, at: usize, visit: &mut impl Visit<F>) -> usize {
        self.depth -= 1;
        let frame = &self.stack[self.depth];
        match frame.want {
            Some(Want::Present(field) | Want::Truthy(field)) => visit.value(*field, Value::Is(frame.count > 0)),
            Some(Want::Length(field)) => visit.value(*field, Value::Length(frame.count.into())),
            _ => {}
        }
        self.state = self.after_value();
        at + 1
    }

    pub(super) fn after_value(&self) -> State {
        if self.depth == 0 { State::Done } else { State::After }
    }
}

impl<F: Copy> Clone for Inside<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Copy> Copy for Inside<F> {}

impl<F> Inside<F> {
    #[inline]
    pub(super) fn member(&self, key: &[u8]) -> Option<&'static Want<F>> {
        match self {
            Self::Members(members) => members.find(key),
            Self::Nothing | Self::Elements(..) => None,
        }
    }

    #[inline]
    fn element(&self) -> Option<&'static Want<F>> {
        match self {
            Self::Elements(_, want) => Some(want),
            Self::Nothing | Self::Members(_) => None,
        }
    }
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
