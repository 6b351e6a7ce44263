//! `/dashboard/cache`: what is kept so that it need not be made again: models and prompts by the backends, their lists here.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::backends::{listed, resident};
use super::machine::MIB;
use crate::api::error::ApiError;
use crate::api::parameters::Parameters;
use crate::api::range::RangeQuery;
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::{Parts, wall};
use crate::api::sums::{Totals, bounds, of_range};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown, known_sum};
use crate::history::journal::event::EventKind;
use crate::history::query::Range;
use crate::history::query::lists::{ListFilter, ListQuery};

/// What is kept so that it need not be made again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cache {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// Where the first interval begins that sums are of, which are whole: RFC 3339 in UTC.
    from: String,
    /// Where the last one ends; it may be going on.
    to: String,
    cache_types: Types,
    compression: Compression,
    performance: CachePerformance,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheTypes)]
struct Types {
    model: ModelCache,
    response: ResponseCache,
    metadata: MetadataCache,
    prompt: PromptCache,
}

/// Models that the backends keep in memory.
#[derive(Serialize, ToSchema)]
struct ModelCache {
    enabled: bool,
    /// Generations and embeddings of the range that found their model in memory, by all that a backend took on: 0 to 1.
    hit_rate: Maybe<f64>,
    /// Models in memory now, of the backends that say so.
    entries: Maybe<usize>,
    /// Main and GPU memory of the models whose memory is known.
    size_mb: Maybe<f64>,
    /// The memory of all GPUs of this machine.
    max_size_mb: Maybe<f64>,
}

/// Answers are not kept.
#[derive(Serialize, ToSchema)]
struct ResponseCache {
    enabled: bool,
    hit_rate: Maybe<f64>,
    entries: Maybe<u64>,
    size_mb: Maybe<f64>,
    max_size_mb: Maybe<f64>,
    deduplication_ratio: Maybe<f64>,
}

/// What the backends list.
#[derive(Serialize, ToSchema)]
struct MetadataCache {
    enabled: bool,
    /// Every question for a model's name is answered from it.
    hit_rate: Maybe<f64>,
    /// Models; of a backend that answers no more, those that it last listed.
    entries: Maybe<usize>,
    size_mb: Maybe<f64>,
    last_refresh: Maybe<String>,
}

/// Prompts whose beginning a backend has seen.
#[derive(Serialize, ToSchema)]
struct PromptCache {
    enabled: bool,
    /// Prompt tokens of the range that were read from a cache, by all of the requests that report it: 0 to 1.
    hit_rate: Maybe<f64>,
    cached_tokens: Maybe<u64>,
    /// Of all exchanges of the range: those of `/dashboard/models` in its models and its `others` together.
    prompt_tokens: Maybe<u64>,
}

/// Nothing that is kept is compressed.
#[derive(Serialize, ToSchema)]
struct Compression {
    enabled: bool,
    algorithm: Maybe<String>,
    compression_ratio: Maybe<f64>,
    compressed_size_mb: Maybe<f64>,
    uncompressed_size_mb: Maybe<f64>,
}

/// Of the range.
#[derive(Serialize, ToSchema)]
struct CachePerformance {
    average_read_time_ms: Maybe<f64>,
    average_write_time_ms: Maybe<f64>,
    /// Models that left the memory of a backend.
    cache_evictions: Maybe<u64>,
    /// Requests that had to wait for their model: the cold starts of `/dashboard/models`.
    cache_misses: Maybe<u64>,
}

/// What is kept so that it need not be made again.
#[utoipa::path(
    get,
    path = "/dashboard/cache",
    params(RangeQuery),
    responses((status = 200, description = "What is kept so that it need not be made again.", body = Cache), ApiError)
)]
pub(crate) async fn cache(
    Parameters(query): Parameters<RangeQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<Cache>, ApiError> {
    let now = Instant::now();
    let range = query.range(&parts, now)?;
    let totals = of_range(&parts, range).await;
    let sum = totals.as_ref().map(Totals::all);
    let evictions = evictions(&parts, range).await;
    let [from, to] = bounds(&totals, range);
    let none = Reason::NotConfigured;
    let body = Cache {
        timestamp: parts.text(now),
        from,
        to,
        cache_types: Types {
            model: model(&parts, &totals, now),
            response: ResponseCache {
                enabled: false,
                hit_rate: Maybe::Unknown(none),
                entries: Maybe::Unknown(none),
                size_mb: Maybe::Unknown(none),
                max_size_mb: Maybe::Unknown(none),
                deduplication_ratio: Maybe::Unknown(none),
            },
            metadata: metadata(&parts),
            prompt: PromptCache {
                enabled: true,
                hit_rate: sum.as_ref().and_then(|sum| sum.cached_share().or_unknown(Reason::NotReported)),
                cached_tokens: sum.as_ref().and_then(|sum| sum.0.cached.or_unknown(Reason::NotReported)),
                prompt_tokens: sum.as_ref().and_then(|sum| sum.0.prompt.or_unknown(Reason::NoSamples)),
            },
        },
        compression: Compression {
            enabled: false,
            algorithm: Maybe::Unknown(none),
            compression_ratio: Maybe::Unknown(none),
            compressed_size_mb: Maybe::Unknown(none),
            uncompressed_size_mb: Maybe::Unknown(none),
        },
        performance: CachePerformance {
            average_read_time_ms: Maybe::Unknown(none),
            average_write_time_ms: Maybe::Unknown(none),
            cache_evictions: evictions,
            cache_misses: sum.as_ref().map(|sum| sum.0.cold),
        },
        unknown: Unknown::default(),
    };
    Ok(Reply::of(&body, OVERVIEW))
}

fn model(parts: &Parts, totals: &Maybe<Totals>, now: Instant) -> ModelCache {
    let resident = resident(parts);
    let gpus = parts.machine(now).map(|machine| machine.gpus()).unwrap_or_default();
    let memory = gpus.iter().filter_map(|gpu| gpu.memory_total_bytes).reduce(|sum, more| sum + more);
    ModelCache {
        enabled: true,
        hit_rate: totals.as_ref().and_then(|totals| totals.residency_hits().or_unknown(Reason::NoSamples)),
        entries: resident.as_ref().map(Vec::len),
        size_mb: resident.and_then(|all| known_sum(all.iter().map(|it| it.size.map(|bytes| bytes as f64 / MIB)))),
        max_size_mb: memory.map(|bytes| bytes as f64 / MIB).or_unknown(Reason::NotApplicable),
    }
}

fn metadata(parts: &Parts) -> MetadataCache {
    MetadataCache {
        enabled: true,
        hit_rate: Maybe::Unknown(Reason::NotApplicable),
        entries: listed(parts).map(|models| models.len()),
        size_mb: Maybe::Unknown(Reason::NotReported),
        last_refresh: parts
            .monitors()
            .iter()
            .filter_map(|monitor| monitor.refreshed())
            .max()
            .map(wall)
            .or_unknown(Reason::NotYet),
    }
}

/// Models that left the memory of a backend in this time.
async fn evictions(parts: &Parts, range: Range) -> Maybe<u64> {
    let filter = ListFilter { what: Some(EventKind::ModelEvicted.as_str().into()), ..ListFilter::default() };
    let query = ListQuery { range, filter, offset: 0, limit: 0 };
    parts.asked(move |reading| reading.events(&query)).await.map(|list| list.total)
}
