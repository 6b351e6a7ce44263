//! Who has asked, of all replicas.

use super::sums::bounds;
use super::{RemoteReading, borrowed};
use crate::history::names::NameKind;
use crate::history::query::Range;
use crate::history::query::askers::{Asker, MOST};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;

impl RemoteReading {
    /// The tenants, and the products of clients without one, of whole hours; by name.
    pub(in crate::history) fn askers(&self, range: Range) -> Result<Vec<Asker>, StoreError> {
        let select = format!(
            "SELECT DISTINCT n.name, n.kind FROM rollups r JOIN names n ON n.id = r.tenant \
             WHERE r.step = $1 AND r.at >= $2 AND r.at < $3 ORDER BY n.name LIMIT {MOST}"
        );
        self.ask(|open| {
            let found = open.client.query(&select, &borrowed(&bounds(Step::Hour, range)))?;
            let asker = |row: &tokio_postgres::Row| {
                let (name, kind): (&str, &str) = (row.get(0), row.get(1));
                Asker { name: name.into(), is_tenant: kind == NameKind::Tenant.as_str() }
            };
            Ok(found.iter().map(asker).collect())
        })
    }
}
