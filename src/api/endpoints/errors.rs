//! `/dashboard/errors`: failed exchanges and grave events, and what became of them.

mod resolution;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Type as SchemaType};
use utoipa::{IntoParams, ToSchema};

use self::resolution::{Course, Since};
use crate::api::error::ApiError;
use crate::api::export::{Format, Table, cell};
use crate::api::parameters::{Parameters, invalid};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::{DAY, last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::api::values::{Span, UpTo, since};
use crate::exchange::outcome::ErrorType;
use crate::history::journal::event::EventKind;
use crate::history::query::Range;
use crate::history::query::errors::{ErrorCount, Grade, at_least};
use crate::history::query::lists::{List, ListFilter, ListQuery, ListedError, MAX_LIST};
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// Most errors of an answer.
const MOST: usize = 1_000;

/// Most kinds of errors of an answer.
const MAX_TYPES: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ErrorsQuery {
    /// Errors of the last time, such as `1h`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,3}[smhdw]$", example = "1h")]
    since: Option<Span>,
    /// How many errors.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<UpTo<MOST>>,
    /// Errors that are at least as grave.
    #[param(inline)]
    severity: Option<Severity>,
    /// Errors of this kind.
    #[serde(rename = "type")]
    #[param(schema_with = kinds)]
    kind: Option<String>,
    /// Errors of this backend.
    backend: Option<String>,
    /// Errors of this model.
    model: Option<String>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ErrorSeverity)]
pub(crate) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// The words of errors of exchanges, and of events that may be grave.
fn words() -> impl Iterator<Item = &'static str> {
    ErrorType::ALL.iter().map(|error| error.as_str()).chain(EventKind::ALL.iter().map(|event| event.as_str()))
}

fn kinds() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::String).enum_values(Some(words()))
}

fn kind(word: &str) -> Result<&'static str, ApiError> {
    let all = || json!(words().collect::<Vec<_>>());
    words().find(|known| *known == word).ok_or_else(|| invalid("type", "there is no such value", &all()))
}

/// Failed exchanges and grave events.
#[derive(Serialize, ToSchema)]
pub(crate) struct Errors {
    /// The newest first.
    recent_errors: Maybe<Vec<Failure>>,
    /// Errors that fit what was asked for, listed or not.
    total_count: Maybe<u64>,
    error_summary: Summary,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct Failure {
    id: String,
    timestamp: String,
    /// What went wrong.
    #[serde(rename = "type")]
    kind: String,
    /// `low`, `medium`, `high` or `critical`.
    severity: &'static str,
    /// Whose doing it is: `upstream`, `downstream`, `internal`, or the part of the program.
    component: String,
    message: String,
    details: Details,
    /// `manual_intervention` where somebody has acknowledged an alert about it since; else `auto_resolved` where the backend has
    /// completed an exchange since, with that model if it has one, or an event says that it is over; else `investigating`.
    resolution_status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Details {
    model: Maybe<String>,
    backend: Maybe<String>,
    status: Maybe<u16>,
    /// By which it is found in `/dashboard/traces`.
    trace: Maybe<String>,
    required_memory_mb: Maybe<f64>,
    available_memory_mb: Maybe<f64>,
    stack_trace: Maybe<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorSummary)]
struct Summary {
    /// Independent of `limit` and filters.
    last_24_hours: Maybe<Grades>,
    /// Of the last 24 hours, the most frequent first.
    top_error_types: Maybe<Vec<Type>>,
    /// Of the errors of `last_24_hours`, the newest 10,000 of them at most. Independent of `limit` and filters.
    resolution_stats: Maybe<Resolution>,
}

#[derive(Serialize, ToSchema)]
struct Grades {
    total_errors: u64,
    critical: u64,
    high: u64,
    medium: u64,
    low: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorTypeCount)]
struct Type {
    #[serde(rename = "type")]
    kind: String,
    count: u64,
}

#[derive(Serialize, ToSchema)]
struct Resolution {
    /// What failed has worked since.
    auto_resolved: u64,
    /// Somebody has acknowledged an alert about them.
    manual_intervention: u64,
    /// Neither.
    investigating: u64,
}

/// Failed exchanges and grave events.
#[utoipa::path(
    get,
    path = "/dashboard/errors",
    params(ErrorsQuery),
    responses((status = 200, description = "Failed exchanges and grave events.", body = Errors), ApiError)
)]
pub(crate) async fn errors(
    Parameters(query): Parameters<ErrorsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Errors>, ApiError> {
    let now = Instant::now();
    let kind = query.kind.as_deref().map(kind).transpose()?;
    let words = Grade::ALL.map(Grade::as_str);
    let filter = ListFilter {
        levels: query.severity.and_then(|least| at_least(&words, words[least as usize])),
        what: kind.map(Into::into),
        backend: query.backend.map(Into::into),
        resource: query.model.map(Into::into),
        ..ListFilter::default()
    };
    let limit = query.limit.map_or(50, |limit| limit.0);
    let ask = ListQuery { range: since(&parts, query.since, now), filter, offset: 0, limit };
    let day = last(&parts, DAY, now);
    let found = parts.required(move |reading| examine(reading, &ask, day)).await?;
    let body = Errors {
        error_summary: Summary {
            last_24_hours: found.as_ref().map(|found| grades(&found.day)),
            top_error_types: found.as_ref().map(|found| types(&found.day)),
            resolution_stats: found.as_ref().map(|found| resolution(&found.courses)),
        },
        total_count: found.as_ref().map(|found| found.total),
        recent_errors: found.map(|found| found.listed.into_iter().map(failure).collect()),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// Errors with what became of each, how many fit, and those of a day.
struct Examined {
    listed: Vec<(ListedError, Course)>,
    total: u64,
    day: Vec<ErrorCount>,
    /// What became of the newest of the day, whatever was asked for.
    courses: Vec<Course>,
}

fn examine(reading: &Reading, ask: &ListQuery, day: Range) -> Result<Examined, StoreError> {
    let List { entries: listed, total } = reading.errors(ask)?;
    let of_day = ListQuery { range: day, filter: ListFilter::default(), offset: 0, limit: MAX_LIST };
    let of_day = reading.errors(&of_day)?.entries;
    let since = Since::look(reading, &[&of_day, &listed], ask.range.to)?;
    let courses = of_day.iter().map(|error| since.course(error)).collect();
    let with_course = |error: ListedError| (since.course(&error), error);
    let listed = listed.into_iter().map(with_course).map(|(course, error)| (error, course)).collect();
    Ok(Examined { listed, total, day: reading.error_counts(day)?, courses })
}

fn grades(day: &[ErrorCount]) -> Grades {
    let of = |grade: Grade| day.iter().filter(|error| error.grade == grade).map(|error| error.count).sum();
    Grades {
        total_errors: day.iter().map(|error| error.count).sum(),
        critical: of(Grade::Critical),
        high: of(Grade::High),
        medium: of(Grade::Medium),
        low: of(Grade::Low),
    }
}

fn types(day: &[ErrorCount]) -> Vec<Type> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    day.iter().for_each(|error| *counts.entry(&error.what).or_default() += error.count);
    let mut types: Vec<_> = counts.into_iter().map(|(kind, count)| Type { kind: kind.to_owned(), count }).collect();
    types.sort_by_key(|it| std::cmp::Reverse(it.count));
    types.truncate(MAX_TYPES);
    types
}

fn resolution(courses: &[Course]) -> Resolution {
    let count = |course: Course| courses.iter().filter(|it| **it == course).count() as u64;
    Resolution {
        auto_resolved: count(Course::AutoResolved),
        manual_intervention: count(Course::Acknowledged),
        investigating: count(Course::Open),
    }
}

fn failure((error, course): (ListedError, Course)) -> Failure {
    let trace = error.trace.map(|trace| trace.to_string());
    let of_event = if error.trace.is_some() { Reason::NotReported } else { Reason::NotApplicable };
    Failure {
        id: format!("error_{}_{}", error.at, trace.as_deref().unwrap_or(&error.what)),
        timestamp: Timestamp(error.at).to_string(),
        kind: error.what.into(),
        severity: error.severity,
        component: error.component.into(),
        message: error.message.into(),
        details: Details {
            model: error.resource.map(|model| model.to_string()).or_unknown(Reason::NotReported),
            backend: error.backend.map(|backend| backend.to_string()).or_unknown(Reason::NotApplicable),
            status: error.status.or_unknown(of_event),
            trace: trace.or_unknown(Reason::NotApplicable),
            required_memory_mb: Maybe::Unknown(Reason::NotReported),
            available_memory_mb: Maybe::Unknown(Reason::NotReported),
            stack_trace: Maybe::Unknown(Reason::NotApplicable),
        },
        resolution_status: course.as_str(),
    }
}

impl Table for Errors {
    const COLUMNS: &'static [&'static str] =
        &["timestamp", "type", "severity", "component", "message", "model", "backend", "status", "resolution_status"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Failure| {
            let status = it.details.status.known().map_or(Value::Null, |status| json!(status));
            let text = |text: &Maybe<String>| text.known().cloned().unwrap_or_default();
            let (model, backend) = (text(&it.details.model), text(&it.details.backend));
            let Failure { timestamp, kind, severity, component, message, resolution_status, .. } = it;
            [timestamp, kind, *severity, component, message, &model, &backend, &cell(&status), *resolution_status]
                .map(str::to_owned)
                .to_vec()
        };
        self.recent_errors.known().into_iter().flatten().map(row).collect()
    }
}
