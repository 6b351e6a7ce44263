//! Why a value is refused.

/// Why a parser refuses a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InvalidValue {
    /// It does not match the kind's description, which is the reason shown.
    Unexpected,
    /// The reason shown: what is allowed, or why this is not.
    Because(String),
    /// The same for the element of a list at this index.
    Element(usize, String),
}

/// A refusal as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The index of the refused element of a list; `None` is the whole value.
    pub(super) element: Option<usize>,
    pub(super) reason: String,
}
