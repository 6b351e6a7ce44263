//! What became of errors: whether somebody has acknowledged an alert about them, or what failed has worked since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::alert::kept::restored;
use crate::alert::raised::Alert;
use crate::alert::rule::Category;
use crate::exchange::outcome::Outcome;
use crate::history::journal::event::EventKind;
use crate::history::query::lists::{ListFilter, ListQuery, ListedError, MAX_LIST};
use crate::history::query::{Filter, PageQuery, Range};
use crate::history::{Reading, StoreError};

/// Subjects of errors for which a later success is looked for, at most, of the errors of a call. What is left out counts as
/// open.
const MAX_SUBJECTS: usize = 20;

/// How long before an alert began an error may have been that it is about, in milliseconds: rules look back this far.
const LOOK_BACK: i64 = 600_000;

/// What became of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nobody has acknowledged it, and what failed has worked since.
    AutoResolved,
    /// Somebody has acknowledged an alert about it since.
    Acknowledged,
    /// Neither.
    Open,
}

impl Course {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AutoResolved => "auto_resolved",
            Self::Acknowledged => "manual_intervention",
            Self::Open => "investigating",
        }
    }
}

/// What must work again for an error to be over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    /// The event that says so.
    ended_by: Option<EventKind>,
    /// A completed exchange on it says so.
    backend: Option<Arc<str>>,
    /// With this model; `None` where the error is not about one: then any model does.
    model: Option<Arc<str>>,
}

impl Subject {
    fn of(error: &ListedError) -> Self {
        let backend = error.backend.clone();
        match EventKind::ALL.iter().find(|kind| kind.as_str() == &*error.what) {
            Some(kind) => Self { ended_by: kind.ended_by(), backend, model: None },
            None => Self { ended_by: None, backend, model: error.resource.clone() },
        }
    }

    /// When it last worked in this range, in milliseconds since the epoch; `None` where it has not.
    fn last_success(&self, reading: &Reading, range: Range) -> Result<Option<i64>, StoreError> {
        let mut last = None;
        if let Some(kind) = self.ended_by {
            let what = Some(kind.as_str().into());
            let filter = ListFilter { what, backend: self.backend.as_deref().map(Into::into), ..ListFilter::default() };
            let found = reading.events(&ListQuery { range, filter, offset: 0, limit: 1 })?;
            last = found.entries.first().map(|event| event.at);
        }
        if self.backend.is_some() {
            let (backend, model) = (self.backend.clone(), self.model.clone());
            let filter = Filter { backend, model, outcome: Some(Outcome::Completed), ..Filter::default() };
            let newest = reading.newest(&PageQuery { range, filter, offset: 0, limit: 1 })?;
            last = last.max(newest.exchanges.first().map(|exchange| exchange.id.millis()));
        }
        Ok(last)
    }
}

/// What is known of later successes and of acknowledgements.
pub(super) struct Since {
    successes: HashMap<Subject, Option<i64>>,
    acknowledged: Vec<Alert>,
}

impl Since {
    /// Looks for what came after the errors of these lists, the newest of each first, until an instant in milliseconds since
    /// the epoch. A list does not change what is found for the ones before it.
    pub(super) fn look(reading: &Reading, lists: &[&[ListedError]], to: i64) -> Result<Self, StoreError> {
        let all = || lists.iter().flat_map(|errors| errors.iter());
        // The time of the oldest error of each subject.
        let mut oldest: HashMap<Subject, i64> = HashMap::new();
        for error in all() {
            let at = oldest.entry(Subject::of(error)).or_insert(error.at);
            *at = error.at.min(*at);
        }
        let mut successes = HashMap::new();
        for errors in lists {
            let new = errors.iter().map(Subject::of).filter(|subject| !successes.contains_key(subject));
            let (mut seen, mut looked_for) = (HashSet::new(), Vec::new());
            looked_for.extend(new.filter(|subject| seen.insert(subject.clone())).take(MAX_SUBJECTS));
            for subject in looked_for {
                // A question that runs out of time counts as no success.
                let range = Range { from: oldest[&subject], to };
                let last = subject.last_success(reading, range).unwrap_or(None);
                successes.insert(subject, last);
            }
        }
        let acknowledged = match all().map(|error| error.at).min() {
            Some(from) => acknowledged(reading, Range { from, to })?,
            None => Vec::new(),
        };
        Ok(Self { successes, acknowledged })
    }

    /// What became of an error of these lists.
    pub(super) fn course(&self, error: &ListedError) -> Course {
        let later = self.successes.get(&Subject::of(error)).copied().flatten();
        if self.acknowledged.iter().any(|alert| is_acknowledged(error, alert)) {
            Course::Acknowledged
        } else if later.is_some_and(|at| at > error.at) {
            Course::AutoResolved
        } else {
            Course::Open
        }
    }
}

/// Alerts that fired within a range and that somebody has acknowledged here.
fn acknowledged(reading: &Reading, range: Range) -> Result<Vec<Alert>, StoreError> {
    let filter = ListFilter::default();
    let found = reading.alerts(&ListQuery { range, filter, offset: 0, limit: MAX_LIST })?;
    Ok(found.entries.iter().filter(|alert| alert.acknowledged.is_some()).map(restored).collect())
}

/// Whether somebody has acknowledged, after an error, an alert that it may have raised or that fired already: of its backend,
/// and of its model where the alert has one; of an error without a backend, of its part of the program.
fn is_acknowledged(error: &ListedError, alert: &Alert) -> bool {
    let is_in_time = alert.started - LOOK_BACK <= error.at
        && alert.resolved.is_none_or(|resolved| error.at < resolved)
        && alert.acknowledged.as_ref().is_some_and(|it| error.at <= it.at);
    let is_about_it = match &error.backend {
        Some(backend) => {
            let model = alert.labels.get("model");
            *alert.category == *Category::Backend.as_str()
                && alert.labels.get("backend") == &**backend
                && (model.is_empty() || error.resource.as_deref() == Some(model))
        }
        None => *alert.category == *error.component,
    };
    is_in_time && is_about_it
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::labels::Labels;
    use crate::alert::raised::Acknowledgement;
    use crate::alert::rule::Severity;

    fn alert(backend: &str, model: &str) -> Alert {
        Alert {
            id: "id".into(),
            rule: "rule".into(),
            severity: Severity::Warning,
            category: "backend".into(),
            labels: Labels::default().with("backend", backend).with("model", model),
            value: None,
            threshold: None,
            started: 1_000_000,
            fired: Some(1_060_000),
            resolved: Some(2_000_000),
            summary: Box::default(),
            description: Box::default(),
            runbook: None,
            actions: [].into(),
            acknowledged: Some(Acknowledgement { by: None, at: 1_500_000 }),
            silence: None,
        }
    }

    fn error(at: i64, backend: Option<&str>) -> ListedError {
        ListedError {
            at,
            severity: "high",
            what: "http_5xx".into(),
            component: "upstream".into(),
            message: Box::default(),
            backend: backend.map(Into::into),
            resource: Some("m".into()),
            who: None,
            status: None,
            trace: None,
        }
    }

    #[test]
    fn an_alert_that_somebody_acknowledged_is_about_the_errors_before_that_on_its_backend_and_model() {
        let at = |at| is_acknowledged(&error(at, Some("a")), &alert("a", ""));
        assert_eq!([399_999, 400_000, 1_500_000, 1_500_001].map(at), [false, true, true, false]);
        let of = |backend: &str, model: &str| is_acknowledged(&error(1_200_000, Some("a")), &alert(backend, model));
        assert_eq!([of("b", ""), of("a", "m"), of("a", "n")], [false, true, false]);
        assert!(!is_acknowledged(&error(1_200_000, None), &alert("a", "")), "it is about no backend");
        let latency = Alert { category: "latency".into(), ..alert("a", "m") };
        assert!(!is_acknowledged(&error(1_200_000, Some("a")), &latency), "slow answers are no errors");
        let nobody = Alert { acknowledged: None, ..alert("a", "") };
        assert!(!is_acknowledged(&error(1_200_000, Some("a")), &nobody));
        let paused = Alert { category: "history".into(), labels: Labels::default(), ..alert("", "") };
        let event = ListedError { component: "history".into(), ..error(1_200_000, None) };
        assert!(is_acknowledged(&event, &paused));
    }
}
