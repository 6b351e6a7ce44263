//! Turns the rows in the ring into rows with a time and a weight, and into sums.

use std::time::Instant;

use super::moment::Moment;
use super::waiting::Waiting;
use super::{MAX_SUMS, Writer};
use crate::history::recorder::{Finished, RING};
use crate::history::retention::Room;
use crate::history::rollup::{Dimensions, Step};
use crate::history::state::Dropped;
use crate::history::thinning;

/// Rows for which memory is kept from turn to turn, 1 MiB: a turn's at 20,000 exchanges a second. What is allocated anew for
/// each turn, the system has to clear for each.
const KEPT_BATCH: usize = 4_096;

impl Writer {
    /// Takes the rows in the ring: sums all of them, and queues those to be kept.
    pub(super) fn take(&mut self, moment: Moment) {
        let mut batch = std::mem::take(&mut self.batch);
        while batch.len() < RING
            && let Some(Finished { ended, row }) = self.ring.pop()
        {
            let ended = moment.wall_at(ended);
            let tops = self.tops.consider(Step::Hour.begin(ended), &row);
            batch.push(Waiting { ended, weight: 1, tops, row });
        }
        let others = self.ring.names.others();
        let is_of_others = |waiting: &&Waiting| {
            let tenant = Dimensions::of(&waiting.row).tenant;
            tenant.is_some() && others.contains(&tenant)
        };
        self.state.of_others(batch.iter().filter(is_of_others).count() as u64);
        for Waiting { ended, row, .. } in &batch {
            if self.rollups.len() < MAX_SUMS {
                self.rollups.fold(row, *ended, 1);
            } else if !self.rollups.fold_known(row, *ended, 1) {
                self.state.dropped(Dropped::NotSummed, 1);
            }
        }
        self.thin(&mut batch, moment.now);
        self.waiting.extend(batch.drain(..).filter(|waiting| waiting.weight > 0));
        // After a rush, its memory is given back.
        batch.shrink_to(KEPT_BATCH);
        self.batch = batch;
    }

    /// Sets the weights of a batch's rows. A row without one is not kept.
    fn thin(&mut self, batch: &mut [Waiting], now: Instant) {
        if self.room == Room::Full {
            batch.iter_mut().for_each(|waiting| waiting.weight = 0);
            return self.state.dropped(Dropped::DayFull, batch.len() as u64);
        }
        let budget = self.budget.earn(now.saturating_duration_since(self.last_turn).as_secs_f64());
        let is_ordinary = |waiting: &&mut Waiting| waiting.row.is_ordinary() && waiting.tops == [None; 3];
        let mut ordinary: Vec<_> = batch.iter_mut().filter(is_ordinary).collect();
        let dimensions: Vec<_> = ordinary.iter().map(|waiting| Dimensions::of(&waiting.row)).collect();
        let weights = thinning::weights(&dimensions, budget);
        let kept = weights.iter().filter(|weight| **weight > 0).count();
        ordinary.iter_mut().zip(&weights).for_each(|(waiting, weight)| waiting.weight = *weight);
        self.budget.spend(kept as u64);
        self.state.thinned((weights.len() - kept) as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::history::recorder::Ring;
    use crate::history::row::sample;
    use crate::history::settings::{Pace, Settings};
    use crate::history::state::HistoryState;

    #[test]
    fn sums_of_known_intervals_go_on_where_no_more_can_wait() {
        let state = Arc::<HistoryState>::default();
        let ring = Arc::new(Ring::new(8, Arc::default(), state.clone(), Box::new(|_, _, _| None)));
        let (settings, pace) = (Settings::default(), Pace::default());
        let mut writer = Writer::new(ring.clone(), state.clone(), settings, pace, Box::new(SystemTime::now));
        let row = sample(Duration::from_millis(5));
        let in_minute = |minute: usize| i64::try_from(minute).expect("small") * 60_000 + 30_000;
        (0..MAX_SUMS).for_each(|minute| writer.rollups.fold(&row, in_minute(minute), 1));
        let now = Instant::now();
        for minute in [0, 0, MAX_SUMS] {
            ring.push(Finished { ended: now, row });
            writer.take(Moment { now, wall: in_minute(minute) });
        }
        let requests: u64 = writer.rollups.intervals().values().map(|sums| sums.requests).sum();
        // Each is in a minute and in an hour.
        assert_eq!(requests, 2 * (MAX_SUMS as u64 + 2));
        assert_eq!(state.health().dropped[Dropped::NotSummed as usize], 1);
        assert_eq!(state.health().lost(), 0, "its row is not lost");
    }
}
