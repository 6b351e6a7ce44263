//! What every report has: pages, and where its figures come from.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::parameters::invalid;
use crate::api::unknown::Maybe;

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
    pub(crate) total: u64,
    pub(crate) has_more: bool,
}

/// Where figures come from.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReportMetadata)]
pub(crate) struct Metadata {
    /// The time that sums and counts are of, such as `24h`.
    pub(crate) period: Maybe<String>,
    /// `process`: this program alone; `files`: its history; `postgres`: the history of all replicas; `fallback`: its history,
    /// because `PostgreSQL` does not answer; `built_in`: its own rules; `prometheus`: Prometheus.
    pub(crate) source: String,
    /// When this was known: RFC 3339 in UTC.
    pub(crate) as_of: Maybe<String>,
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
    (taken, Pagination { page, limit, total, has_more })
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
            pages.map(|(_, page)| (page.total, page.has_more)),
            [(25, true), (25, true), (25, false), (25, false)]
        );
        assert!(page(Some(0), None).is_err() && page(None, Some(101)).is_err());
    }
}
