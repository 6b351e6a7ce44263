//! Turns the rows in the ring into rows with a time and a weight, and into sums.

use std::time::Instant;

use super::waiting::Waiting;
use super::{MAX_SUMS, Writer};
use crate::history::recorder::{Finished, RING};
use crate::history::rollup::{Dimensions, Step};
use crate::history::thinning;

impl Writer {
    /// Takes the rows in the ring: sums all of them, and queues those to be kept.
    pub(super) fn take(&mut self, now: Instant, wall: i64) {
        let mut batch = Vec::with_capacity(self.ring.len());
        while batch.len() < RING
            && let Some(Finished { ended, row }) = self.ring.pop()
        {
            let ago = now.saturating_duration_since(ended).as_millis();
            let ended = wall - i64::try_from(ago).unwrap_or(0);
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
            }
        }
        self.thin(&mut batch, now);
        self.waiting.extend(batch.into_iter().filter(|waiting| waiting.weight > 0));
    }

    /// Sets the weights of a batch's rows. A row without one is not kept.
    fn thin(&mut self, batch: &mut [Waiting], now: Instant) {
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
