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

/// The sums of a range.
#[derive(Clone, Debug)]
pub struct RangeTotals {
    /// The whole intervals that they are of.
    pub range: Range,
    /// Apart for each backend, model and operation.
    pub totals: Vec<Total>,
}

/// The sums that answer for a range: their step, and the range widened to whole intervals of it. Sums by hour answer where
/// minutes are not kept that far back. `minutes_from` is when the oldest minute that is kept begins.
#[must_use]
pub fn widened(range: Range, minutes_from: i64) -> (Step, Range) {
    let within = |interval: Interval| {
        let series = Series::empty(range, interval);
        (interval.step(), series.map_or(range, |it| Range { from: it.from * 1000, to: it.to() * 1000 }))
    };
    match within(Interval::fitting(range, 120)) {
        (Step::Minute, fitting) if fitting.from < minutes_from => within(Interval::HOUR),
        fitting => fitting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_minutes_are_gone_sums_by_hour_answer() {
        const MINUTE: i64 = 60_000;
        let day = Range { from: 7 * MINUTE, to: (24 * 60 + 7) * MINUTE };
        assert_eq!(widened(day, 0), (Step::Minute, Range { from: 0, to: (24 * 60 + 30) * MINUTE }));
        assert_eq!(widened(day, MINUTE), (Step::Hour, Range { from: 0, to: 25 * 60 * MINUTE }));
        let week = Range { from: day.from, to: day.from + 7 * 24 * 60 * MINUTE };
        assert_eq!(widened(week, i64::MAX), widened(week, 0), "they are of hours anyway");
    }
}
