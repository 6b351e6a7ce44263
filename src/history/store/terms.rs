//! The conditions of a filter that are the same in every database.

use crate::exchange::outcome::Outcome;
use crate::exchange::vocabulary::Operation;
use crate::history::codes::Coded;
use crate::history::query::Filter;

/// The conditions on numbers and closed sets, with their values written out: an index of failures is used only where the
/// statement itself says that these are failures.
pub(super) fn written_out(filter: &Filter) -> impl Iterator<Item = String> {
    let terms = [
        filter.error.map(|error| format!("error = {}", error.code())),
        filter.status.map(|status| format!("status = {status}")),
        filter.outcome.map(|outcome| format!("outcome = {}", outcome.code())),
        operations(filter),
        filter.is_of_failures().then(|| format!("outcome <> {}", Outcome::Completed.code())),
        filter.min_duration_us.map(|least| format!("duration_us >= {least}")),
    ];
    terms.into_iter().flatten()
}

/// The condition on what was asked for, of exchanges and of sums; `None` where everything is meant.
pub(super) fn operations(filter: &Filter) -> Option<String> {
    if filter.operation.is_none() && !filter.inference {
        return None;
    }
    let wanted = Operation::CODES.iter().filter(|(_, operation)| filter.has_operation(*operation));
    let codes: Vec<_> = wanted.map(|(code, _)| code.to_string()).collect();
    // An embedding is no pull: of both together there are none.
    Some(if codes.is_empty() { "0 = 1".to_owned() } else { format!("operation IN ({})", codes.join(", ")) })
}
