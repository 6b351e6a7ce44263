//! What the scanner hands to its visitor.

/// A wanted value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// A string, unescaped. Not validated as UTF-8; empty in place of one above [`Text::MAX`](super::text::Text::MAX).
    Text(&'a [u8]),
    /// A whole number, below 2^53.
    Count(u64),
    /// A number, finite, not negative, below 2^53.
    Quantity(f64),
    /// A boolean, or whether something is present and not empty.
    Is(bool),
    /// Elements of an array, or characters of a measured string.
    Length(u64),
    /// An element of an array ended; its values came before.
    Ended,
}

/// Receives wanted values, in the order of the bytes. A repeated key is visited again: the last one counts.
pub(crate) trait Visit<F> {
    fn value(&mut self, field: F, value: Value<'_>);

    /// The bytes in `from..to` did not affect the reading, except as the gap says. A gap with a value comes right after
    /// that value.
    #[inline]
    fn gap(&mut self, _gap: Gap<F>, _from: usize, _to: usize) {}
}

/// A range of bytes whose content does not affect the reading, except as said here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gap<F> {
    /// The content of a skipped string.
    String,
    /// The content of a string; only whether it is empty matters.
    Present(F),
    /// A skipped number or word.
    Word,
    /// A wanted whole number in plain digits.
    Count(F),
}
