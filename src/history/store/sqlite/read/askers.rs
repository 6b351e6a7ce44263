//! Who has asked: tenants, and the products of clients without one.

use super::{Reading, begin};
use crate::history::names::NameKind;
use crate::history::query::Range;
use crate::history::query::askers::{Asker, MOST};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::open;
use crate::history::store::sqlite::schema::FileKind;

impl Reading {
    /// The tenants, and the products of clients without one, of exchanges that ended in the hours of a range; by name.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn askers(&self, range: Range) -> Result<Vec<Asker>, StoreError> {
        let hours = Range { from: Step::Hour.begin(range.from) * 1_000, to: range.to };
        if let Some(answer) = self.remotely(|remote| remote.askers(hours)) {
            return answer;
        }
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(Vec::new()) };
        let select = || {
            begin(&connection, self.deadline())?;
            let mut select = connection.prepare(&format!(
                "SELECT DISTINCT n.name, n.kind = ?4 FROM rollups r JOIN names n ON n.id = r.tenant \
                 WHERE r.step = ?1 AND r.at >= ?2 AND r.at < ?3 ORDER BY n.name LIMIT {MOST}"
            ))?;
            let from = Step::Hour.begin(range.from);
            let bounds = (Step::Hour.seconds(), from, range.to.div_euclid(1000) + 1, NameKind::Tenant.as_str());
            let asker =
                |row: &rusqlite::Row<'_>| Ok(Asker { name: row.get::<_, String>(0)?.into(), is_tenant: row.get(1)? });
            select.query_map(bounds, asker)?.collect::<Result<_, _>>()
        };
        select().map_err(|error| StoreError::of(&error, &path))
    }
}
