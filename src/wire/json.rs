//! An incremental scanner that picks a few wanted values out of JSON of any size.
//!
//! What is wanted stands in a static table: an [`Object`] names members, each with a [`Want`]. Everything else is
//! passed over with a depth counter and a byte search. The bytes may be split anywhere; memory is constant
//! (one short buffer for a value that a split or an escape keeps from being borrowed, which the first such value
//! brings); nothing else is allocated for a value.
//! Elements like those before are not read but compared (`shape`).
//! Left out on purpose: a full check of the syntax of what is passed over, and keeping any long value.

mod measure;
mod members;
mod pass;
mod scalar;
mod scanner;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod values;

pub(crate) use scanner::Scanner;
pub(crate) use shape::Gap;
pub(crate) use table::{Object, Want};
pub(crate) use text::Text;

/// A wanted value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A string, unescaped. Not checked to be UTF-8; empty in place of one that is longer than is kept.
    Text(&'a [u8]),
    /// A whole number, below 2^53.
    Count(u64),
    /// A number, finite, not negative, below 2^53.
    Quantity(f64),
    /// A truth: of a boolean, or whether something is there and not empty.
    Is(bool),
    /// How many elements an array has, or characters a string that is measured.
    Length(u64),
    /// An element of an array ended; what it held was told before.
    Ended,
}

/// Takes wanted values, in the order of the bytes. A repeated key is told again: the last one counts.
pub(crate) trait Visit<F> {
    /// One wanted value.
    fn value(&mut self, field: F, value: Value<'_>);

    /// The bytes from here to there were read in a way that does not depend on them, or only as the gap says; if it has
    /// a value, that was told just before.
    #[inline]
    fn gap(&mut self, _gap: Gap<F>, _from: usize, _to: usize) {}
}
