//! Sums of a whole range, for each backend, model and operation.

use std::sync::Arc;

use super::Range;
use super::series::{Interval, Series};
use crate::exchange::vocabulary::Operation;
use crate::history::codes::Coded as _;
use crate::history::rollup::{OperationKey, Step, Sums};

/// The sums of one backend, model and operation.
#[derive(Clone, Debug)]
pub struct Total {
    /// The backend; `None` where none was chosen.
    pub backend: Option<Arc<str>>,
    /// The model; `None` where no backend has confirmed its name.
    pub model: Option<Arc<str>>,
    /// What was asked for; `None` for one of a newer release.
    pub operation: Option<Operation>,
    /// Over all tenants and clients.
    pub sums: Sums,
}

impl Total {
    pub(in crate::history) fn of(names: [Option<Arc<str>>; 2], operation: OperationKey, sums: Sums) -> Self {
        let [backend, model] = names;
        Self { backend, model, operation: Operation::from_code(operation), sums }
    }
}

/// The sums that answer for a range: their step, and the range widened to whole intervals of it.
#[must_use]
pub fn widened(range: Range) -> (Step, Range) {
    let interval = Interval::fitting(range, 120);
    let widened = Series::empty(range, interval).map_or(range, |it| Range { from: it.from * 1000, to: it.to() * 1000 });
    (interval.step(), widened)
}
