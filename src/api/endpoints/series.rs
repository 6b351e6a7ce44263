//! `/dashboard/series`: several metrics of exchanges over time, in one answer.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::exchanges::{operations, word};
use super::metric::Metric;
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::{Parameters, invalid};
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::Unknown;
use crate::history::query::series::{Interval, MAX_POINTS, Series, SeriesQuery};
use crate::history::query::{Filter, Range};
use crate::history::rollup::Sums;
use crate::history::timestamp::Timestamp;

/// The length of an interval.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
enum Length {
    #[serde(rename = "1m")]
    Minute,
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "1d")]
    Day,
}

impl Length {
    const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// What a series is compared with.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Compare {
    /// The day before.
    Day,
    /// The week before.
    Week,
}

impl Compare {
    const fn millis(self) -> i64 {
        match self {
            Self::Day => 86_400_000,
            Self::Week => 7 * 86_400_000,
        }
    }
}

/// Points of a series where no interval is asked for, about.
const POINTS: usize = 120;

/// Which metrics, of which exchanges.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Query {
    /// Names with commas between them, such as `requests,ttft_p95`: `docs/api.md` lists them, and so does the error about an unknown one.
    metrics: String,
    /// The time up to now; 1h without one.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period.
    from: Option<String>,
    /// The instant after the last; now without one.
    to: Option<String>,
    /// One that gives some hundred points without it.
    #[param(inline)]
    interval: Option<Length>,
    /// With the same intervals before.
    #[param(inline)]
    compare: Option<Compare>,
    /// As backends list it.
    model: Option<String>,
    /// The name of a backend.
    backend: Option<String>,
    tenant: Option<String>,
    /// The first product of a `User-Agent`, of exchanges without a tenant.
    client: Option<String>,
    #[param(schema_with = operations)]
    operation: Option<String>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// Metrics over time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// Where the first interval begins: RFC 3339 in UTC.
    from: String,
    /// Where the last one ends; it may be going on.
    to: String,
    interval_seconds: i64,
    /// Where each interval begins.
    timestamps: Vec<String>,
    series: Vec<OneSeries>,
    /// Of the day or the week before; the beginnings are `timestamps` less that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Vec<OneSeries>>,
    unknown: Unknown,
}

/// One metric over time.
#[derive(Serialize, ToSchema)]
struct OneSeries {
    metric: String,
    /// `count`, `count/s`, `percent`, `bytes`, `ms`, `tokens/s` or `cost`.
    unit: &'static str,
    /// One for each interval. `null` where the program did not run, or nothing of the kind was measured.
    values: Vec<Option<f64>>,
}

/// Several metrics of exchanges over time.
#[utoipa::path(
    get,
    path = "/dashboard/series",
    params(Query),
    responses((status = 200, description = "Metrics over time.", body = Answer), ApiError)
)]
pub(crate) async fn series(
    Parameters(query): Parameters<Query>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Answer>, ApiError> {
    let now = Instant::now();
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Hour, parts.millis(now)))?;
    let metrics = Metric::parse_list(&query.metrics)?;
    let fitting = || Interval::fitting(range, POINTS);
    let interval = query.interval.and_then(|length| Interval::of_seconds(length.seconds())).unwrap_or_else(fitting);
    let filter = query.filter()?;
    let found = find(&parts, SeriesQuery { range, interval, filter: filter.clone() }).await?;
    let before = match query.compare {
        None => None,
        Some(compare) => {
            let range = Range { from: range.from - compare.millis(), to: range.to - compare.millis() };
            Some(find(&parts, SeriesQuery { range, interval, filter }).await?)
        }
    };
    let all = |found: &Series| metrics.iter().map(|metric| one(*metric, found, parts.millis(now))).collect::<Vec<_>>();
    let series = all(&found);
    let at = |index: usize| Timestamp((found.from + interval.seconds() * index as i64) * 1_000).to_string();
    let timestamps: Vec<_> = (0..found.points.len()).map(at).collect();
    let body = Answer {
        timestamp: parts.text(now),
        from: Timestamp(found.from * 1_000).to_string(),
        to: Timestamp(found.to() * 1_000).to_string(),
        interval_seconds: interval.seconds(),
        compared: before.as_ref().map(all),
        timestamps,
        series,
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

async fn find(parts: &Parts, query: SeriesQuery) -> Result<Series, ApiError> {
    let too_many = || invalid("interval", "there would be too many points", &json!({"points": MAX_POINTS}));
    parts.ask(move |reading| reading.series(&query)).await?.ok_or_else(too_many)
}

/// Of the interval that goes on at `now`, in milliseconds since the epoch, what has passed is all there is.
fn one(metric: Metric, found: &Series, now: i64) -> OneSeries {
    let length = found.interval.seconds() as f64;
    let begins = |index: usize| (found.from + found.interval.seconds() * index as i64) * 1_000;
    let value = |(index, sums): (usize, &Option<Sums>)| {
        let passed = (now - begins(index)) as f64 / 1e3;
        metric.of(sums.as_ref()?, passed.clamp(1.0, length))
    };
    let values = found.points.iter().enumerate().map(value).collect();
    OneSeries { metric: metric.name(), unit: metric.unit(), values }
}

/// A line an interval, a column a metric.
impl Table for Answer {
    const COLUMNS: &'static [&'static str] = &["at"];

    fn columns(&self) -> Vec<String> {
        let metrics = self.series.iter().map(|one| one.metric.clone());
        let compared = self.compared.iter().flatten().map(|one| format!("{}_compared", one.metric));
        std::iter::once("at".to_owned()).chain(metrics).chain(compared).collect()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let row = |(index, at): (usize, &String)| {
            let all = self.series.iter().chain(self.compared.iter().flatten());
            std::iter::once(at.clone()).chain(all.map(|one| text(one.values[index]))).collect()
        };
        self.timestamps.iter().enumerate().map(row).collect()
    }
}

impl Query {
    fn filter(&self) -> Result<Filter, ApiError> {
        let name = |name: &Option<String>| name.as_deref().map(Arc::from);
        Ok(Filter {
            backend: name(&self.backend),
            model: name(&self.model),
            tenant: name(&self.tenant),
            client: name(&self.client),
            operation: word("operation", self.operation.as_deref())?,
            ..Filter::default()
        })
    }
}
