//! The machines of all replicas over time.

use super::{RemoteReading, of_row};
use crate::history::machine::Fact;
use crate::history::query::{MachinePoint, Range};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::postgres::columns::as_row;
use crate::history::store::postgres::value::timestamp;
use crate::history::store::sqlite::tail::read_means;

impl RemoteReading {
    /// The means of each interval of a range that is kept, the oldest first.
    pub(in crate::history) fn machine(&self, step: Step, range: Range) -> Result<Vec<MachinePoint>, StoreError> {
        let select = format!(
            "SELECT extract(epoch FROM at)::bigint, node, n, {} FROM host WHERE step = {} AND at >= $1 AND at < $2 \
             ORDER BY at, replica",
            Fact::ALL.map(Fact::as_str).join(", "),
            step.seconds()
        );
        let (from, to) = (timestamp(range.from), timestamp(range.to));
        self.ask(|open| {
            let mut points = Vec::new();
            for row in open.client.query(&select, &[&from, &to])? {
                let point = as_row(&open.scratch, of_row(&row)?, |row| {
                    let node: String = row.get(1)?;
                    Ok(MachinePoint { at: row.get(0)?, node: node.into(), means: read_means(row, 2)? })
                });
                points.push(point?);
            }
            Ok(points)
        })
    }
}
