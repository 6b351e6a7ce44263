//! Sums over time: one for each interval of a range.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Filter, Range};
use crate::exchange::vocabulary::Operation;
use crate::history::codes::Coded as _;
use crate::history::rollup::{Measure, OperationKey, Step, Sums};

/// Most intervals of an answer.
pub const MAX_POINTS: usize = 1_500;

/// Most intervals of an answer for which rows are read: a quarter of an hour of ten seconds, widened.
pub const MAX_FINE_POINTS: usize = 92;

/// The length of an interval: a multiple of a minute, or ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(i64);

impl Interval {
    /// The only one that is shorter than a minute. There are no sums of it: rows are read.
    pub const FINE: Self = Self(10);

    /// An hour.
    pub const HOUR: Self = Self(3_600);

    /// Of seconds; `None` unless these are ten, or whole minutes, and whole hours above an hour.
    #[must_use]
    pub const fn of_seconds(seconds: i64) -> Option<Self> {
        let is_whole = seconds > 0 && seconds % 60 == 0 && (seconds < 3600 || seconds % 3600 == 0);
        if is_whole || seconds == Self::FINE.0 { Some(Self(seconds)) } else { None }
    }

    /// Whether rows are read for it.
    #[must_use]
    pub const fn is_fine(self) -> bool {
        self.0 < 60
    }

    /// Most intervals of an answer.
    #[must_use]
    pub const fn max_points(self) -> usize {
        if self.is_fine() { MAX_FINE_POINTS } else { MAX_POINTS }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The sums that it is made of, or is a part of.
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

    /// The same, and an hour at least where hours are kept whose minutes are gone. `hours_alone_until` is where the newest
    /// of these ends, in milliseconds since the epoch.
    #[must_use]
    pub fn fitting_kept(range: Range, points: usize, hours_alone_until: Option<i64>) -> Self {
        match Self::fitting(range, points) {
            fitting if fitting.step() == Step::Minute && Some(range.from) < hours_alone_until => Self::HOUR,
            fitting => fitting,
        }
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
    /// Of which of them the durations are.
    pub durations: DurationsOf,
}

/// The exchanges whose durations are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurationsOf {
    /// All.
    #[default]
    All,
    /// Generations alone, which are compared with their time to the first token: an embedding has none, a list of models
    /// takes a moment, and a pull minutes.
    Generations,
}

impl DurationsOf {
    /// Adds the sums of exchanges that asked for this operation.
    pub(in crate::history) fn merge(self, sum: &mut Sums, more: &Sums, operation: OperationKey) {
        let is_timed = match self {
            Self::All => true,
            Self::Generations => Operation::from_code(operation).is_some_and(Operation::generates),
        };
        sum.merge_of(more, |measure| is_timed || measure != Measure::Duration);
    }
}

/// The sums of one group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name; `None` of exchanges without one.
    pub name: Option<Arc<str>>,
    /// Its sums.
    pub series: Series,
}

/// Sums that are being added up, by group.
pub(in crate::history) struct Groups<K> {
    /// Of a group without exchanges.
    pub(in crate::history) empty: Series,
    /// What there is.
    pub(in crate::history) found: HashMap<K, Series>,
}

impl<K: Eq + std::hash::Hash> Groups<K> {
    pub(in crate::history) fn new(empty: Series) -> Self {
        Self { empty, found: HashMap::new() }
    }

    /// The sums of a group in the interval that this second is in; `None` outside.
    pub(in crate::history) fn at(&mut self, group: K, at: i64) -> Option<&mut Sums> {
        let series = self.found.entry(group).or_insert_with(|| self.empty.clone());
        series.point(at).map(Option::get_or_insert_default)
    }

    /// The groups by their names, those with the most exchanges first. Two that have one name are one.
    pub(in crate::history) fn named(self, name: impl Fn(&K) -> Option<Arc<str>>) -> Vec<Group> {
        let mut named: HashMap<Option<Arc<str>>, Series> = HashMap::new();
        for (key, series) in self.found {
            match named.entry(name(&key)) {
                hashbrown::hash_map::Entry::Vacant(vacant) => drop(vacant.insert(series)),
                hashbrown::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(&series),
            }
        }
        let mut all: Vec<_> = named.into_iter().map(|(name, series)| Group { name, series }).collect();
        all.sort_by(|a, b| (b.series.requests(), &a.name).cmp(&(a.series.requests(), &b.name)));
        all
    }

    /// As if all were one group.
    pub(in crate::history) fn together(self) -> Series {
        self.found.into_values().fold(self.empty, |mut all, series| {
            all.merge(&series);
            all
        })
    }
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
    /// Of nothing, for the intervals that a range touches. `None` where there would be too many.
    #[must_use]
    pub fn empty(range: Range, interval: Interval) -> Option<Self> {
        let length = interval.seconds();
        let from = range.from.div_euclid(length * 1000) * length;
        let to = (range.to - 1).div_euclid(length * 1000) * length + length;
        let count = usize::try_from((to - from) / length).ok()?;
        (count <= interval.max_points()).then(|| Self { from, interval, points: vec![None; count] })
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

    /// Adds the sums of another one with the same intervals.
    fn merge(&mut self, other: &Self) {
        for (sum, more) in self.points.iter_mut().zip(&other.points) {
            if let Some(more) = more {
                sum.get_or_insert_default().merge(more);
            }
        }
    }

    fn requests(&self) -> u64 {
        self.points.iter().flatten().map(|sums| sums.requests).sum()
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
        assert!(Interval::FINE.is_fine() && Interval::of_seconds(10) == Some(Interval::FINE));
        for seconds in [0, -60, 5, 59, 90, 5_400] {
            assert_eq!(Interval::of_seconds(seconds), None, "{seconds}");
        }
        let range = |hours: i64| Range { from: 0, to: hours * 3_600_000 };
        assert_eq!(Interval::fitting(range(1), 100).seconds(), 60);
        assert_eq!(Interval::fitting(range(24), 100).seconds(), 1_800);
        assert_eq!(Interval::fitting(range(24 * 30), 100).seconds(), 43_200);
    }

    #[test]
    fn where_minutes_are_gone_an_interval_is_an_hour() {
        const HOUR: i64 = 3_600_000;
        let of = |length: i64, until| {
            let range = Range { from: 10 * HOUR, to: (10 + length) * HOUR };
            Interval::fitting_kept(range, 100, until).seconds()
        };
        assert_eq!(of(24, Some(11 * HOUR)), 3_600);
        assert_eq!(of(24, Some(10 * HOUR)), 1_800, "it ends where the range begins");
        assert_eq!(of(24, None), 1_800);
        assert_eq!(of(24 * 30, Some(11 * HOUR)), 43_200, "it is of hours anyway");
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
        assert!(Series::empty(Range { from: 0, to: 900_000 }, Interval::FINE).is_some());
        assert!(Series::empty(Range { from: 0, to: 3_600_000 }, Interval::FINE).is_none(), "too many rows");
    }

    #[test]
    fn groups_of_one_name_are_one_and_the_largest_comes_first() {
        let empty = Series::empty(Range { from: 0, to: 120_000 }, Interval::of_seconds(60).expect("whole"));
        let mut groups = Groups::new(empty.expect("few"));
        for (key, at, requests) in [(1, 0, 1), (2, 60, 2), (3, 0, 2), (1, 60, 0), (3, 120, 9)] {
            if let Some(sums) = groups.at(key, at) {
                sums.requests += requests;
            }
        }
        let named = groups.named(|key| (*key != 2).then(|| "a".into()));
        let of = |group: &Group| {
            let points: Vec<_> = group.series.points.iter().map(|sums| sums.as_ref().map(|it| it.requests)).collect();
            (group.name.as_deref().map(str::to_owned), points)
        };
        let shown: Vec<_> = named.iter().map(of).collect();
        assert_eq!(shown, [(Some("a".to_owned()), vec![Some(3), Some(0)]), (None, vec![None, Some(2)])]);
    }
}
