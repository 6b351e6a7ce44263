//! An incremental scanner that extracts a few wanted values from JSON of any size.
//!
//! A static table says what is wanted: an [`Object`] names members, each with a [`Want`]. Everything else is skipped
//! with a depth counter and a byte search. The bytes may be split anywhere; memory is constant: a value that a split or
//! an escape keeps from being borrowed is copied to one short buffer, allocated for the first of them. Elements like
//! earlier ones are compared instead of parsed (`shape`). Left out on purpose: full syntax checks of skipped values,
//! and keeping long values.

mod machine;
mod scalar;
mod scanner;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub(crate) use scanner::Scanner;
pub(crate) use table::{Object, Want};
pub(crate) use text::Text;
pub(crate) use value::{Value, Visit};
