//! Handles that the end of an exchange feeds, kept where the next one like it finds them together.
//!
//! Nearly every exchange on a model ends like many before it. Looking each family up by its labels costs half of what is
//! spent on an end, so the handles are kept with the model's series, by what tells ends apart. A handle is kept only
//! where the labels have a series of their own: what was refused is refused, and counted as refused, each time.

use std::sync::{OnceLock, PoisonError, RwLock};

use prometheus::IntCounter;

use super::family::{Child, Family};
use super::histogram::Histogram;
use super::traced::TracedHistogram;
use crate::exchange::outcome::Outcome;
use crate::exchange::record::{Method, Record};
use crate::exchange::vocabulary::Source;

/// Ends that are remembered for one model. More are statuses that nobody documents.
const MAX_ENDS: usize = 64;

/// A place for one handle.
pub(super) struct Handle<C>(OnceLock<C>);

impl<C> Default for Handle<C> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<C: Child> Handle<C> {
    /// Does something with the family's child that has these label values, which are the same at every call.
    pub(super) fn with<T>(&self, family: &Family<C>, values: &[&str], what: impl FnOnce(&C) -> T) -> T {
        if let Some(child) = self.0.get() {
            return what(child);
        }
        let (child, own) = family.child_and_whether_own(values);
        let done = what(&child);
        if own {
            // Whoever came first has kept the same.
            let _ = self.0.set(child);
        }
        done
    }
}

/// The handles of one model on one backend.
#[derive(Default)]
pub(super) struct Remembered {
    /// By the source of the count, in the order of [`Source::ALL`].
    pub(super) prompt: [Handle<IntCounter>; Source::ALL.len()],
    pub(super) generated: [Handle<IntCounter>; Source::ALL.len()],
    pub(super) context: Handle<Histogram>,
    pub(super) truncation: Handle<IntCounter>,
    ends: RwLock<Vec<(Key, End)>>,
}

/// What tells ends apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    method: Method,
    endpoint: &'static str,
    status: u16,
    outcome: Outcome,
}

/// The handles of exchanges that end alike.
#[derive(Default)]
pub(super) struct End {
    pub(super) total: Handle<IntCounter>,
    pub(super) duration: Handle<TracedHistogram>,
    pub(super) request_size: Handle<Histogram>,
    pub(super) response_size: Handle<Histogram>,
    pub(super) usage_missing: Handle<IntCounter>,
}

impl Remembered {
    /// Does something with the handles of exchanges that end like this one.
    pub(super) fn end(&self, record: &Record, what: impl FnOnce(&End)) {
        let (method, endpoint) = (record.start.method, record.start.route.endpoint);
        let key = Key { method, endpoint, status: record.status, outcome: record.outcome };
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, end)) = ends.iter().find(|(known, _)| *known == key) {
            return what(end);
        }
        drop(ends);
        let end = End::default();
        what(&end);
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        if ends.len() < MAX_ENDS && ends.iter().all(|(known, _)| *known != key) {
            ends.push((key, end));
        }
    }
}
