//! The machine over time.

use super::Reading;
use crate::history::machine::Fact;
use crate::history::query::{MachinePoint, Range};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::machine::means;
use crate::history::store::sqlite::open;
use crate::history::store::sqlite::schema::FileKind;

impl Reading {
    /// The means of each interval of a range that is kept, of every machine, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn machine(&self, step: Step, range: Range) -> Result<Vec<MachinePoint>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.machine(step, range)) {
            return answer;
        }
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(Vec::new()) };
        let select = || {
            super::begin(&connection, self.deadline())?;
            let columns = Fact::ALL.map(Fact::as_str).join(", ");
            let mut select = connection.prepare(&format!(
                "SELECT h.at, m.name, h.n, {columns} FROM host h JOIN names m ON m.id = h.node \
                 WHERE h.step = ?1 AND h.at >= ?2 AND h.at < ?3 ORDER BY h.at"
            ))?;
            let bounds = (step.seconds(), range.from.div_euclid(1000), range.to.div_euclid(1000));
            let point = |row: &rusqlite::Row<'_>| {
                let node: String = row.get(1)?;
                Ok(MachinePoint { at: row.get(0)?, node: node.into(), means: means(row, 2)? })
            };
            select.query_map(bounds, point)?.collect::<Result<_, _>>()
        };
        select().map_err(|error| StoreError::of(&error, &path))
    }
}
