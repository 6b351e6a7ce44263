//! `/dashboard/series`: several metrics of exchanges and of the machine over time, in one answer.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::exchanges::{operations, word};
use super::machine_series::facts;
use super::metric::{Metric, Names};
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::{Parameters, invalid};
use crate::api::range::{AnInstant, Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::machine::Facts;
use crate::history::query::series::{DurationsOf, Group, Interval, Series, SeriesQuery};
use crate::history::query::{Filter, Range};
use crate::history::rollup::{By, Sums};
use crate::history::timestamp::Timestamp;

/// The length of an interval.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
enum Length {
    #[serde(rename = "10s")]
    TenSeconds,
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
            Self::TenSeconds => 10,
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

/// What divides a series into groups.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Divided {
    Model,
    Backend,
    /// Exchanges without a tenant are in the group of their client's product.
    Tenant,
}

impl Divided {
    const fn by(self) -> By {
        match self {
            Self::Model => By::Model,
            Self::Backend => By::Backend,
            Self::Tenant => By::Tenant,
        }
    }
}

/// Most groups of an answer.
const MAX_GROUPS: usize = 20;

/// Points of a series where no interval is asked for, about.
const POINTS: usize = 120;

/// Which metrics, of which exchanges.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Query {
    /// Names with commas between them, such as `requests,ttft_p95`.
    #[param(inline, value_type = Names, style = Form, explode = false)]
    metrics: String,
    /// The time up to now; 1h without one. Not together with `from`.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period, and before `to`. A day is its beginning.
    #[param(inline, value_type = Option<AnInstant>)]
    from: Option<String>,
    /// The instant after the last; now without one.
    #[param(inline, value_type = Option<AnInstant>)]
    to: Option<String>,
    /// One that gives some hundred points without it, and an hour at least where minutes are kept no longer. `10s` for a quarter of an hour at most, without PostgreSQL's replicas;
    /// the others for 1,500 points at most.
    #[param(inline)]
    interval: Option<Length>,
    /// With the same intervals before.
    #[param(inline)]
    compare: Option<Compare>,
    /// Each metric once for each of these, of the 20 with the most exchanges. Not of metrics of the machine.
    #[param(inline)]
    by: Option<Divided>,
    /// As backends list it.
    model: Option<String>,
    /// The name of a backend.
    backend: Option<String>,
    tenant: Option<String>,
    /// The first product of a `User-Agent`, of exchanges without a tenant.
    client: Option<String>,
    #[param(schema_with = operations)]
    operation: Option<String>,
    /// Only generations and embeddings, for which a model works.
    inference: Option<bool>,
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
    /// Groups that have fewer exchanges than those that are shown; absent without `by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_left_out: Option<usize>,
    unknown: Unknown,
}

/// One metric over time.
#[derive(Serialize, ToSchema)]
struct OneSeries {
    metric: String,
    /// The model, backend or tenant that it is of; absent without `by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Maybe<String>, required = false)]
    group: Option<Maybe<String>>,
    /// `count`, `count/s`, `percent`, `bytes`, `bytes/s`, `ms`, `tokens/s`, `cost`, `watts`, `celsius` or `joules`.
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
    let interval = match query.interval.and_then(|length| Interval::of_seconds(length.seconds())) {
        Some(interval) => interval,
        None => parts.ask(move |reading| reading.fitting(range, POINTS)).await?,
    };
    let filter = query.filter()?;
    // As everywhere: whatever is compared with the time to the first token, and nothing that has none.
    let durations = if filter.operation.is_some() { DurationsOf::All } else { DurationsOf::Generations };
    let asked = Asked { metrics: &metrics, by: query.by, now: parts.millis(now) };
    let found = asked.find(&parts, SeriesQuery { range, interval, filter: filter.clone(), durations }).await?;
    let before = match query.compare {
        None => None,
        Some(compare) => {
            let range = Range { from: range.from - compare.millis(), to: range.to - compare.millis() };
            Some(asked.find(&parts, SeriesQuery { range, interval, filter, durations }).await?)
        }
    };
    let at = |index: usize| Timestamp((found.from + interval.seconds() * index as i64) * 1_000).to_string();
    let timestamps: Vec<_> = (0..found.length).map(at).collect();
    let body = Answer {
        timestamp: parts.text(now),
        from: Timestamp(found.from * 1_000).to_string(),
        to: at(found.length),
        interval_seconds: interval.seconds(),
        compared: before.map(|before| before.series),
        timestamps,
        series: found.series,
        groups_left_out: query.by.map(|_| found.left_out),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// What is asked for in one range or two.
struct Asked<'a> {
    metrics: &'a [Metric],
    by: Option<Divided>,
    /// Milliseconds since the epoch.
    now: i64,
}

/// The series of one range.
struct Found {
    /// Seconds since the epoch.
    from: i64,
    /// Intervals.
    length: usize,
    series: Vec<OneSeries>,
    left_out: usize,
}

impl Asked<'_> {
    async fn find(&self, parts: &Parts, query: SeriesQuery) -> Result<Found, ApiError> {
        let of_machine = self.metrics.iter().find(|metric| metric.is_of_machine());
        if let Some((metric, _)) = of_machine.zip(self.by) {
            let why = format!("{} is of the machine, which is not divided", metric.name());
            return Err(invalid("by", &why, &json!(null)));
        }
        let most = json!({"points": query.interval.max_points()});
        let too_many = || invalid("interval", "there would be too many points", &most);
        let empty = Series::empty(query.range, query.interval).ok_or_else(too_many)?;
        let (from, length) = (empty.from, empty.points.len());
        let Some(by) = self.by else {
            let is_whole = query.filter == Filter::default();
            let found = parts.ask(move |reading| reading.series(&query)).await?.ok_or_else(too_many)?;
            let facts = if of_machine.is_some() { facts(parts, &found).await? } else { Vec::new() };
            let one = |metric: &Metric| {
                self.one(
                    *metric,
                    None,
                    &found,
                    if is_whole || *metric != Metric::EnergyPerToken { &facts } else { &[] },
                )
            };
            return Ok(Found { from, length, series: self.metrics.iter().map(one).collect(), left_out: 0 });
        };
        let groups = parts.ask(move |reading| reading.series_by(&query, by.by())).await?.ok_or_else(too_many)?;
        let shown = groups.iter().take(MAX_GROUPS);
        let of = |group: &Group| {
            let name = group.name.as_deref().map(str::to_owned).or_unknown(Reason::NotApplicable);
            self.metrics
                .iter()
                .map(|metric| self.one(*metric, Some(name.clone()), &group.series, &[]))
                .collect::<Vec<_>>()
        };
        let left_out = groups.len().saturating_sub(MAX_GROUPS);
        Ok(Found { from, length, series: shown.flat_map(of).collect(), left_out })
    }

    /// Of the interval that goes on now, what has passed is all there is.
    fn one(&self, metric: Metric, group: Option<Maybe<String>>, found: &Series, facts: &[Option<Facts>]) -> OneSeries {
        let length = found.interval.seconds() as f64;
        let begins = |index: usize| (found.from + found.interval.seconds() * index as i64) * 1_000;
        let value = |(index, sums): (usize, &Option<Sums>)| {
            let passed = (self.now - begins(index)) as f64 / 1e3;
            let facts = facts.get(index).and_then(Option::as_ref);
            metric.of(sums.as_ref(), facts, passed.clamp(1.0, length))
        };
        let values = found.points.iter().enumerate().map(value).collect();
        OneSeries { metric: metric.name(), group, unit: metric.unit(), values }
    }
}

/// A line an interval, a column a metric.
impl Table for Answer {
    const COLUMNS: &'static [&'static str] = &["at"];

    fn columns(&self) -> Vec<String> {
        let of = |one: &OneSeries| match &one.group {
            Some(Maybe::Known(group)) => format!(" of {group}"),
            Some(Maybe::Unknown(_)) => " of none".to_owned(),
            None => String::new(),
        };
        let metrics = self.series.iter().map(|one| format!("{}{}", one.metric, of(one)));
        let compared = self.compared.iter().flatten().map(|one| format!("{}_compared{}", one.metric, of(one)));
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
            inference: self.inference.unwrap_or(false),
            ..Filter::default()
        })
    }
}
