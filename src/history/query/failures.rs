//! Exchanges that did not complete, counted by how they ended.

use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::exchange::outcome::{ErrorType, Outcome};
use crate::history::id::RowId;

/// How an exchange ended, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong; `None` where nothing did.
    pub error: Option<ErrorType>,
    /// The status that the client got.
    pub status: u16,
    /// The last backend that was tried; `None` where there was none.
    pub backend: Option<Arc<str>>,
    /// The model; `None` where no backend has confirmed its name.
    pub model: Option<Arc<str>>,
}

impl Ending {
    /// Whether it failed: its client did not leave, and the request was not refused with a status of 400 to 499.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self.outcome {
            Outcome::Completed | Outcome::ClientCancelled => false,
            Outcome::HttpError => self.error.is_some(),
            _ => true,
        }
    }
}

/// Exchanges that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAlike {
    /// How they ended.
    pub ending: Ending,
    /// How many, with those whose rows were left out by thinning.
    pub count: u64,
    /// The newest of them.
    pub newest: RowId,
}

/// Those of several days together, the most frequent first, and of as many the one that was seen last.
#[must_use]
pub fn together(all: Vec<EndedAlike>) -> Vec<EndedAlike> {
    let mut sums: HashMap<Ending, (u64, RowId)> = HashMap::new();
    for one in all {
        let (count, newest) = sums.entry(one.ending).or_insert((0, one.newest));
        *count += one.count;
        *newest = one.newest.max(*newest);
    }
    let ended_alike = |(ending, (count, newest))| EndedAlike { ending, count, newest };
    let mut all: Vec<_> = sums.into_iter().map(ended_alike).collect();
    all.sort_by_key(|one| (Reverse(one.count), Reverse(one.newest)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(outcome: Outcome, error: Option<ErrorType>, model: &str) -> Ending {
        Ending { outcome, error, status: 200, backend: None, model: Some(model.into()) }
    }

    #[test]
    fn days_are_added_up_and_the_most_frequent_is_first() {
        let truncated = ending(Outcome::Truncated, Some(ErrorType::Truncated), "a");
        let left = ending(Outcome::ClientCancelled, None, "a");
        let one = |ending: &Ending, count, at| EndedAlike { ending: ending.clone(), count, newest: RowId(at) };
        let all = together(vec![one(&truncated, 2, 50), one(&left, 4, 60), one(&truncated, 3, 40)]);
        assert_eq!(all, [one(&truncated, 5, 50), one(&left, 4, 60)]);
        assert_eq!(together(vec![one(&left, 1, 1), one(&truncated, 1, 2)])[0].ending, truncated, "the newer one");
    }

    #[test]
    fn neither_who_left_nor_a_request_that_was_refused_is_a_failure() {
        let is_failure = |outcome, error| ending(outcome, error, "a").is_failure();
        assert!(!is_failure(Outcome::ClientCancelled, None));
        assert!(!is_failure(Outcome::HttpError, None), "400 to 499 have no error");
        assert!(is_failure(Outcome::HttpError, Some(ErrorType::Http5xx)));
        assert!(is_failure(Outcome::Rejected, Some(ErrorType::Limit)));
        assert!(is_failure(Outcome::Truncated, Some(ErrorType::Truncated)));
    }
}
