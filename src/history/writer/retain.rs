//! What is too old, or too much, is removed.

use super::Writer;
use crate::history::retention::{self, KeptDay, Room, SCARCE_RATE};
use crate::history::store::error::StoreError;
use crate::history::thinning::Budget;

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
        let room = retention::room(&days, &self.settings.retention, wall);
        let expired = retention::expired_days(&days, &self.settings.retention, wall);
        for day in &expired {
            store.remove_day(*day)?;
            tracing::debug!(%day, "removed the exchanges of a day from the history");
        }
        store.begin_settling()?;
        store.expire(&self.settings.retention, wall)?;
        store.expire_journal(&self.settings.retention, wall)?;
        let oldest = store.oldest()?;
        self.state.set_entries(store.kept_entries()?);
        self.state.set_kept(directory.bytes(), oldest);
        self.set_room(room);
        Ok(())
    }

    /// Keeps as many rows as there is room for.
    fn set_room(&mut self, room: Room) {
        if std::mem::replace(&mut self.room, room) == room {
            return;
        }
        let rate = if room == Room::Enough { self.settings.raw_rate } else { self.settings.raw_rate.min(SCARCE_RATE) };
        self.budget = Budget::new(rate);
        match room {
            Room::Enough => {}
            Room::Scarce => tracing::warn!(
                rate,
                "the exchanges of today alone have reached retention.exchanges_size: of ordinary ones, only this many a second are kept"
            ),
            Room::Full => tracing::warn!(
                "the exchanges of today alone have passed retention.exchanges_size by a quarter: no more are kept today; sums go on"
            ),
        }
    }
}
