//! An event or an audit entry on its way to the file.

use std::sync::Arc;

use super::kind::{JournalKind, Severity};
use crate::exchange::trace::TraceId;

/// A fact that only some entries have.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// A text.
    Text(Box<str>),
    /// A number.
    Number(i64),
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Detail {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// What is stored of an event or an audit entry.
#[derive(Clone, Debug)]
pub(in crate::history) struct Entry {
    pub(in crate::history) kind: JournalKind,
    pub(in crate::history) severity: Severity,
    /// The room that it comes from.
    pub(in crate::history) component: &'static str,
    /// The kind of event, or the action.
    pub(in crate::history) what: &'static str,
    pub(in crate::history) who: Option<Arc<str>>,
    pub(in crate::history) backend: Option<Arc<str>>,
    /// The model, the collector or whatever it is about.
    pub(in crate::history) subject: Option<Arc<str>>,
    pub(in crate::history) trace: Option<TraceId>,
    pub(in crate::history) result: Option<&'static str>,
    pub(in crate::history) details: Vec<(&'static str, Detail)>,
}
