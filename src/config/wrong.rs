//! Why a value is not taken.

/// Why a parser does not take a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not what the kind says.
    Unexpected,
    /// What is allowed, or why this is not.
    Because(String),
    /// The same of one element of a list.
    Element(usize, String),
}

/// Why a value is refused, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The element of a list that is at fault; none is all of it.
    pub(super) element: Option<usize>,
    pub(super) reason: String,
}
