//! `/dashboard/logs`: the last lines of the log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::api::error::ApiError;
use crate::api::export::{Format, Table, cell};
use crate::api::lists::{counted, object};
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, Unknown};
use crate::api::values::{Span, UpTo, since};
use crate::history::query::errors::at_least;
use crate::history::query::lists::{ListFilter, ListedLine};
use crate::history::timestamp::Timestamp;

/// Most lines of an answer.
const MOST: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogsQuery {
    /// Lines that are at least as severe.
    #[param(inline)]
    level: Option<LogLevel>,
    /// Lines of the last time, such as `1h`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,3}[smhdw]$", example = "1h")]
    since: Option<Span>,
    /// How many lines.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<UpTo<MOST>>,
    /// Lines of this part of the program.
    component: Option<String>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// In ascending order.
    const WORDS: [&'static str; 5] = ["trace", "debug", "info", "warn", "error"];
}

/// The last lines of the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Logs {
    /// The newest first.
    logs: Maybe<Vec<Line>>,
    /// Lines that are kept.
    total_count: Maybe<u64>,
    /// Of these, the ones that fit.
    filtered_count: Maybe<u64>,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Line {
    timestamp: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    level: &'static str,
    /// The part of the program that logged it.
    component: String,
    message: String,
    /// Its fields.
    #[schema(value_type = Object)]
    metadata: Value,
}

/// The last lines of the log.
#[utoipa::path(
    get,
    path = "/dashboard/logs",
    params(LogsQuery),
    responses((status = 200, description = "The last lines of the log.", body = Logs), ApiError)
)]
pub(crate) async fn logs(
    Parameters(query): Parameters<LogsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Logs>, ApiError> {
    let range = since(&parts, query.since, Instant::now());
    let filter = ListFilter {
        levels: query.level.and_then(|level| at_least(&LogLevel::WORDS, LogLevel::WORDS[level as usize])),
        component: query.component.map(Into::into),
        ..ListFilter::default()
    };
    let limit = query.limit.map_or(100, |limit| limit.0);
    let found = counted(&parts, range, filter, limit, crate::history::Reading::log_lines).await?;
    let body = Logs {
        total_count: found.as_ref().map(|found| found.total),
        filtered_count: found.as_ref().map(|found| found.filtered),
        logs: found.map(|found| found.entries.into_iter().map(line).collect()),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// A line as it is shown.
pub(crate) fn line(line: ListedLine) -> Line {
    Line {
        timestamp: Timestamp(line.at).to_string(),
        level: line.level,
        component: line.component.into(),
        message: line.message.into(),
        metadata: object(line.fields.as_deref()),
    }
}

impl Table for Logs {
    const COLUMNS: &'static [&'static str] = &["timestamp", "level", "component", "message", "metadata"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |line: &Line| {
            let Line { timestamp, level, component, message, metadata } = line;
            vec![timestamp.clone(), (*level).to_owned(), component.clone(), message.clone(), cell(metadata)]
        };
        self.logs.known().into_iter().flatten().map(row).collect()
    }
}
