//! Which sums, and which single exchanges, together make up a range exactly once.

use super::Range;
use crate::history::rollup::Step;

/// A part of a range, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Whole intervals, of which the sums are taken.
    Sums(Step, Range),
    /// Less than a whole interval: single exchanges.
    Rows(Range),
}

/// Covers a range: whole hours, beside them whole minutes as far as these are kept, and single exchanges for the rest.
/// `minutes_from` is when the oldest minute that is kept begins.
#[must_use]
pub fn cover(range: Range, minutes_from: i64) -> Vec<Part> {
    let mut parts = Vec::new();
    split(range, Step::Hour, &mut parts, |rest, parts| {
        if rest.from >= minutes_from {
            split(rest, Step::Minute, parts, |rest, parts| parts.push(Part::Rows(rest)));
        } else {
            parts.push(Part::Rows(rest));
        }
    });
    parts
}

/// Takes the whole intervals out of a range, and passes the remainder on either side to `rest`.
fn split(range: Range, step: Step, parts: &mut Vec<Part>, mut rest: impl FnMut(Range, &mut Vec<Part>)) {
    let length = step.seconds() * 1000;
    let from = range.from.div_euclid(length) * length + if range.from.rem_euclid(length) > 0 { length } else { 0 };
    let to = range.to.div_euclid(length) * length;
    if from >= to {
        if range.from < range.to {
            rest(range, parts);
        }
        return;
    }
    if range.from < from {
        rest(Range { from: range.from, to: from }, parts);
    }
    parts.push(Part::Sums(step, Range { from, to }));
    if to < range.to {
        rest(Range { from: to, to: range.to }, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    #[test]
    fn every_range_is_covered_once_and_without_a_gap() {
        for from in [0, 1, MINUTE, HOUR - 1, HOUR, 7 * HOUR + 13] {
            for length in [0, 1, MINUTE, 2 * MINUTE + 5, HOUR, 5 * HOUR + 17 * MINUTE + 3] {
                for minutes_from in [i64::MIN, 0, 2 * HOUR, i64::MAX] {
                    let range = Range { from, to: from + length };
                    let mut at = from;
                    for part in cover(range, minutes_from) {
                        let (Part::Sums(_, part) | Part::Rows(part)) = part;
                        assert_eq!(part.from, at, "{range:?}");
                        at = part.to;
                    }
                    assert_eq!(at, range.to, "{range:?}");
                }
            }
        }
    }

    #[test]
    fn sums_are_taken_of_the_longest_intervals_that_are_kept() {
        let range = Range { from: HOUR - 2 * MINUTE - 1, to: 3 * HOUR + 1 };
        assert_eq!(
            cover(range, 0),
            [
                Part::Rows(Range { from: range.from, to: HOUR - 2 * MINUTE }),
                Part::Sums(Step::Minute, Range { from: HOUR - 2 * MINUTE, to: HOUR }),
                Part::Sums(Step::Hour, Range { from: HOUR, to: 3 * HOUR }),
                Part::Rows(Range { from: 3 * HOUR, to: range.to }),
            ]
        );
        let first = cover(range, 2 * HOUR)[0];
        assert_eq!(first, Part::Rows(Range { from: range.from, to: HOUR }), "the minutes are gone");
    }
}
