//! Sums and percentiles of exchanges by minute and by hour, for each backend, model, tenant and operation.
//!
//! Pure. Promises: every exchange is in exactly one minute and one hour, that of its end, whether its row is kept or not;
//! folding and merging commute, so sums of two processes, or of the time before a crash and after it, are added and never
//! replaced. An exchange counts as started, and as busy, in the intervals in which it was.

mod sums;

use hashbrown::HashMap;
pub use sums::{Measure, Sums};

use super::codes::Coded;
use super::names::NameId;
use super::row::Row;

/// The length of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// 60 seconds.
    Minute,
    /// 3600 seconds.
    Hour,
}

impl Step {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// In seconds, which is how it is stored.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    /// The beginning of the interval that this time is in, in seconds since the epoch.
    #[must_use]
    pub const fn begin(self, millis: i64) -> i64 {
        millis.div_euclid(self.seconds() * 1000) * self.seconds()
    }
}

/// The dimensions by which sums are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimensions {
    /// The last backend that was tried.
    pub backend: NameId,
    /// The model.
    pub model: NameId,
    /// The tenant, else the client's product.
    pub tenant: NameId,
    /// What the backend was asked to do.
    pub operation: OperationKey,
}

impl Dimensions {
    /// Those of an exchange.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let tenant = if row.tenant.is_some() { row.tenant } else { row.client };
        Self { backend: row.backend, model: row.model, tenant, operation: row.operation.code() }
    }

    /// The name of the group that they are in.
    #[must_use]
    pub const fn of_group(&self, by: By) -> NameId {
        match by {
            By::Model => self.model,
            By::Backend => self.backend,
            By::Tenant => self.tenant,
        }
    }
}

/// What divides sums into groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The model.
    Model,
    /// The last backend that was tried.
    Backend,
    /// The tenant; of exchanges without one, the client's product.
    Tenant,
}

impl By {
    pub(in crate::history) const fn column(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Backend => "backend",
            Self::Tenant => "tenant",
        }
    }
}

/// An operation, as its number.
pub type OperationKey = u8;

/// One interval of one set of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The length of the interval.
    pub step: Step,
    /// Its beginning, in seconds since the epoch.
    pub at: i64,
    /// What is summed apart.
    pub of: Dimensions,
}

/// Most intervals over which the time of one exchange is spread: a day of minutes.
const MAX_BUSY: i64 = 1440;

/// The sums that are not yet merged into the files.
#[derive(Debug, Default)]
pub struct Rollups {
    /// The index of each interval in `sums`.
    places: HashMap<Key, usize>,
    /// Those of an hour lack the exchanges that ended in it.
    sums: Vec<(Key, Sums)>,
    /// The index last used, by step: most exchanges have the interval and dimensions of the one before them.
    last: [usize; Step::ALL.len()],
}

impl Rollups {
    /// Adds an exchange that ended at this time, in milliseconds since the epoch, counted `weight` times.
    pub fn fold(&mut self, row: &Row, ended: i64, weight: u64) {
        let of = Dimensions::of(row);
        let busy = row.duration.micros().unwrap_or(0);
        for step in Step::ALL {
            let at = step.begin(ended);
            let inside = u64::try_from(ended - at * 1000).unwrap_or(0).saturating_mul(1000);
            let sums = self.at(step, at, of);
            // The exchanges that ended in an hour are those that ended in its minutes: see `Rollups::intervals`.
            if step == Step::Minute {
                sums.add_end(row, weight);
            }
            // Nearly every exchange ends in the interval in which it began.
            if busy <= inside {
                sums.started += weight;
                sums.busy_us += busy.saturating_mul(weight);
            } else {
                let begun = ended - i64::try_from(busy / 1000).unwrap_or(0);
                self.at(step, step.begin(begun), of).started += weight;
                self.spread(busy, inside, (step, at, of), weight);
            }
        }
    }

    /// As [`Rollups::fold`], where all intervals that the exchange was in are known already. Returns whether they are.
    pub fn fold_known(&mut self, row: &Row, ended: i64, weight: u64) -> bool {
        let of = Dimensions::of(row);
        // A millisecond more, as the beginning is rounded to one.
        let begun = ended - i64::try_from(row.duration.micros().unwrap_or(0) / 1000).unwrap_or(0) - 1;
        let are_known = Step::ALL.into_iter().all(|step| {
            let intervals = std::iter::successors(Some(step.begin(begun)), |at| Some(at + step.seconds()));
            let mut intervals = intervals.take_while(|at| *at <= step.begin(ended));
            intervals.all(|at| self.places.contains_key(&Key { step, at, of }))
        });
        if are_known {
            self.fold(row, ended, weight);
        }
        are_known
    }

    /// Spreads a duration over the intervals that it covers, from its end backwards, so that the remainder falls to the
    /// first. `inside` of it is in the last interval, which begins at `at`.
    fn spread(&mut self, busy: u64, inside: u64, (step, at, of): (Step, i64, Dimensions), weight: u64) {
        let (mut left, mut at, mut inside) = (busy, at, inside);
        for passed in 1..=MAX_BUSY {
            let here = if passed == MAX_BUSY { left } else { left.min(inside) };
            if here > 0 {
                self.at(step, at, of).busy_us += here.saturating_mul(weight);
            }
            left -= here;
            if left == 0 {
                return;
            }
            at -= step.seconds();
            inside = step.seconds().unsigned_abs() * 1_000_000;
        }
    }

    fn at(&mut self, step: Step, at: i64, of: Dimensions) -> &mut Sums {
        let Self { places, sums, last } = self;
        let (key, last) = (Key { step, at, of }, &mut last[step as usize]);
        if sums.get(*last).is_none_or(|(known, _)| *known != key) {
            *last = *places.entry(key).or_insert_with(|| {
                sums.push((key, Sums::default()));
                sums.len() - 1
            });
        }
        &mut sums[*last].1
    }

    /// The sums so far.
    #[must_use]
    pub fn intervals(&self) -> HashMap<Key, Sums> {
        let mut all: HashMap<_, _> = self.sums.iter().cloned().collect();
        for (key, sums) in self.sums.iter().filter(|(key, _)| key.step == Step::Minute) {
            let hour = Key { step: Step::Hour, at: Step::Hour.begin(key.at * 1000), of: key.of };
            let ended = Sums { started: 0, busy_us: 0, ..sums.clone() };
            all.entry(hour).or_default().merge(&ended);
        }
        all
    }

    /// The number of intervals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.places.clear();
        self.sums.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::row::sample;
    use crate::history::units::Count;

    const HOUR: i64 = 3_600_000;

    fn all(rollups: &Rollups, step: Step) -> Vec<(i64, Sums)> {
        let all = rollups.intervals().into_iter().filter(|(key, _)| key.step == step);
        let mut all: Vec<_> = all.map(|(key, sums)| (key.at, sums)).collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    #[test]
    fn an_exchange_ends_starts_and_is_busy_in_the_intervals_in_which_it_was() {
        let mut rollups = Rollups::default();
        // From 0:59:30 to 1:01:10.
        rollups.fold(&sample(Duration::from_secs(100)), HOUR + 70_000, 1);
        let minutes: Vec<_> =
            all(&rollups, Step::Minute).iter().map(|(at, it)| (*at, it.started, it.requests, it.busy_us)).collect();
        assert_eq!(minutes, [(3_540, 1, 0, 30_000_000), (3_600, 0, 0, 60_000_000), (3_660, 0, 1, 10_000_000)]);
        let hours: Vec<_> =
            all(&rollups, Step::Hour).iter().map(|(at, it)| (*at, it.started, it.requests, it.busy_us)).collect();
        assert_eq!(hours, [(0, 1, 0, 30_000_000), (3_600, 0, 1, 70_000_000)]);
    }

    #[test]
    fn an_exchange_of_known_intervals_makes_no_new_one() {
        let mut rollups = Rollups::default();
        assert!(!rollups.fold_known(&sample(Duration::from_secs(1)), HOUR + 70_000, 1) && rollups.is_empty());
        rollups.fold(&sample(Duration::from_secs(20)), HOUR + 70_000, 1);
        let known = rollups.len();
        assert!(rollups.fold_known(&sample(Duration::from_secs(20)), HOUR + 71_000, 2));
        assert!(!rollups.fold_known(&sample(Duration::from_secs(20)), HOUR + 121_000, 1), "another minute");
        assert!(!rollups.fold_known(&sample(Duration::from_secs(72)), HOUR + 71_000, 1), "it began in another hour");
        let minute = &all(&rollups, Step::Minute)[1].1;
        assert_eq!((minute.requests, rollups.len()), (3, known));
    }

    #[test]
    fn the_time_of_the_longest_exchange_is_all_there() {
        let mut rollups = Rollups::default();
        let days = Duration::from_secs(3 * 86_400);
        rollups.fold(&sample(days), 1_000 * HOUR, 2);
        for step in Step::ALL {
            let busy: u64 = all(&rollups, step).iter().map(|(_, sums)| sums.busy_us).sum();
            assert_eq!(u128::from(busy), 2 * days.as_micros());
        }
    }

    #[test]
    fn sums_of_parts_are_those_of_the_whole_and_a_weight_counts_as_often() {
        let row =
            |generated: Option<u64>| Row { generated: Count::from(generated), ..sample(Duration::from_millis(20)) };
        let (mut whole, mut one, mut other) = (Rollups::default(), Rollups::default(), Rollups::default());
        for (at, generated) in [(1, Some(4)), (2, None), (3, Some(0))] {
            whole.fold(&row(generated), HOUR + 1_000 * at, 1);
            if at < 2 { &mut one } else { &mut other }.fold(&row(generated), HOUR + 1_000 * at, 1);
        }
        let mut merged = all(&one, Step::Hour)[0].1.clone();
        merged.merge(&all(&other, Step::Hour)[0].1);
        let whole = &all(&whole, Step::Hour)[0].1;
        assert_eq!((merged.requests, merged.generated, merged.prompt), (3, Some(4), None), "unknown stays unknown");
        assert_eq!(format!("{merged:?}"), format!("{whole:?}"));

        let mut weighted = Rollups::default();
        weighted.fold(&row(Some(4)), HOUR + 1_000, 5);
        let sums = &all(&weighted, Step::Hour)[0].1;
        assert_eq!((sums.requests, sums.generated, sums.bytes_in), (5, Some(20), 15));
        assert_eq!(sums.sketch(Measure::Duration).count(), 5);
    }

    #[test]
    fn only_prompts_whose_cached_tokens_are_reported_are_what_these_are_a_share_of() {
        let row = |prompt: u64, cached: Option<u64>| Row {
            prompt: Count::from(Some(prompt)),
            cached: Count::from(cached),
            ..sample(Duration::from_millis(20))
        };
        let mut rollups = Rollups::default();
        for (prompt, cached) in [(100, Some(50)), (300, None), (100, Some(0))] {
            rollups.fold(&row(prompt, cached), HOUR + 1_000, 2);
        }
        for step in Step::ALL {
            let sums = &all(&rollups, step)[0].1;
            assert_eq!((sums.prompt, sums.cached, sums.cached_of), (Some(1_000), Some(100), Some(400)));
        }
    }

    /// Requests, started, busy microseconds and durations of the intervals of a step, by their beginnings.
    fn sums(rollups: &Rollups, step: Step) -> Vec<(i64, u64, u64, u64, u64)> {
        let of = |(at, sums): (i64, Sums)| {
            (at, sums.requests, sums.started, sums.busy_us, sums.sketch(Measure::Duration).count())
        };
        all(rollups, step).into_iter().map(of).collect()
    }

    #[test]
    fn an_exchange_counts_once_in_its_minute_and_once_in_its_hour() {
        let mut rollups = Rollups::default();
        // Twice within a minute; over two minutes; over two hours.
        rollups.fold(&sample(Duration::from_micros(1_500_999)), HOUR + 90_000, 1);
        rollups.fold(&sample(Duration::from_secs(1)), HOUR + 91_000, 2);
        rollups.fold(&sample(Duration::from_secs(20)), HOUR + 125_000, 1);
        rollups.fold(&sample(Duration::from_secs(4)), HOUR + 1_000, 1);
        let minutes = [
            (3_540, 0, 1, 3_000_000, 0),
            (3_600, 1, 0, 1_000_000, 1),
            (3_660, 3, 4, 1_500_999 + 2_000_000 + 15_000_000, 3),
            (3_720, 1, 0, 5_000_000, 1),
        ];
        assert_eq!(sums(&rollups, Step::Minute), minutes);
        assert_eq!(sums(&rollups, Step::Hour), [(0, 0, 1, 3_000_000, 0), (3_600, 5, 4, 24_500_999, 5)]);
        rollups.clear();
        rollups.fold(&sample(Duration::from_secs(1)), HOUR + 90_000, 1);
        assert_eq!(sums(&rollups, Step::Hour), [(3_600, 1, 1, 1_000_000, 1)]);
    }

    #[test]
    fn what_ends_a_moment_into_an_interval_was_in_the_one_before_too() {
        let mut rollups = Rollups::default();
        rollups.fold(&sample(Duration::from_micros(5_500)), HOUR + 5, 1);
        assert_eq!(sums(&rollups, Step::Hour), [(0, 0, 0, 500, 0), (3_600, 1, 1, 5_000, 1)]);
    }
}
