//! Reads the machine, whether its facts can be written or not.

use std::sync::PoisonError;
use std::time::Instant;

use super::Writer;
use crate::history::store::error::StoreError;

/// Intervals whose means may wait while writing is paused: a day of minutes.
const MAX_MEANS: usize = 1_500;

impl Writer {
    /// Takes a reading where one is due.
    pub(super) fn sample(&mut self, now: Instant) {
        let Some(machine) = self.machine.get().filter(|_| self.due.sample <= now) else { return };
        self.due.sample = now + self.pace.sample;
        let sample = (machine.read.lock().unwrap_or_else(PoisonError::into_inner))();
        if let Some(sample) = sample {
            if self.means.0.len() < MAX_MEANS {
                self.means.add(&sample);
            }
            self.recent.push(sample);
        }
    }

    /// Adds the means to those in the file.
    pub(super) fn merge_machine(&mut self) -> Result<(), StoreError> {
        let (Some(store), Some(machine)) = (&mut self.store, self.machine.get()) else { return Ok(()) };
        if !self.means.0.is_empty() {
            store.merge_machine(&machine.node, &self.means)?;
            self.means.0.clear();
        }
        Ok(())
    }
}
