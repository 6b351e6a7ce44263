//! What is too old, or too much, is removed.

use super::Writer;
use crate::history::retention::{self, KeptDay};
use crate::history::store::error::StoreError;

impl Writer {
    /// Removes files and sums beyond what is to be kept, and measures what is.
    pub(super) fn retain(&mut self, wall: i64) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        if !store.is_in_place() {
            // Somebody removed the files: writing goes on in new ones.
            self.store = None;
            return Ok(());
        }
        let directory = store.directory().clone();
        let days: Vec<_> =
            directory.days().into_iter().map(|day| KeptDay { day, bytes: directory.day_bytes(day) }).collect();
        let expired = retention::expired_days(&days, &self.settings.retention, wall);
        for day in &expired {
            store.remove_day(*day)?;
            tracing::debug!(%day, "removed the exchanges of a day from the history");
        }
        let settled = store.settle_others()?;
        if settled > 0 {
            tracing::info!(rows = settled, "another process ended unexpectedly: its last exchanges were summed");
        }
        store.expire(&self.settings.retention, wall)?;
        store.expire_journal(&self.settings.retention, wall)?;
        let oldest = store.oldest()?;
        self.state.set_entries(store.kept_entries()?);
        self.state.set_kept(directory.bytes(), oldest);
        Ok(())
    }
}
