//! What the tables beside exchanges and sums have beyond a cursor.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::{Tail, Values, failed, read};
use crate::history::journal::job::JobState;
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::mirrored::Mirrored;

impl Tail {
    /// The first events and audit entries after an id.
    pub(in crate::history) fn events(&self, of: &Mirrored, after: i64, most: usize) -> Result<Vec<Values>, StoreError> {
        self.table(of, &format!("id > ? ORDER BY id LIMIT {most}"), vec![Value::Integer(after)])
    }

    /// Jobs that run, those of these ids, and those after an id.
    pub(in crate::history) fn jobs(
        &self,
        of: &Mirrored,
        after: i64,
        ids: impl Iterator<Item = i64>,
    ) -> Result<Vec<Values>, StoreError> {
        let mut values = vec![Value::Integer(after), Value::Text(JobState::Running.as_str().to_owned())];
        values.extend(ids.map(Value::Integer));
        let places = vec!["?"; values.len() - 2].join(", ");
        self.table(of, &format!("id > ? OR state = ? OR id IN ({places}) ORDER BY id"), values)
    }

    /// Alerts that began, were acknowledged or ended from a time on, in milliseconds since the epoch.
    pub(in crate::history) fn alerts(&self, of: &Mirrored, from: i64) -> Result<Vec<Values>, StoreError> {
        let changed = "max(fired, ifnull(resolved, 0), ifnull(acked_at, 0)) >= ? ORDER BY started, id";
        self.table(of, changed, vec![Value::Integer(from)])
    }

    /// The first entries of the top lists from an hour on, in seconds since the epoch, that follow an entry of them.
    pub(in crate::history) fn tops(
        &self,
        of: &Mirrored,
        from: i64,
        after: Option<&Values>,
        most: usize,
    ) -> Result<Vec<Values>, StoreError> {
        let order = format!("ORDER BY at, measure, value, exchange LIMIT {most}");
        match after {
            None => self.table(of, &format!("at >= ? {order}"), vec![Value::Integer(from)]),
            Some(after) => {
                self.table(of, &format!("(at, measure, value, exchange) > (?, ?, ?, ?) {order}"), after[..4].to_vec())
            }
        }
    }

    /// The means of a step from a time on, in seconds since the epoch.
    pub(in crate::history) fn means(&self, of: &Mirrored, step: Step, from: i64) -> Result<Vec<Values>, StoreError> {
        self.table(of, "step = ? AND at >= ? ORDER BY at", vec![Value::Integer(step.seconds()), Value::Integer(from)])
    }

    fn table(&self, of: &Mirrored, condition: &str, values: Vec<Value>) -> Result<Vec<Values>, StoreError> {
        let Some(connection) = self.main()? else { return Ok(Vec::new()) };
        let columns: Vec<_> = of.columns.iter().map(|column| column.expression).collect();
        let select = format!("SELECT {} FROM {} WHERE {condition}", columns.join(", "), of.from);
        read(&connection, &select, params_from_iter(values)).map_err(failed(&self.0.main()))
    }
}
