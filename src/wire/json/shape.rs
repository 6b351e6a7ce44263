//! Recognises elements of a stream that differ from an earlier one only where it does not matter.
//!
//! A server writes its chunks with one routine: they differ in a text, a time, a number. A [`Shape`] is recorded from
//! an element that was parsed: its bytes, except for the contents of strings, numbers and words that did not affect the
//! parsing ([`Gap`]), and the values visited. An element with the same bytes around its gaps would be parsed in the
//! same steps, so the same values are visited, at a third of the cost. An element that differs elsewhere is parsed: a
//! finish reason, a count that is reported once, a key more or less.
//!
//! The second element of a shape shows which gaps vary: an id that is the same in all chunks is compared with the bytes
//! around it from then on. Where it changes later, as a time does, it becomes a gap again, for good.
//!
//! Only elements that arrive whole in one piece are recorded and compared. Memory is bounded, and only recording
//! allocates; recordings that do not pay become rare.

use super::machine::Machine;
use super::scalar::{self, end_of_scalar};
use super::table::Object;
use super::text::string_end;
use super::value::{Gap, Value, Visit};
use crate::wire::event::Defects;

/// Longest element that is recorded, in bytes.
const MAX_ELEMENT: usize = 4096;

/// Most bytes kept of an element.
const MAX_BYTES: usize = 1024;

/// Most gaps of an element.
const MAX_GAPS: usize = 16;

/// Most values of an element.
const MAX_VISITS: usize = 24;

/// Elements parsed before the first recording, which costs as much as ten of them: a short answer would not repay it.
const MISSES_BEFORE_FIRST: u32 = 4;

/// Most elements parsed between two recordings.
const MAX_MISSES_BETWEEN: u32 = 1024;

/// A recording has paid if its shape matched this many elements for each one parsed since.
const HITS_TO_PAY: u32 = 4;

/// The same for a shape whose constant gaps were removed. One that does not reach it keeps its gaps from then on.
const HITS_TO_PAY_NARROW: u32 = 64;

/// An element of which only the gaps may vary.
#[derive(Debug)]
struct Shape<F: 'static> {
    /// The bytes before each gap and after the last, concatenated.
    bytes: Vec<u8>,
    /// Each gap, and how many bytes are between it and the one before.
    gaps: Vec<(usize, Gap<F>)>,
    visits: Vec<RecordedVisit<F>>,
    /// The visited texts, concatenated.
    texts: Vec<u8>,
    /// The contents of the gaps in the recorded element; `None` once a second one has shown which vary.
    contents: Option<GapContents>,
}

type GapContents = Vec<Box<[u8]>>;

#[derive(Debug)]
enum RecordedVisit<F> {
    Value(F, Value<'static>),
    /// The next bytes of the texts, with their number.
    Text(F, usize),
    /// The content of the gap with this index.
    Gap(usize),
}

/// The range of each gap in an element, as start and end.
type GapRanges = [(usize, usize); MAX_GAPS];

/// The last recorded shape, and when to record another.
#[derive(Debug)]
pub(super) struct ShapeCache<F: 'static> {
    shape: Option<Box<Shape<F>>>,
    /// Elements that matched since the last recording.
    hits: u32,
    /// Elements parsed since then.
    misses: u32,
    /// Misses that trigger the next recording.
    max_misses: u32,
    /// A gap that had seemed constant varied: no gap is removed any more.
    keeps_gaps: bool,
}

impl<F> Default for ShapeCache<F> {
    fn default() -> Self {
        Self { shape: None, hits: 0, misses: 0, max_misses: MISSES_BEFORE_FIRST, keeps_gaps: false }
    }
}

impl<F: Copy> ShapeCache<F> {
    /// Visits the values of the element at the start of `bytes` if it has the recorded shape, and returns its end.
    #[inline]
    pub(super) fn read(&mut self, root: &'static Object<F>, bytes: &[u8], visit: &mut impl Visit<F>) -> Option<usize> {
        let shape = self.shape.as_ref()?;
        let mut ranges = [(0, 0); MAX_GAPS];
        let end = shape.find(bytes, &mut ranges)?;
        shape.replay(bytes, &ranges, visit);
        if shape.contents.is_some() {
            self.remove_constant_gaps(root, &bytes[..end]);
        }
        self.hits = self.hits.saturating_add(1);
        Some(end)
    }

    /// An element that arrived whole was parsed.
    #[inline]
    pub(super) fn record_miss(&mut self, root: &'static Object<F>, element: &[u8]) {
        self.misses += 1;
        if self.misses >= self.max_misses {
            self.record(root, element);
        }
    }

    /// `element` is the second one of the shape.
    #[cold]
    fn remove_constant_gaps(&mut self, root: &'static Object<F>, element: &[u8]) {
        let Some(shape) = &mut self.shape else { return };
        let contents = shape.contents.take().unwrap_or_default();
        if !self.keeps_gaps
            && let Some(narrow) = Shape::record(root, element, &contents)
        {
            **shape = Shape { contents: None, ..narrow };
        }
    }

    #[cold]
    fn record(&mut self, root: &'static Object<F>, element: &[u8]) {
        let was_narrow = self.shape.as_ref().is_some_and(|shape| shape.contents.is_none());
        let keeps_gaps = self.keeps_gaps || (was_narrow && self.hits / HITS_TO_PAY_NARROW < self.misses);
        let has_paid = self.hits / HITS_TO_PAY >= self.misses;
        let max_misses = if has_paid { 1 } else { (self.max_misses * 2).min(MAX_MISSES_BETWEEN) };
        // An element that cannot be recorded leaves the shape before it.
        let shape = Shape::record(root, element, &Vec::new()).map(Box::new).or(self.shape.take());
        *self = Self { shape, hits: 0, misses: 0, max_misses, keeps_gaps };
    }
}

impl<F: Copy> Shape<F> {
    /// Parses the element again and keeps what the parsing depended on. `None` where that exceeds the limits, or where
    /// the element has a defect, which must be counted each time. `before` holds the contents of the gaps of an earlier
    /// element of the same shape: a content that is the same is no gap.
    fn record(root: &'static Object<F>, element: &[u8], before: &GapContents) -> Option<Self> {
        if element.first() != Some(&b'{') || element.len() > MAX_ELEMENT {
            return None;
        }
        let mut machine = Machine::new(root);
        let mut recorder = ShapeRecorder {
            element,
            copied: 0,
            overflow: false,
            before,
            seen: 0,
            contents: Vec::new(),
            shape: Self { bytes: Vec::new(), gaps: Vec::new(), visits: Vec::new(), texts: Vec::new(), contents: None },
        };
        let end = machine.read(element, &mut recorder);
        let ShapeRecorder { copied, overflow, contents, mut shape, .. } = recorder;
        shape.contents = Some(contents);
        shape.bytes.extend_from_slice(&element[copied..end]);
        shape.bytes.shrink_to_fit();
        shape.gaps.shrink_to_fit();
        shape.visits.shrink_to_fit();
        let is_small = !overflow && shape.bytes.len() + shape.texts.len() <= MAX_BYTES;
        (is_small && machine.is_done() && machine.defects == Defects::default()).then_some(shape)
    }

    /// The end of the element at the start of `bytes`, if it has this shape. Sets the ranges of its gaps.
    #[inline]
    fn find(&self, bytes: &[u8], ranges: &mut GapRanges) -> Option<usize> {
        let (mut known, mut at) = (&*self.bytes, 0);
        for ((len, gap), range) in self.gaps.iter().zip(ranges) {
            let (before, rest) = known.split_at_checked(*len)?;
            let from = at + len;
            if bytes.get(at..from)? != before {
                return None;
            }
            known = rest;
            at = gap_end(gap, bytes, from)?;
            *range = (from, at);
        }
        bytes.get(at..)?.starts_with(known).then_some(at + known.len())
    }

    /// Visits the values of an element whose gaps are at `ranges`.
    #[inline]
    fn replay(&self, bytes: &[u8], ranges: &GapRanges, visit: &mut impl Visit<F>) {
        let mut texts = &*self.texts;
        for visited in &self.visits {
            match *visited {
                RecordedVisit::Value(field, value) => visit.value(field, value),
                RecordedVisit::Text(field, len) => {
                    let (text, rest) = texts.split_at(len);
                    texts = rest;
                    visit.value(field, Value::Text(text));
                }
                RecordedVisit::Gap(index) => {
                    let (from, to) = ranges[index];
                    match self.gaps[index].1 {
                        Gap::Present(field) => visit.value(field, Value::Is(from < to)),
                        Gap::Count(field) => visit.value(field, Value::Count(scalar::digits(&bytes[from..to]))),
                        Gap::String | Gap::Word => {}
                    }
                }
            }
        }
    }
}

/// The end of the gap that begins at `from`; `None` where something else is there.
#[inline]
fn gap_end<F>(gap: &Gap<F>, bytes: &[u8], from: usize) -> Option<usize> {
    match gap {
        Gap::String | Gap::Present(_) => string_end(bytes, from),
        Gap::Word => {
            let begins = bytes.get(from).is_some_and(|first| first.is_ascii_alphanumeric() || *first == b'-');
            end_of_scalar(bytes, from).filter(|_| begins)
        }
        Gap::Count(_) => end_of_scalar(bytes, from).filter(|end| scalar::is_plain_count(&bytes[from..*end])),
    }
}

/// Records a shape while its element is parsed.
struct ShapeRecorder<'a, F: 'static> {
    element: &'a [u8],
    /// Bytes of the element that are in the shape or its gaps so far.
    copied: usize,
    overflow: bool,
    before: &'a GapContents,
    /// Gaps so far, removed ones included.
    seen: usize,
    contents: GapContents,
    shape: Shape<F>,
}

impl<F: Copy> Visit<F> for ShapeRecorder<'_, F> {
    fn value(&mut self, field: F, value: Value<'_>) {
        let visited = match value {
            Value::Text(text) => {
                self.shape.texts.extend_from_slice(text);
                RecordedVisit::Text(field, text.len())
            }
            Value::Count(count) => RecordedVisit::Value(field, Value::Count(count)),
            Value::Quantity(quantity) => RecordedVisit::Value(field, Value::Quantity(quantity)),
            Value::Is(there) => RecordedVisit::Value(field, Value::Is(there)),
            Value::Length(length) => RecordedVisit::Value(field, Value::Length(length)),
            Value::Ended => RecordedVisit::Value(field, Value::Ended),
        };
        self.push(visited);
    }

    fn gap(&mut self, gap: Gap<F>, from: usize, to: usize) {
        let is_plain = !matches!(gap, Gap::Count(_)) || scalar::is_plain_count(&self.element[from..to]);
        let index = self.shape.gaps.len();
        self.overflow |= index >= MAX_GAPS;
        if self.overflow || !is_plain {
            return;
        }
        let content = &self.element[from..to];
        let varies = self.before.get(self.seen).is_none_or(|before| **before != *content);
        self.seen += 1;
        // Wanted values are expected to vary, even if two elements have the same.
        if !varies && matches!(gap, Gap::String | Gap::Word) {
            return;
        }
        self.contents.push(content.into());
        let before = &self.element[self.copied..from];
        self.shape.bytes.extend_from_slice(before);
        self.shape.gaps.push((before.len(), gap));
        self.copied = to;
        // The gap replaces the value that was visited just before.
        if matches!(gap, Gap::Present(_) | Gap::Count(_)) {
            self.shape.visits.pop();
            self.push(RecordedVisit::Gap(index));
        }
    }
}

impl<F> ShapeRecorder<'_, F> {
    fn push(&mut self, visited: RecordedVisit<F>) {
        self.overflow |= self.shape.visits.len() >= MAX_VISITS;
        if !self.overflow {
            self.shape.visits.push(visited);
        }
    }
}

#[cfg(test)]
mod tests;
