//! Sums over time: one for each interval of a range.

use super::{Filter, Range};
use crate::history::rollup::{Step, Sums};

/// Most intervals of an answer.
pub const MAX_POINTS: usize = 1_500;

/// The length of an interval: a multiple of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(i64);

impl Interval {
    /// Of seconds; `None` unless these are whole minutes, and whole hours above an hour.
    #[must_use]
    pub const fn of_seconds(seconds: i64) -> Option<Self> {
        let is_whole = seconds > 0 && seconds % 60 == 0 && (seconds < 3600 || seconds % 3600 == 0);
        if is_whole { Some(Self(seconds)) } else { None }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The sums that it is made of.
    #[must_use]
    pub const fn step(self) -> Step {
        if self.0 % 3600 == 0 { Step::Hour } else { Step::Minute }
    }

    /// The shortest that gives at most this many points for a range, of those that people like.
    #[must_use]
    pub fn fitting(range: Range, points: usize) -> Self {
        const LIKED: [i64; 10] = [60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800];
        let seconds = (range.to - range.from).max(0) / 1000;
        let fits = |interval: &&i64| seconds / **interval < i64::try_from(points).unwrap_or(i64::MAX);
        Self(LIKED.iter().find(fits).copied().unwrap_or(604_800))
    }
}

/// Asks for sums.
#[derive(Clone, Debug)]
pub struct SeriesQuery {
    /// When the exchanges ended. It is widened to whole intervals.
    pub range: Range,
    /// The intervals.
    pub interval: Interval,
    /// Which exchanges; of what the sums know.
    pub filter: Filter,
}

/// Sums of the intervals of a range.
#[derive(Clone, Debug)]
pub struct Series {
    /// The beginning of the first interval, in seconds since the epoch.
    pub from: i64,
    /// The length of each.
    pub interval: Interval,
    /// One for each interval. `None` where the program did not run, or nothing is kept.
    pub points: Vec<Option<Sums>>,
}

impl Series {
    /// Of nothing, for the intervals that a range touches. `None` where there would be more than [`MAX_POINTS`].
    #[must_use]
    pub fn empty(range: Range, interval: Interval) -> Option<Self> {
        let length = interval.seconds();
        let from = range.from.div_euclid(length * 1000) * length;
        let to = (range.to - 1).div_euclid(length * 1000) * length + length;
        let count = usize::try_from((to - from) / length).ok()?;
        (count <= MAX_POINTS).then(|| Self { from, interval, points: vec![None; count] })
    }

    /// The end of the last interval, in seconds since the epoch.
    #[must_use]
    pub fn to(&self) -> i64 {
        self.from + self.interval.seconds() * i64::try_from(self.points.len()).unwrap_or(0)
    }

    /// The sums of the interval that begins with, or contains, this second; `None` outside.
    pub fn point(&mut self, at: i64) -> Option<&mut Option<Sums>> {
        let index = usize::try_from((at - self.from).div_euclid(self.interval.seconds())).ok()?;
        self.points.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_whole_minutes_or_hours() {
        for (seconds, step) in
            [(60, Some(Step::Minute)), (300, Some(Step::Minute)), (3_600, Some(Step::Hour)), (86_400, Some(Step::Hour))]
        {
            assert_eq!(Interval::of_seconds(seconds).map(Interval::step), step);
        }
        for seconds in [0, -60, 59, 90, 5_400] {
            assert_eq!(Interval::of_seconds(seconds), None, "{seconds}");
        }
        let range = |hours: i64| Range { from: 0, to: hours * 3_600_000 };
        assert_eq!(Interval::fitting(range(1), 100).seconds(), 60);
        assert_eq!(Interval::fitting(range(24), 100).seconds(), 1_800);
        assert_eq!(Interval::fitting(range(24 * 30), 100).seconds(), 43_200);
    }

    #[test]
    fn a_series_has_a_point_for_each_interval_that_its_range_touches() {
        let minute = Interval::of_seconds(60).expect("whole");
        let mut series = Series::empty(Range { from: 59_999, to: 180_001 }, minute).expect("few");
        assert_eq!((series.from, series.to(), series.points.len()), (0, 240, 4));
        assert!(series.point(-1).is_none() && series.point(240).is_none());
        *series.point(119).expect("inside") = Some(Sums::default());
        assert!(series.points[1].is_some());
        assert!(Series::empty(Range { from: 0, to: 60_000 * 1_501 }, minute).is_none(), "too many");
    }
}
