//! The state machine that reads JSON: takes tokens whole where a piece holds them, and resumes within them where not.

mod values;

use super::table::{Object, Want};
use super::text::Text;
use super::value::{Value, Visit};
use crate::wire::event::{Defect, Defects};

/// The deepest nesting of wanted values in any table, plus one.
const MAX_DEPTH: usize = 9;

/// Reads one JSON value after another. [`Machine::reset`] between them.
#[derive(Debug)]
pub(super) struct Machine<F: 'static> {
    pub(super) root: &'static Object<F>,
    /// What is wanted of each element if the value is an array; `None` refuses arrays.
    pub(super) many: Option<(F, &'static Want<F>)>,
    pub(super) state: MachineState,
    /// The open containers around the current position, except skipped ones.
    stack: [Container<F>; MAX_DEPTH],
    depth: usize,
    /// What is wanted of the next or current value; `None` skips it.
    want: Option<&'static Want<F>>,
    /// In a skipped array or object: how many brackets of its kind are open.
    skipping: u64,
    /// The opening and the closing bracket of the skipped value.
    brackets: [u8; 2],
    /// A token that a split or an escape keeps from being borrowed.
    text: Text,
    /// Characters so far of a measured string. Negative, at times, within a `\u` escape.
    measured: i64,
    pub(super) defects: Defects,
}

/// An open array or object.
#[derive(Debug)]
struct Container<F: 'static> {
    inside: Inside<F>,
    /// What is wanted of the container as a whole, when it closes.
    want: Option<&'static Want<F>>,
    is_object: bool,
    /// Elements or members that have ended.
    count: u32,
}

impl<F> Container<F> {
    const EMPTY: Self = Self { inside: Inside::Nothing, want: None, is_object: false, count: 0 };
}

/// What is wanted inside a container.
#[derive(Debug)]
enum Inside<F: 'static> {
    Nothing,
    Members(&'static Object<F>),
    Elements(F, &'static Want<F>),
}

/// What the next byte is, by the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MachineState {
    /// Before the value; only space so far.
    Start,
    /// In a bare `null`, which llama.cpp sends as an element.
    Null,
    /// After `{`.
    FirstMember,
    /// After a comma in an object.
    Member,
    /// In a key that the last piece did not hold whole.
    Key,
    /// After a key.
    Colon,
    /// After `[`.
    FirstElement,
    /// Before a value.
    Value,
    /// At the first byte of a string; only whether it is the closing quote matters.
    Peek,
    /// In a wanted string that the last piece did not hold whole.
    Text,
    /// In a wanted number or word that the last piece did not hold whole.
    Scalar,
    /// In a skipped number or word.
    SkipScalar,
    /// In a skipped string.
    SkipString,
    /// After a backslash in a skipped string.
    SkipEscape,
    /// In a measured string.
    Measure,
    /// After a backslash in a measured string.
    MeasureEscape,
    /// In a skipped array or object.
    SkipNested,
    /// After a value in a container.
    After,
    /// The value is whole.
    Done,
    /// This is not JSON.
    Broken,
}

impl<F: Copy> Machine<F> {
    pub(super) fn new(root: &'static Object<F>) -> Self {
        Self {
            root,
            many: None,
            state: MachineState::Start,
            stack: [const { Container::EMPTY }; MAX_DEPTH],
            depth: 0,
            want: None,
            skipping: 0,
            brackets: [0; 2],
            text: Text::new(),
            measured: 0,
            defects: Defects::default(),
        }
    }

    /// Prepares for the next value, also within an incomplete one.
    pub(super) fn reset(&mut self) {
        self.state = MachineState::Start;
        self.depth = 0;
        self.want = None;
        self.skipping = 0;
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == MachineState::Done
    }

    /// Whether a whole value was read if no byte follows.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        self.is_done() || (self.state == MachineState::Null && self.text.get() == Some(b"null"))
    }

    /// Continues with the next piece. Returns how many of `bytes` belong to the value.
    pub(super) fn read(&mut self, bytes: &[u8], visit: &mut impl Visit<F>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                MachineState::FirstMember | MachineState::Member => self.member(bytes, at, visit),
                MachineState::After => self.after(bytes, at, visit),
                MachineState::Start | MachineState::FirstElement | MachineState::Value => self.value(bytes, at, visit),
                MachineState::Colon => self.colon(bytes, at),
                MachineState::Key => self.rest_of_key(bytes, at),
                MachineState::Peek => self.peek(bytes, at, visit),
                MachineState::Text => self.rest_of_text(bytes, at, visit),
                MachineState::Scalar => self.rest_of_scalar(bytes, at, visit),
                MachineState::SkipScalar => self.skip_scalar(bytes, at),
                MachineState::SkipString => self.skip_string(bytes, at),
                MachineState::SkipEscape => {
                    self.state = MachineState::SkipString;
                    at + 1
                }
                MachineState::SkipNested => self.skip_nested(bytes, at),
                MachineState::Measure => self.measure(bytes, at, visit),
                MachineState::MeasureEscape => {
                    self.measure_escape(bytes[at]);
                    self.state = MachineState::Measure;
                    at + 1
                }
                MachineState::Null => self.null(bytes, at),
                MachineState::Done => return at,
                MachineState::Broken => return bytes.len(),
            };
        }
        at
    }

    /// Marks the value as malformed. Its remaining bytes are ignored.
    fn fail(&mut self, at: usize) -> usize {
        self.defects.add(Defect::Json);
        self.state = MachineState::Broken;
        at
    }

    #[inline]
    fn member(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        match bytes[at] {
            b'"' => self.members(bytes, at + 1, visit),
            byte if is_space(byte) => at + 1,
            b'}' if self.state == MachineState::FirstMember => self.close(at, visit),
            _ => self.fail(at),
        }
    }

    fn rest_of_key(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(end) = self.text.read(bytes, at) else { return bytes.len() };
        // A key above `Text::MAX` is longer than any wanted one.
        let frame = self.stack.get(self.depth.wrapping_sub(1));
        self.want = frame.zip(self.text.get()).and_then(|(frame, key)| frame.inside.member(key));
        self.state = MachineState::Colon;
        end
    }

    fn colon(&mut self, bytes: &[u8], at: usize) -> usize {
        match bytes[at] {
            b':' => {
                self.state = MachineState::Value;
                at + 1
            }
            byte if is_space(byte) => at + 1,
            _ => self.fail(at),
        }
    }

    #[inline]
    fn value(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        match bytes[at] {
            b'"' if self.depth > 0 => self.string(bytes, at + 1, visit),
            b'{' | b'[' => self.open(bytes, at),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if self.depth > 0 => self.scalar(bytes, at, visit),
            byte if is_space(byte) => at + 1,
            b']' if self.state == MachineState::FirstElement => self.close(at, visit),
            b'n' if self.depth == 0 => {
                self.text.clear();
                self.null(bytes, at)
            }
            _ => self.fail(at),
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
            (None, _) => return self.skip(bytes, at),
            (Some(_), _) => None,
        };
        let Some((inside, frame)) = inside.zip(self.stack.get_mut(self.depth)) else {
            self.defects.add(Defect::Type);
            return self.skip(bytes, at);
        };
        *frame = Container { inside, want, is_object, count: 0 };
        self.depth += 1;
        self.state = if is_object { MachineState::FirstMember } else { MachineState::FirstElement };
        self.want = frame.inside.element();
        at + 1
    }

    #[inline]
    fn after(&mut self, bytes: &[u8], at: usize, visit: &mut impl Visit<F>) -> usize {
        let byte = bytes[at];
        if is_space(byte) {
            return at + 1;
        }
        let Some(frame) = self.stack.get_mut(self.depth.wrapping_sub(1)) else { return self.fail(at) };
        let close = if frame.is_object { b'}' } else { b']' };
        if byte != b',' && byte != close {
            return self.fail(at);
        }
        frame.count = frame.count.saturating_add(1);
        if let Inside::Elements(field, _) = frame.inside {
            visit.value(field, Value::Ended);
        }
        if byte == close {
            return self.close(at, visit);
        }
        self.state = if frame.is_object { MachineState::Member } else { MachineState::Value };
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

    fn after_value(&self) -> MachineState {
        if self.depth == 0 { MachineState::Done } else { MachineState::After }
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
    fn member(&self, key: &[u8]) -> Option<&'static Want<F>> {
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
