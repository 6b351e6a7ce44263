//! Removes what is too old from `main.db`, and says what is kept.

use std::os::unix::fs::MetadataExt;

use super::writer::Store;
use crate::history::day::Day;
use crate::history::rollup::Step;
use crate::history::settings::Retention;
use crate::history::store::error::StoreError;

/// Pages given back to the system at a time.
const VACUUM: &str = "PRAGMA incremental_vacuum(1000)";

impl Store {
    /// Removes the file of a day that is not being written.
    pub(in crate::history) fn remove_day(&mut self, day: Day) -> Result<(), StoreError> {
        self.forget_day_if(day);
        self.directory().remove_day(day)
    }

    /// Removes sums and samples that are too old.
    pub(in crate::history) fn expire(&mut self, retention: &Retention, now: i64) -> Result<(), StoreError> {
        let before = |age: std::time::Duration| now / 1000 - i64::try_from(age.as_secs()).unwrap_or(i64::MAX / 2);
        let (minutes, hours) = (before(retention.minutes), before(retention.hours));
        self.main().with(|transaction, _| {
            for (step, before) in Step::ALL.into_iter().zip([minutes, hours]) {
                for table in ["rollups", "ran", "host", "gpu"] {
                    let delete = format!("DELETE FROM {table} WHERE step = ?1 AND at < ?2");
                    transaction.execute(&delete, (step.seconds(), before))?;
                }
            }
            transaction.execute("DELETE FROM tops WHERE at < ?1", [hours])?;
            Ok(())
        })?;
        let main = self.main();
        let vacuum = main.connection.execute_batch(VACUUM);
        vacuum.map_err(|error| StoreError::of(&error, &main.path))
    }

    /// When the oldest exchange that is kept ended, in milliseconds since the epoch; `None` where none is.
    pub(in crate::history) fn oldest(&self) -> Result<Option<i64>, StoreError> {
        super::read::oldest(self.directory())
    }

    /// Whether the file that is open is the one that has its name.
    pub(in crate::history) fn is_in_place(&self) -> bool {
        let named = std::fs::metadata(self.directory().main()).map(|about| about.ino());
        named.ok() == Some(self.inode())
    }
}
