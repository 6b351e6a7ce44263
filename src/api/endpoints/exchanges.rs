//! `/dashboard/exchanges`: finished exchanges, the newest first, or those that took most.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::exchange::{Entry, entry};
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::{Parameters, invalid};
use crate::api::range::{AnInstant, Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, Reason, Unknown, resolve};
use crate::exchange::outcome::{ErrorType, Outcome};
use crate::exchange::vocabulary::Operation;
use crate::history::conversation::ConversationId;
use crate::history::query::{Filter, MAX_PAGE, NoTotal, Page, PageQuery, Range, TopQuery};
use crate::history::timestamp::Timestamp;
use crate::history::tops::TopBy;
use crate::history::{Coded, StoreError};

/// The order of a list of exchanges.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// By their end.
    Newest,
    Longest,
    /// By prompt and generated tokens.
    Largest,
    /// By cost.
    Dearest,
}

/// Which exchanges.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Query {
    /// The time up to now; 24h without one. Not together with `from`.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period, and before `to`. A day is its beginning.
    #[param(inline, value_type = Option<AnInstant>)]
    from: Option<String>,
    /// The instant after the last; now without one.
    #[param(inline, value_type = Option<AnInstant>)]
    to: Option<String>,
    /// As backends list it.
    model: Option<String>,
    /// The name of a backend.
    backend: Option<String>,
    tenant: Option<String>,
    /// The first product of a `User-Agent`.
    client: Option<String>,
    /// 16 hexadecimal digits, as lists show it.
    #[param(pattern = "^[0-9a-fA-F]{16}$")]
    conversation: Option<String>,
    /// The template of a path.
    endpoint: Option<String>,
    #[param(schema_with = operations)]
    operation: Option<String>,
    /// Only generations and embeddings, for which a model works.
    inference: Option<bool>,
    #[param(schema_with = outcomes)]
    outcome: Option<String>,
    /// Only those that did not complete.
    failed: Option<bool>,
    /// Only those with this error.
    #[param(schema_with = errors)]
    error: Option<String>,
    /// Only those to which the client got this status.
    #[param(minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// Only those that took at least as long; a year at most.
    #[param(minimum = 0, maximum = 31_536_000_000i64)]
    min_ms: Option<u64>,
    /// `newest` without one.
    #[param(inline)]
    order: Option<Order>,
    /// From 1, which is the only one in another order than `newest`.
    #[param(minimum = 1, maximum = 100_000)]
    page: Option<u64>,
    /// Entries of a page; 10 without one.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

fn words<T: Coded>() -> ObjectBuilder {
    let words = T::CODES.iter().map(|(_, value)| value.word());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

pub(super) fn operations() -> ObjectBuilder {
    words::<Operation>()
}

fn outcomes() -> ObjectBuilder {
    words::<Outcome>()
}

fn errors() -> ObjectBuilder {
    words::<ErrorType>()
}

/// Finished exchanges.
#[derive(Serialize, ToSchema)]
pub(crate) struct Exchanges {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// The first instant of the range.
    from: String,
    /// The instant after its last.
    to: String,
    exchanges: Vec<Entry>,
    pagination: Pagination,
    unknown: Unknown,
}

/// Where a page is.
#[derive(Serialize, ToSchema)]
struct Pagination {
    page: u64,
    limit: u64,
    /// Exchanges of all pages, of the time whose exchanges are still kept one by one: sums are kept for longer. Where too many
    /// came, an entry stands for several (`weight`), and there are fewer entries. Unknown where a filter is given that sums
    /// are not divided by, and in another order than `newest`, whose only page has `limit` of them at most.
    total: Maybe<u64>,
    /// Whether there are entries after these.
    has_more: bool,
}

impl Table for Exchanges {
    const COLUMNS: &'static [&'static str] = &Entry::COLUMNS;

    fn rows(&self) -> Vec<Vec<String>> {
        self.exchanges.iter().map(Entry::cells).collect()
    }
}

/// Finished exchanges, the newest first, or those that took most.
#[utoipa::path(
    get,
    path = "/dashboard/exchanges",
    params(Query),
    responses((status = 200, description = "Finished exchanges.", body = Exchanges), ApiError)
)]
pub(crate) async fn exchanges(
    Parameters(query): Parameters<Query>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Exchanges>, ApiError> {
    let now = Instant::now();
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Day, parts.millis(now)))?;
    let limit = bounded("limit", query.limit.unwrap_or(10), MAX_PAGE as u64)?;
    let page = bounded("page", query.page.unwrap_or(1), 100_000)?;
    let by = match query.order.unwrap_or(Order::Newest) {
        Order::Newest => None,
        _ if page > 1 => return Err(invalid("page", "there is one page in this order", &json!([1]))),
        Order::Longest => Some(TopBy::Duration),
        Order::Largest => Some(TopBy::Tokens),
        Order::Dearest => Some(TopBy::Cost),
    };
    let found = find(&parts, range, query.filter()?, (page, limit), by).await?;
    let body = Exchanges {
        timestamp: parts.text(now),
        from: Timestamp(range.from).to_string(),
        to: Timestamp(range.to).to_string(),
        exchanges: found.exchanges.iter().map(entry).collect(),
        pagination: Pagination {
            page,
            limit,
            total: match by {
                None => found.total.map_or(Maybe::Unknown(Reason::NotReported), Maybe::Known),
                Some(_) => Maybe::Unknown(Reason::NotApplicable),
            },
            has_more: found.has_more,
        },
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// An exchange as it is listed.
pub(crate) fn listed(exchange: &crate::history::query::Exchange) -> serde_json::Value {
    resolve(&entry(exchange))
}

async fn find(
    parts: &Parts,
    range: Range,
    filter: Filter,
    (page, limit): (u64, u64),
    by: Option<TopBy>,
) -> Result<Page, ApiError> {
    let limit = usize::try_from(limit).unwrap_or(MAX_PAGE);
    let offset = usize::try_from(page - 1).unwrap_or(0) * limit;
    parts
        .ask(move |reading| -> Result<Page, StoreError> {
            let query = PageQuery { range, filter: filter.clone(), offset, limit };
            let Some(by) = by else { return reading.page(&query) };
            let exchanges = reading.top(&TopQuery { range, filter, by, limit })?;
            // There is no second page to ask for.
            Ok(Page { exchanges, total: Err(NoTotal::NotSummed), has_more: false })
        })
        .await
}

impl Query {
    fn filter(&self) -> Result<Filter, ApiError> {
        let name = |name: &Option<String>| name.as_deref().map(Arc::from);
        let conversation = self.conversation.as_deref().map(|digits| {
            ConversationId::parse(digits)
                .ok_or_else(|| invalid("conversation", "it is not 16 hexadecimal digits", &json!(null)))
        });
        Ok(Filter {
            backend: name(&self.backend),
            model: name(&self.model),
            tenant: name(&self.tenant),
            client: name(&self.client),
            conversation: conversation.transpose()?,
            endpoint: name(&self.endpoint),
            operation: word("operation", self.operation.as_deref())?,
            inference: self.inference.unwrap_or(false),
            outcome: word("outcome", self.outcome.as_deref())?,
            failed: self.failed.unwrap_or(false),
            error: word("error", self.error.as_deref())?,
            status: self.status,
            min_duration_us: self.min_ms.map(|millis| millis.saturating_mul(1_000)),
        })
    }
}

/// The value of a closed set.
pub(super) fn word<T: Coded>(name: &str, word: Option<&str>) -> Result<Option<T>, ApiError> {
    let allowed = || json!(T::CODES.iter().map(|(_, value)| value.word()).collect::<Vec<_>>());
    word.map(|word| T::from_word(word).ok_or_else(|| invalid(name, "there is no such value", &allowed()))).transpose()
}

/// A number from 1 up to a bound.
fn bounded(name: &str, value: u64, most: u64) -> Result<u64, ApiError> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid(name, "it is out of range", &json!({"minimum": 1, "maximum": most})))
}
