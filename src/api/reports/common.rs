//! What every report has: pages, and where its figures come from.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::parameters::invalid;
use crate::api::range::{Period, range};
use crate::api::state::Parts;
use crate::api::sums::Sum;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::history::query::series::{DurationsOf, Interval, MAX_POINTS, Series, SeriesQuery};
use crate::history::query::{Filter, Range};
use crate::history::rollup::Sums;
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// A struct of query parameters with those that every list has: `page`, `limit` and `format`. `pages` checks the first two.
macro_rules! listing_query {
    ($(#[$meta:meta])* $visible:vis struct $name:ident { $($(#[$about:meta])* $field:ident: $of:ty,)* }) => {
        $(#[$meta])*
        $visible struct $name {
            $($(#[$about])* $field: $of,)*
            /// From 1.
            #[param(minimum = 1, maximum = 100_000)]
            page: Option<u64>,
            /// Entries of a page; 10 without one.
            #[param(minimum = 1, maximum = 100)]
            limit: Option<u64>,
            /// `json` without one.
            #[param(inline)]
            format: Option<$crate::api::export::Format>,
        }

        impl $name {
            fn pages(&self) -> Result<(u64, u64), $crate::api::error::ApiError> {
                $crate::api::reports::common::page(self.page, self.limit)
            }
        }
    };
}
pub(crate) use listing_query;

/// Most entries of a page.
pub(crate) const MOST: u64 = 100;

/// Where a page is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReportPagination)]
pub(crate) struct Pagination {
    pub(crate) page: u64,
    pub(crate) limit: u64,
    /// Entries of all pages.
    pub(crate) total: Maybe<u64>,
    pub(crate) has_more: bool,
}

/// Where figures come from.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReportMetadata)]
pub(crate) struct Metadata {
    /// The time that sums and counts are of, such as `24h`.
    pub(crate) period: Maybe<String>,
    /// `process`: this program alone; `postgres`: what all replicas have kept, some seconds ago; `files`: what is kept on this
    /// machine; `fallback`: the same, because `PostgreSQL` does not answer; `built_in`: its own rules; `prometheus`: Prometheus; `prometheus_without_silences`: Prometheus,
    /// while Alertmanager does not answer; `prometheus_unreachable`: its own rules, because Prometheus does not answer.
    pub(crate) source: String,
    /// When this was known: RFC 3339 in UTC.
    pub(crate) as_of: Maybe<String>,
}

/// The length of an interval of a series.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[schema(as = ReportInterval)]
pub(crate) enum Length {
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
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// One that gives some dozen points for a period.
    pub(crate) const fn fitting(period: Period) -> Self {
        match period {
            Period::FiveMinutes | Period::QuarterHour | Period::Hour => Self::Minute,
            Period::SixHours => Self::FiveMinutes,
            Period::Day | Period::Week => Self::Hour,
            Period::Month => Self::Day,
        }
    }
}

/// The sums of each interval of the period up to now, with where each begins. Refused where there would be too many.
pub(crate) async fn series(
    parts: &Parts,
    (period, length): (Period, Length),
    filter: Filter,
    now: Instant,
) -> Result<Series, ApiError> {
    let range = range(Some(period), (None, None), (period, parts.millis(now)))?;
    let interval = Interval::of_seconds(length.seconds()).expect("whole minutes or hours");
    let too_many = || invalid("interval", "there would be too many points", &json!({"points": MAX_POINTS}));
    let query = SeriesQuery { range, interval, filter, durations: DurationsOf::All };
    parts.ask(move |reading| reading.series(&query)).await?.ok_or_else(too_many)
}

/// The sums of a range, widened to whole intervals.
pub(crate) fn total(reading: &Reading, range: Range, filter: &Filter) -> Result<Sum, StoreError> {
    let (interval, durations) = (reading.fitting(range, 120)?, DurationsOf::All);
    let query = SeriesQuery { range, interval, filter: filter.clone(), durations };
    let mut sum = Sums::default();
    let series = reading.series(&query)?;
    series.into_iter().flat_map(|series| series.points).flatten().for_each(|point| sum.merge(&point));
    Ok(Sum(sum))
}

/// Where each interval begins: RFC 3339 in UTC.
pub(crate) fn timestamps(series: &Series) -> Vec<String> {
    let begin = |index: usize| series.from + series.interval.seconds() * i64::try_from(index).unwrap_or(0);
    (0..series.points.len()).map(|index| Timestamp(begin(index) * 1_000).to_string()).collect()
}

/// A value of each interval. Unknown where the program did not run, or nothing of the kind was measured.
pub(crate) fn values(series: &Series, of: impl Fn(&Sum) -> Option<f64>) -> Vec<Maybe<f64>> {
    let value = |sums: &Option<Sums>| of(&Sum(sums.clone()?));
    series.points.iter().map(|sums| value(sums).or_unknown(Reason::NoSamples)).collect()
}

/// Of figures of now, of this program.
pub(crate) fn of_now(parts: &Parts, now: Instant) -> Metadata {
    Metadata {
        period: Maybe::Unknown(Reason::NotApplicable),
        source: "process".to_owned(),
        as_of: Maybe::Known(parts.text(now)),
    }
}

/// Of sums of a period.
pub(crate) fn of_period(parts: &Parts, period: Period, now: Instant) -> Metadata {
    Metadata { period: Maybe::Known(period.as_str().to_owned()), source: kept_where(parts), ..of_now(parts, now) }
}

/// Whose exchanges the history tells of.
pub(crate) fn kept_where(parts: &Parts) -> String {
    parts.readers.as_ref().map_or("process", |readers| readers.latest_source().as_str()).to_owned()
}

/// The page and the length of pages that were asked for.
pub(crate) fn page(page: Option<u64>, limit: Option<u64>) -> Result<(u64, u64), ApiError> {
    Ok((within("page", page.unwrap_or(1), 100_000)?, within("limit", limit.unwrap_or(10), MOST)?))
}

fn within(name: &str, value: u64, most: u64) -> Result<u64, ApiError> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid(name, "it is out of range", &json!({"minimum": 1, "maximum": most})))
}

/// A page of a list.
pub(crate) fn paged<T>(all: Vec<T>, (page, limit): (u64, u64)) -> (Vec<T>, Pagination) {
    let total = all.len() as u64;
    let offset = (page - 1).saturating_mul(limit);
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let taken: Vec<T> = all.into_iter().skip(skipped).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    let has_more = offset + (taken.len() as u64) < total;
    (taken, Pagination { page, limit, total: Maybe::Known(total), has_more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_list_once() {
        let all: Vec<u32> = (0..25).collect();
        let pages = [1, 2, 3, 4].map(|number| paged(all.clone(), (number, 10)));
        let together: Vec<u32> = pages.iter().flat_map(|(page, _)| page.clone()).collect();
        assert_eq!(together, all);
        assert_eq!(
            pages.map(|(_, page)| (page.total.known().copied(), page.has_more)),
            [(Some(25), true), (Some(25), true), (Some(25), false), (Some(25), false)]
        );
        assert!(page(Some(0), None).is_err() && page(None, Some(101)).is_err());
    }
}
