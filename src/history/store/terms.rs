//! The conditions of a filter that are the same in every database.

use crate::exchange::outcome::Outcome;
use crate::history::codes::Coded;
use crate::history::query::Filter;

/// The conditions on numbers and closed sets, with their values written out: an index of failures is used only where the
/// statement itself says that these are failures.
pub(super) fn written_out(filter: &Filter) -> impl Iterator<Item = String> {
    let terms = [
        filter.outcome.map(|outcome| format!("outcome = {}", outcome.code())),
        filter.operation.map(|operation| format!("operation = {}", operation.code())),
        filter.is_of_failures().then(|| format!("outcome <> {}", Outcome::Completed.code())),
        filter.min_duration_us.map(|least| format!("duration_us >= {least}")),
    ];
    terms.into_iter().flatten()
}
