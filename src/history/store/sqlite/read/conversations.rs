//! How many conversations there were, of exchanges whose rows are kept.

use hashbrown::HashSet;

use super::Reading;
use super::page::condition;
use crate::history::query::askers::{ConversationsQuery, MOST_CONVERSATIONS};
use crate::history::store::error::StoreError;

impl Reading {
    /// How many different conversations the exchanges of a range name, at most [`MOST_CONVERSATIONS`]. `None` where none of
    /// them names one.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn conversations(&self, query: &ConversationsQuery) -> Result<Option<u64>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.conversations(query)) {
            return answer;
        }
        let (deadline, mut found) = (self.deadline(), HashSet::<[u8; 8]>::new());
        for day in self.days_of(query.range) {
            let Some(open) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&open, &self.names, query.range, &query.filter()) else {
                continue;
            };
            // Left to itself the database reads every row of the range.
            let select = format!(
                "SELECT DISTINCT conversation FROM exchanges INDEXED BY exchanges_conversation {condition} AND {} \
                 LIMIT {MOST_CONVERSATIONS}",
                query.condition()
            );
            let read = || {
                let mut select = open.connection.prepare(&select)?;
                let each = select.query_map(rusqlite::params_from_iter(&values), |row| row.get::<_, [u8; 8]>(0))?;
                each.collect::<Result<Vec<_>, _>>()
            };
            found.extend(read().map_err(|error| StoreError::of(&error, &open.path))?);
            if found.len() >= MOST_CONVERSATIONS {
                break;
            }
        }
        let count = found.len().min(MOST_CONVERSATIONS) as u64;
        Ok((count > 0).then_some(count))
    }
}
