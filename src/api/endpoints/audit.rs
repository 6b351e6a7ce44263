//! `/dashboard/audit`: who changed what, and who signed in.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::api::error::ApiError;
use crate::api::export::{Format, Table, cell};
use crate::api::lists::{counted, object};
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::api::values::{Span, UpTo, since};
use crate::exchange::outcome::Outcome;
use crate::history::query::errors::at_least;
use crate::history::query::lists::{ListFilter, ListedEvent};
use crate::history::query::{Exchange, Filter, MAX_PAGE, PageQuery, Range};
use crate::history::timestamp::Timestamp;

/// Most entries of an answer.
const MOST: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Entries of this user, tenant or client.
    user: Option<String>,
    /// Entries of this kind. `inference_request` lists exchanges.
    #[param(inline)]
    action: Option<Action>,
    /// Entries about this model or setting.
    resource: Option<String>,
    /// Entries of the last time, such as `24h`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,3}[smhdw]$", example = "24h")]
    since: Option<Span>,
    /// Entries that are at least as severe. Of `inference_request`, those that did not complete are warnings.
    #[param(inline)]
    level: Option<Level>,
    /// How many entries; of `inference_request` at most 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<UpTo<MOST>>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AuditLevel)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    /// In ascending order.
    const WORDS: [&'static str; 4] = ["info", "warning", "error", "critical"];
}

/// What was done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    ModelPull,
    ModelPush,
    ModelCreate,
    ModelCopy,
    ModelDelete,
    ModelLoad,
    ModelUnload,
    SignIn,
    SignOut,
    ConfigRead,
    ConfigWrite,
    ExchangeStop,
    AlertAck,
    InferenceRequest,
}

/// The words of the history and those of this API.
const ACTIONS: [(&str, &str); 13] = [
    ("pull", "model_pull"),
    ("push", "model_push"),
    ("create", "model_create"),
    ("copy", "model_copy"),
    ("delete", "model_delete"),
    ("load", "model_load"),
    ("unload", "model_unload"),
    ("sign_in", "sign_in"),
    ("sign_out", "sign_out"),
    ("config_read", "config_read"),
    ("config_write", "config_write"),
    ("stop", "exchange_stop"),
    ("alert_ack", "alert_ack"),
];

/// Who changed what, and who signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Audit {
    /// The newest first.
    entries: Maybe<Vec<Entry>>,
    /// Entries that are kept.
    total_count: Maybe<u64>,
    /// Of these, the ones that fit.
    filtered_count: Maybe<u64>,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    id: String,
    timestamp: String,
    /// A user, a tenant, or the product of a client.
    user: Maybe<String>,
    action: String,
    /// A model, or whatever it is about.
    resource: Maybe<String>,
    level: String,
    /// Of sign-ins and of what was changed through the second listener; no address of a client of the backends is kept.
    source_ip: Maybe<String>,
    user_agent: Maybe<String>,
    #[schema(value_type = Object)]
    details: Value,
    /// `success`, `failure` or `refused`.
    result: Maybe<String>,
}

/// Who changed what, and who signed in.
#[utoipa::path(
    get,
    path = "/dashboard/audit",
    params(AuditQuery),
    responses((status = 200, description = "Who changed what, and who signed in.", body = Audit), ApiError)
)]
pub(crate) async fn audit(
    Parameters(query): Parameters<AuditQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Audit>, ApiError> {
    let range = since(&parts, query.since, Instant::now());
    let limit = query.limit.map_or(100, |limit| limit.0);
    if query.action == Some(Action::InferenceRequest) {
        return requests(&parts, &query, range, limit.min(MAX_PAGE)).await;
    }
    let filter = ListFilter {
        levels: query.level.and_then(|level| at_least(&Level::WORDS, Level::WORDS[level as usize])),
        what: query.action.map(|action| ACTIONS[action as usize].0.into()),
        who: query.user.map(Into::into),
        resource: query.resource.map(Into::into),
        ..ListFilter::default()
    };
    let found = counted(&parts, range, filter, limit, crate::history::Reading::audit).await?;
    let body = Audit {
        total_count: found.as_ref().map(|found| found.total),
        filtered_count: found.as_ref().map(|found| found.filtered),
        entries: found.map(|found| found.entries.into_iter().map(entry).collect()),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

fn entry(event: ListedEvent) -> Entry {
    let mut details = object(event.detail.as_deref());
    let mut take = |name: &str| match details.as_object_mut().and_then(|details| details.remove(name)) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (source_ip, user_agent) = (take("address"), take("client"));
    let word = ACTIONS.iter().find(|(kept, _)| **kept == *event.what).map_or(&*event.what, |(_, word)| word);
    let is_sign_in = word.starts_with("sign_");
    Entry {
        id: format!("audit_{}", event.id),
        timestamp: Timestamp(event.at).to_string(),
        user: event.who.map(String::from).or_unknown(Reason::NotReported),
        action: word.to_owned(),
        resource: event.subject.map(String::from).or_unknown(if is_sign_in {
            Reason::NotApplicable
        } else {
            Reason::NotReported
        }),
        level: event.severity.into(),
        source_ip: source_ip.or_unknown(Reason::NotApplicable),
        user_agent: user_agent.or_unknown(Reason::NotReported),
        details,
        result: event.result.map(String::from).or_unknown(Reason::NotReported),
    }
}

/// Exchanges in the form of entries.
async fn requests(parts: &Parts, query: &AuditQuery, range: Range, limit: usize) -> Result<Listing<Audit>, ApiError> {
    let filter = Filter {
        client: query.user.as_deref().map(Into::into),
        model: query.resource.as_deref().map(Into::into),
        failed: query.level.is_some_and(|level| level as usize > 0),
        ..Filter::default()
    };
    // No exchange is graver than a warning.
    let is_beyond = query.level.is_some_and(|level| level as usize > Level::Warning as usize);
    let range = if is_beyond { Range { to: range.from, ..range } } else { range };
    let all = PageQuery {
        range: Range { from: 0, to: parts.millis(Instant::now()) + 1 },
        filter: Filter::default(),
        offset: 0,
        limit: 1,
    };
    let page = PageQuery { range, filter, offset: 0, limit };
    let found = parts.required(move |reading| Ok((reading.page(&page)?, reading.page(&all)?.total))).await?;
    let count = |total: Result<u64, _>| total.ok().or_unknown(Reason::NotReported);
    let body = Audit {
        total_count: found.as_ref().and_then(|(_, total)| count(*total)),
        filtered_count: found.as_ref().and_then(|(page, _)| count(page.total)),
        entries: found.map(|(page, _)| page.exchanges.iter().map(request).collect()),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

fn request(exchange: &Exchange) -> Entry {
    let row = &exchange.row;
    let is_well = row.outcome == Outcome::Completed;
    Entry {
        id: format!("exchange_{}", exchange.id.0),
        timestamp: Timestamp(exchange.id.millis()).to_string(),
        user: exchange
            .tenant
            .as_ref()
            .or(exchange.client.as_ref())
            .map(ToString::to_string)
            .or_unknown(Reason::NotReported),
        action: "inference_request".to_owned(),
        resource: exchange.model.as_ref().map(ToString::to_string).or_unknown(Reason::NotReported),
        level: if is_well { "info" } else { "warning" }.to_owned(),
        source_ip: Maybe::Unknown(Reason::NotApplicable),
        user_agent: exchange.client.as_ref().map(ToString::to_string).or_unknown(Reason::NotReported),
        // Facts that are unknown are left out.
        details: [
            ("prompt_length", row.prompt_characters.value().map(|count| json!(count))),
            ("tokens", row.generated.value().map(|count| json!(count))),
            ("latency_ms", row.duration.seconds().map(|seconds| json!(seconds * 1e3))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into(),
        result: Maybe::Known(if is_well { "success" } else { "failure" }.to_owned()),
    }
}

impl Table for Audit {
    const COLUMNS: &'static [&'static str] =
        &["id", "timestamp", "user", "action", "resource", "level", "result", "details"];

    fn rows(&self) -> Vec<Vec<String>> {
        let text = |text: &Maybe<String>| text.known().cloned().unwrap_or_default();
        let row = |entry: &Entry| {
            let Entry { id, timestamp, user, action, resource, level, details, result, .. } = entry;
            [id, timestamp, &text(user), action, &text(resource), level, &text(result), &cell(details)]
                .map(ToString::to_string)
                .to_vec()
        };
        self.entries.known().into_iter().flatten().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_history_has_a_word_here_and_can_be_asked_for() {
        use crate::history::journal::audit::Action as Kept;
        assert_eq!(ACTIONS.map(|(kept, _)| kept), Kept::ALL.map(Kept::as_str));
        for (at, (_, word)) in ACTIONS.iter().enumerate() {
            let action: Action = serde_json::from_value(json!(word)).expect("it can be asked for");
            assert_eq!(action as usize, at, "{word}");
        }
    }
}
