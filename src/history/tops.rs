//! The longest, largest and dearest exchanges of each hour.
//!
//! Pure. An exchange that may be among them is never thinned, and its id is kept with the sums of the hour, so that the
//! top of a month is found without reading a month of exchanges.

use super::id::RowId;
use super::row::Row;

/// How many of each hour are kept.
pub const KEPT: u32 = 100;

/// What exchanges are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopBy {
    /// Microseconds.
    Duration,
    /// Prompt and generated tokens.
    Tokens,
    /// Cost.
    Cost,
}

impl TopBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Duration, Self::Tokens, Self::Cost];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }

    /// What is compared; `None` is unknown.
    #[must_use]
    pub fn value(self, row: &Row) -> Option<i64> {
        match self {
            Self::Duration => row.duration.micros().and_then(|micros| i64::try_from(micros).ok()),
            Self::Tokens => row.tokens().and_then(|tokens| i64::try_from(tokens).ok()),
            Self::Cost => row.cost(),
        }
    }
}

/// An exchange that may be among the first of its hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The beginning of the hour, in seconds since the epoch.
    pub hour: i64,
    /// What it is compared by.
    pub by: TopBy,
    /// Its value.
    pub value: i64,
    /// Its id.
    pub id: RowId,
}

/// The values that this process has seen in the current hour, at most [`KEPT`] of each kind, the lowest first.
#[derive(Debug, Default)]
pub(super) struct Tops {
    hour: i64,
    values: [Vec<i64>; TopBy::ALL.len()],
}

impl Tops {
    /// The values of an exchange for the comparisons in which it is among the first of its hour so far. Hours come in
    /// any order; an hour other than the last starts over, which keeps more rows than needed and never fewer.
    pub(super) fn consider(&mut self, hour: i64, row: &Row) -> [Option<i64>; TopBy::ALL.len()] {
        if hour != self.hour {
            *self = Self { hour, ..Self::default() };
        }
        let mut among = [None; TopBy::ALL.len()];
        for ((by, values), among) in TopBy::ALL.into_iter().zip(&mut self.values).zip(&mut among) {
            let Some(value) = by.value(row) else { continue };
            if values.len() == KEPT as usize {
                if value <= values[0] {
                    continue;
                }
                values.remove(0);
            }
            values.insert(values.partition_point(|other| *other < value), value);
            *among = Some(value);
        }
        among
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::row::sample;

    #[test]
    fn only_what_is_among_the_first_hundred_so_far_is_a_candidate() {
        let mut tops = Tops::default();
        let mut among = |hour, millis| tops.consider(hour, &sample(Duration::from_millis(millis)))[0].is_some();
        assert!((1..=u64::from(KEPT)).all(|millis| among(0, millis)), "the first hundred");
        assert!(!among(0, 1), "as long as the shortest of them");
        assert!(among(0, 2) && !among(0, 2), "it takes a place");
        assert!(among(0, 5_000));
        assert!(among(3_600, 1), "another hour begins anew");
    }
}
