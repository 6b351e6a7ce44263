//! What the elements of a stream have in common, so that most need only be compared.
//!
//! A server writes its chunks with one routine: they differ in a text, a time, a number. A [`Shape`] is learnt from an
//! element that was read in full: its bytes, save for the contents of strings, numbers and words that did not matter
//! to the reading ([`Gap`]), and what was told of it. An element with the same bytes around its gaps would be read step
//! by step in the same way, so the same is told of it, at a third of the cost. Whatever differs elsewhere is read in
//! full: a finish reason, a count that is reported once, a key more or less.
//!
//! The second element of a shape shows which gaps vary at all: an id that is the same in all chunks is compared with the
//! bytes around it from then on. Where it changes after all, as a time does, it stays a gap.
//!
//! Only elements that came whole in one piece are learnt and compared. Memory is bounded, and nothing is allocated but
//! for a lesson; lessons that do not pay become rare.

use super::pass::end_of_scalar;
use super::scalar;
use super::scanner::{Scanner, State};
use super::text::string_end;
use super::{Value, Visit};
use crate::wire::event::Defects;

/// Longest element that is learnt from.
const MAX_ELEMENT: usize = 4096;

/// Most bytes that are kept of an element.
const MAX_BYTES: usize = 1024;

/// Most gaps of an element.
const MAX_GAPS: usize = 16;

/// Most values that are told of an element.
const MAX_TOLD: usize = 24;

/// Elements that are read in full before the first lesson: it costs as much as ten of them, which a short answer would not
/// earn.
const BEFORE_FIRST: u32 = 4;

/// Most elements that are read in full between two lessons.
const MAX_BETWEEN: u32 = 1024;

/// So many elements must a shape fit, for each that was read in full before its lesson, to have paid for the next.
const PAID: u32 = 4;

/// The same for a shape with fewer gaps than there could be; below that they stay.
const PAID_NARROW: u32 = 64;

/// A stretch of bytes whose content does not matter, or only as said here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gap<F> {
    /// The content of a string that is passed over.
    String,
    /// The content of a string of which only matters whether it is empty.
    Present(F),
    /// A number or word that is passed over.
    Word,
    /// A whole number in plain digits, which is told.
    Count(F),
}

/// See the module.
#[derive(Debug)]
struct Shape<F: 'static> {
    /// What stands before each gap, and behind the last, run together.
    bytes: Vec<u8>,
    /// Each gap, and how many bytes stand between it and the one before.
    gaps: Vec<(usize, Gap<F>)>,
    told: Vec<Told<F>>,
    /// Texts that are told, run together.
    texts: Vec<u8>,
    /// What stood in the gaps of the element that was learnt from, until a second one shows which vary.
    contents: Option<Contents>,
}

type Contents = Vec<Box<[u8]>>;

#[derive(Debug)]
enum Told<F> {
    Value(F, Value<'static>),
    /// So many of the texts' bytes.
    Text(F, usize),
    /// What stands in the gap of this number.
    Gap(usize),
}

/// Where the gaps of an element are.
type Places = [(usize, usize); MAX_GAPS];

/// The shape that was learnt last, and when to learn another.
#[derive(Debug)]
pub(super) struct Lessons<F: 'static> {
    shape: Option<Box<Shape<F>>>,
    /// Elements that fitted since the last lesson.
    fitted: u32,
    /// Elements that were read in full since then.
    missed: u32,
    /// How many of those it takes for the next lesson.
    patience: u32,
    /// What seemed not to vary did.
    varies: bool,
}

impl<F> Default for Lessons<F> {
    fn default() -> Self {
        Self { shape: None, fitted: 0, missed: 0, patience: BEFORE_FIRST, varies: false }
    }
}

impl<F: Copy> Scanner<F> {
    /// Tells of an element that begins at `bytes` by the shape of those before. Returns where it ends, if it fits.
    #[inline]
    pub(super) fn read_again(&mut self, bytes: &[u8], visit: &mut impl Visit<F>) -> Option<usize> {
        let shape = self.lessons.shape.as_ref()?;
        let mut places = [(0, 0); MAX_GAPS];
        let end = shape.fit(bytes, &mut places)?;
        shape.tell(bytes, &places, visit);
        if shape.contents.is_some() {
            self.narrow(&bytes[..end]);
        }
        self.lessons.fitted = self.lessons.fitted.saturating_add(1);
        self.state = State::Done;
        Some(end)
    }

    /// An element came whole and was read in full.
    #[inline]
    pub(super) fn read_in_full(&mut self, element: &[u8]) {
        self.lessons.missed += 1;
        if self.lessons.missed >= self.lessons.patience {
            self.learn(element);
        }
    }

    /// A second element fitted.
    #[cold]
    fn narrow(&mut self, element: &[u8]) {
        let Some(shape) = &mut self.lessons.shape else { return };
        let contents = shape.contents.take().unwrap_or_default();
        if !self.lessons.varies
            && let Some(narrow) = Shape::of(self.root, element, &contents)
        {
            **shape = Shape { contents: None, ..narrow };
        }
    }

    #[cold]
    fn learn(&mut self, element: &[u8]) {
        let lessons = &mut self.lessons;
        let was_narrow = lessons.shape.as_ref().is_some_and(|shape| shape.contents.is_none());
        let varies = lessons.varies || (was_narrow && lessons.fitted / PAID_NARROW < lessons.missed);
        let paid = lessons.fitted / PAID >= lessons.missed;
        let patience = if paid { 1 } else { (lessons.patience * 2).min(MAX_BETWEEN) };
        // A shape that is not to be had leaves the one that there is.
        let shape = Shape::of(self.root, element, &Vec::new()).map(Box::new).or(lessons.shape.take());
        *lessons = Lessons { shape, fitted: 0, missed: 0, patience, varies };
    }
}

impl<F: Copy> Shape<F> {
    /// Reads the element once more and keeps what the reading depended on. None where that is more than is kept, or
    /// where something was not as documented: each such element counts by itself. `before` is what stood in the gaps of
    /// an element of the same shape: what still stands there is no gap.
    fn of(root: &'static super::Object<F>, element: &[u8], before: &Contents) -> Option<Self> {
        if element.first() != Some(&b'{') || element.len() > MAX_ELEMENT {
            return None;
        }
        let mut scanner = Scanner::new(root);
        let mut pupil = Pupil {
            element,
            copied: 0,
            overflow: false,
            before,
            seen: 0,
            contents: Vec::new(),
            shape: Self { bytes: Vec::new(), gaps: Vec::new(), told: Vec::new(), texts: Vec::new(), contents: None },
        };
        let end = scanner.read_on(element, &mut pupil);
        let Pupil { copied, overflow, contents, mut shape, .. } = pupil;
        shape.contents = Some(contents);
        shape.bytes.extend_from_slice(&element[copied..end]);
        shape.bytes.shrink_to_fit();
        shape.gaps.shrink_to_fit();
        shape.told.shrink_to_fit();
        let fits = !overflow && shape.bytes.len() + shape.texts.len() <= MAX_BYTES;
        (fits && scanner.is_done() && scanner.defects() == Defects::default()).then_some(shape)
    }

    /// Whether an element of this shape begins at `bytes`: where its gaps are, and its end.
    #[inline]
    fn fit(&self, bytes: &[u8], places: &mut Places) -> Option<usize> {
        let (mut known, mut at) = (&*self.bytes, 0);
        for ((len, gap), place) in self.gaps.iter().zip(places) {
            let (before, rest) = known.split_at_checked(*len)?;
            let from = at + len;
            if bytes.get(at..from)? != before {
                return None;
            }
            known = rest;
            at = gap.end(bytes, from)?;
            *place = (from, at);
        }
        bytes.get(at..)?.starts_with(known).then_some(at + known.len())
    }

    #[inline]
    fn tell(&self, bytes: &[u8], places: &Places, visit: &mut impl Visit<F>) {
        let mut texts = &*self.texts;
        for told in &self.told {
            match *told {
                Told::Value(field, value) => visit.value(field, value),
                Told::Text(field, len) => {
                    let (text, rest) = texts.split_at(len);
                    texts = rest;
                    visit.value(field, Value::Text(text));
                }
                Told::Gap(index) => {
                    let (from, to) = places[index];
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

impl<F> Gap<F> {
    /// Where the gap ends that begins at `from`; nothing where something else stands there.
    #[inline]
    fn end(&self, bytes: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::String | Self::Present(_) => string_end(bytes, from),
            Self::Word => {
                let begins = bytes.get(from).is_some_and(|first| first.is_ascii_alphanumeric() || *first == b'-');
                end_of_scalar(bytes, from).filter(|_| begins)
            }
            Self::Count(_) => end_of_scalar(bytes, from).filter(|end| scalar::is_plain_count(&bytes[from..*end])),
        }
    }
}

/// Learns a shape while its element is read.
struct Pupil<'a, F: 'static> {
    element: &'a [u8],
    /// Bytes of the element that are in the shape or in its gaps.
    copied: usize,
    overflow: bool,
    before: &'a Contents,
    /// Gaps so far, with those that turned out to be none.
    seen: usize,
    contents: Contents,
    shape: Shape<F>,
}

impl<F: Copy> Visit<F> for Pupil<'_, F> {
    fn value(&mut self, field: F, value: Value<'_>) {
        let told = match value {
            Value::Text(text) => {
                self.shape.texts.extend_from_slice(text);
                Told::Text(field, text.len())
            }
            Value::Count(count) => Told::Value(field, Value::Count(count)),
            Value::Quantity(quantity) => Told::Value(field, Value::Quantity(quantity)),
            Value::Is(there) => Told::Value(field, Value::Is(there)),
            Value::Length(length) => Told::Value(field, Value::Length(length)),
            Value::Ended => Told::Value(field, Value::Ended),
        };
        self.tell(told);
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
        // What an element is for varies, whatever two of them say.
        if !varies && matches!(gap, Gap::String | Gap::Word) {
            return;
        }
        self.contents.push(content.into());
        let before = &self.element[self.copied..from];
        self.shape.bytes.extend_from_slice(before);
        self.shape.gaps.push((before.len(), gap));
        self.copied = to;
        // Its own value stands in the gap, and has just been told as the element has it.
        if matches!(gap, Gap::Present(_) | Gap::Count(_)) {
            self.shape.told.pop();
            self.tell(Told::Gap(index));
        }
    }
}

impl<F> Pupil<'_, F> {
    fn tell(&mut self, told: Told<F>) {
        self.overflow |= self.shape.told.len() >= MAX_TOLD;
        if !self.overflow {
            self.shape.told.push(told);
        }
    }
}

#[cfg(test)]
mod tests;
