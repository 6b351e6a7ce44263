//! Which exchanges act on a backend's models: these are in the audit, and the long ones are jobs.

use std::sync::Arc;

use super::journal::Journal;
use super::journal::audit::{Action, ActionResult, Audit};
use super::journal::job::JobKind;
use super::journal::running::RunningJob;
use crate::exchange::outcome::Outcome;
use crate::exchange::record::{Record, Start};
use crate::exchange::vocabulary::{FinishReason, Operation, Route};

/// What a request with this route asks for; `None` where it acts on no model, or only its answer tells.
const fn requested(route: Route) -> Option<Action> {
    match route.operation {
        Operation::Pull => Some(Action::Pull),
        Operation::Push => Some(Action::Push),
        Operation::Create => Some(Action::Create),
        Operation::Other | Operation::Chat | Operation::TextCompletion | Operation::Embeddings => None,
    }
}

/// What a request to an endpoint without an operation asks for, where its method changes something.
fn managed(endpoint: &str) -> Option<Action> {
    Some(match endpoint {
        "/api/copy" => Action::Copy,
        "/api/delete" => Action::Delete,
        "/models/load" | "/api/v1/models/load" | "/v1/load_lora_adapter" => Action::Load,
        "/models/unload" | "/api/v1/models/unload" | "/v1/unload_lora_adapter" => Action::Unload,
        "/api/v1/models/download" => Action::Pull,
        _ => return None,
    })
}

/// What an exchange did, or tried to do.
fn action(record: &Record) -> Option<Action> {
    let route = record.start.route;
    match (route.operation, record.finish_reason) {
        (Operation::Other, _) if record.start.method.changes_something() => managed(route.endpoint),
        (_, Some(FinishReason::Load)) => Some(Action::Load),
        (_, Some(FinishReason::Unload)) => Some(Action::Unload),
        _ => requested(route),
    }
}

fn result(record: &Record) -> ActionResult {
    match record.outcome {
        Outcome::Completed => ActionResult::Success,
        Outcome::Rejected => ActionResult::Refused,
        Outcome::HttpError if matches!(record.status, 401 | 403) => ActionResult::Refused,
        _ => ActionResult::Failure,
    }
}

/// Follows an exchange that is a job.
pub(super) fn begin(journal: &Journal, start: &Start) -> Option<Box<RunningJob>> {
    let kind = JobKind::of(start.route.operation)?;
    let job = journal.jobs().begin(kind, start);
    if job.is_none() {
        journal.lose_job();
    }
    job.map(Box::new)
}

/// Reports what an exchange did. `confirm` gives a model its name where the backend has it.
pub(super) fn report(
    journal: &Journal,
    record: &Record,
    job: Option<Box<RunningJob>>,
    confirm: impl FnOnce() -> Option<Arc<str>>,
) {
    let Some(action) = action(record) else { return };
    let result = result(record);
    // What succeeded has shown that there is such a model.
    let shown = || record.requested_model.as_ref().map(|model| Arc::<str>::from(&**model));
    let model = confirm().or_else(|| shown().filter(|_| result == ActionResult::Success));
    if let Some(job) = job {
        let ended = job.end(record, model.clone());
        // Out of the table before it is in the queue: nobody sees it run after its end.
        drop(job);
        journal.job(ended);
    }
    let audit = Audit::new(action, result).by(record.start.client.clone()).to(model).within(record.start.trace);
    let backend = record.placement.as_ref().map(|placement| placement.backend.clone());
    let audit = audit.on(backend).with("status", i64::from(record.status)).with("outcome", record.outcome.as_str());
    journal.audit(audit.with("endpoint", record.start.route.endpoint));
}
