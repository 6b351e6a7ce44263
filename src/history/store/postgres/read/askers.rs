//! Who has asked, of all replicas.

use super::page::condition;
use super::sums::bounds;
use super::{RemoteReading, borrowed};
use crate::history::names::NameKind;
use crate::history::query::Range;
use crate::history::query::askers::{Asker, ConversationsQuery, MOST, MOST_CONVERSATIONS};
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

    /// How many different conversations exchanges name. Each replica has a salt of its own: one that went to two of them is
    /// counted twice.
    pub(in crate::history) fn conversations(&self, query: &ConversationsQuery) -> Result<Option<u64>, StoreError> {
        let (condition, values) = condition(query.range, &query.filter());
        let select = format!(
            "SELECT count(*) FROM (SELECT DISTINCT conversation FROM exchanges WHERE {condition} AND {} \
             LIMIT {MOST_CONVERSATIONS}) found",
            query.condition()
        );
        let count: i64 = self.ask(|open| Ok(open.client.query_one(&select, &borrowed(&values))?.get(0)))?;
        Ok(u64::try_from(count).ok().filter(|count| *count > 0))
    }
}
