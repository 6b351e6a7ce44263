//! `/dashboard/models`: the models of all backends, which of them are in memory, and how they perform.

mod performance;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::performance::{Performance, performance};
use super::backends::{listed as all_listed, resident as all_resident};
use super::machine::{GIB, MIB};
use crate::api::error::ApiError;
use crate::api::export::{Format, Table, cells};
use crate::api::parameters::Parameters;
use crate::api::range::{AnInstant, Period, range};
use crate::api::reply::{Listing, OVERVIEW};
use crate::api::state::{Parts, wall};
use crate::api::sums::{DAY, Sum, bounds, last, of_range};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown, known_sum};
use crate::backend::inventory::{Expiry, Inventory, ListedModel, Resident, Runtime};
use crate::exchange::outcome::{Outcome, Phase};
use crate::history::in_flight::InFlightExchange;
use crate::history::journal::event::EventKind;
use crate::history::journal::job::Job;
use crate::history::query::Range;
use crate::history::query::lists::{List, ListFilter, ListQuery, ListedEvent};
use crate::history::query::totals::Total;
use crate::history::timestamp::Timestamp;

/// Of which time the sums are.
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
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// The models of all backends.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// Where the first interval begins that sums are of, which are whole: RFC 3339 in UTC.
    from: String,
    /// Where the last one ends; it may be going on.
    to: String,
    models: Vec<Model>,
    others: Others,
    summary: Summary,
    unknown: Unknown,
}

/// One model of one backend.
#[derive(Serialize, ToSchema)]
struct Model {
    /// By which requests select it.
    id: String,
    name: String,
    /// The backend that has it.
    backend: String,
    /// The file format, such as `gguf`.
    format: Maybe<String>,
    /// No server of models reports it.
    file_path: Maybe<String>,
    /// Of its files.
    size_bytes: Maybe<u64>,
    /// `loaded` (in memory), `loading`, `downloading`, `available`, or `unavailable` while its backend does not answer.
    status: &'static str,
    /// When it was first seen in memory.
    loaded_at: Maybe<String>,
    /// When it was last seen to be loaded, in the last 30 days, whether it still is in memory or not.
    last_loaded_at: Maybe<String>,
    /// When it is unloaded unless it is used; in the past while it is in use.
    expires_at: Maybe<String>,
    /// The server software that runs it.
    backend_type: Maybe<String>,
    metadata: Metadata,
    performance: Performance,
    resource_usage: Usage,
}

#[derive(Serialize, ToSchema)]
struct Metadata {
    architecture: Maybe<String>,
    /// With which it is loaded, in tokens.
    context_length: Maybe<u64>,
    /// In tokens.
    vocab_size: Maybe<u64>,
    /// Their number, such as `8.0B`.
    parameters: Maybe<String>,
    quantization: Maybe<String>,
}

/// The exchanges of the range that count for none of `models`: for a model that no backend lists now, whose name no backend
/// has confirmed, or for none at all, as a list of models is. With them the models add up to all exchanges.
#[derive(Serialize, ToSchema)]
struct Others {
    /// The models among them that have a name.
    models: Maybe<Vec<String>>,
    total_requests: Maybe<u64>,
    failed_requests: Maybe<u64>,
    cancelled_requests: Maybe<u64>,
    cold_starts: Maybe<u64>,
    prompt_tokens: Maybe<u64>,
    generated_tokens: Maybe<u64>,
}

#[derive(Serialize, ToSchema)]
struct Usage {
    /// In main memory.
    memory_usage_mb: Maybe<f64>,
    gpu_memory_usage_mb: Maybe<f64>,
    cpu_utilization_percent: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct Summary {
    /// Those that are listed, or in memory under no listed name; unknown until a backend has listed its models.
    total_models: Maybe<usize>,
    /// In memory now, of the backends that say so.
    loaded_models: Maybe<usize>,
    /// Files of the models whose size is known.
    total_size_gb: Maybe<f64>,
    /// Main and GPU memory of the models whose memory is known.
    memory_usage_gb: Maybe<f64>,
}

/// A model of a backend a line, without the others.
impl Table for Models {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "backend",
        "status",
        "format",
        "size_bytes",
        "metadata.architecture",
        "metadata.parameters",
        "metadata.quantization",
        "metadata.context_length",
        "loaded_at",
        "last_loaded_at",
        "expires_at",
        "resource_usage.memory_usage_mb",
        "resource_usage.gpu_memory_usage_mb",
        "performance.total_requests",
        "performance.failed_requests",
        "performance.cancelled_requests",
        "performance.cold_starts",
        "performance.prompt_tokens",
        "performance.generated_tokens",
        "performance.average_latency_ms",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        self.models.iter().map(|model| cells(model, Self::COLUMNS)).collect()
    }
}

/// The models of all backends.
#[utoipa::path(
    get,
    path = "/dashboard/models",
    params(Query),
    responses((status = 200, description = "The models of all backends.", body = Models), ApiError)
)]
pub(crate) async fn models(
    Parameters(query): Parameters<Query>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Models>, ApiError> {
    let now = Instant::now();
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Day, parts.millis(now)))?;
    Ok(Listing::of(of(&parts, range, now).await, OVERVIEW, query.format))
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, now: Instant) -> Models {
    of(parts, last(parts, DAY, now), now).await
}

/// The models of now, and how they performed in this time.
async fn of(parts: &Parts, range: Range, now: Instant) -> Models {
    let (totals, loads) = (of_range(parts, range).await, loads(parts, now).await);
    let by_model = |total: &'_ Total| Some((total.backend.clone(), total.model.clone()));
    // What a model is found to have done is taken out, and nothing counts twice.
    let mut rest = totals.as_ref().map(|totals| totals.by(by_model));
    let jobs = parts.journal.jobs().snapshot();
    let in_flight = parts.in_flight.snapshot();
    let waited_for = waited_for(&in_flight);
    let (mut models, mut sizes) = (Vec::new(), Vec::new());
    for monitor in &*parts.monitors() {
        let (inventory, backend) = (monitor.inventory(), &monitor.backend.name);
        let (listed, residents) = (listed(&inventory), residents(&inventory));
        let is_down = monitor.status.snapshot().state.is_up() == Some(false);
        for name in names(&inventory, &listed) {
            let key = (Some(backend.clone()), Some(Arc::from(name)));
            let totals = rest.as_mut().map(|rest| rest.remove(&key).unwrap_or_default());
            let performance = performance(totals.as_ref().map(Vec::as_slice));
            let (listed, resident) = (listed.get(name).copied(), residents.get(name).copied());
            sizes.push(listed.and_then(|model| model.size).map(|bytes| bytes as f64 / GIB));
            let is_loading = waited_for.contains(&(&**backend, name));
            let status = if is_down { "unavailable" } else { status(name, resident.is_some(), is_loading, &jobs) };
            let loaded = last_load(&loads, backend, name, resident);
            models.push(model((backend, name), &inventory, (listed, resident), status, loaded, performance));
        }
    }
    let [from, to] = bounds(&totals, range);
    let rest = rest.map(|rest| rest.into_values().flatten().collect::<Vec<_>>());
    let (timestamp, summary) = (parts.text(now), summary(parts, models.len(), sizes));
    let others = others(rest.as_ref().map(Vec::as_slice));
    Models { timestamp, from, to, models, others, summary, unknown: Unknown::default() }
}

/// Backends and the models that requests wait for: while one is loaded that is not in memory, no byte comes.
fn waited_for(in_flight: &[InFlightExchange]) -> HashSet<(&str, &str)> {
    in_flight
        .iter()
        .filter(|exchange| exchange.phase == Phase::Waiting)
        .filter_map(|exchange| Some((exchange.backend.as_deref()?, exchange.model.as_deref()?)))
        .collect()
}

fn summary(parts: &Parts, models: usize, sizes: Vec<Option<f64>>) -> Summary {
    let (listed, resident) = (all_listed(parts), all_resident(parts));
    let memory = |it: &Resident| it.size.map(|bytes| bytes as f64 / GIB);
    Summary {
        total_models: listed.as_ref().map(|_| models),
        loaded_models: resident.as_ref().map(Vec::len),
        total_size_gb: listed.and_then(|_| known_sum(sizes.into_iter())),
        memory_usage_gb: resident.and_then(|all| known_sum(all.iter().map(memory))),
    }
}

/// What is left when each model has its own.
fn others(rest: Maybe<&[&Total]>) -> Others {
    let sum = rest.map(|all| Sum::of(all.iter().copied()));
    let sum = sum.as_ref();
    Others {
        models: rest.map(|all| {
            let names: BTreeSet<_> = all.iter().filter_map(|total| total.model.as_deref()).collect();
            names.into_iter().map(str::to_owned).collect()
        }),
        total_requests: sum.map(|sum| sum.0.requests),
        failed_requests: sum.map(|sum| sum.0.failed()),
        cancelled_requests: sum.map(|sum| sum.outcome(Outcome::ClientCancelled)),
        cold_starts: sum.map(|sum| sum.0.cold),
        prompt_tokens: sum.and_then(|sum| sum.0.prompt.or_unknown(Reason::NoSamples)),
        generated_tokens: sum.and_then(|sum| sum.0.generated.or_unknown(Reason::NoSamples)),
    }
}

/// The models that are listed, and those that are in memory under no listed name.
fn names<'a>(inventory: &'a Inventory, listed: &HashMap<&str, &ListedModel>) -> Vec<&'a str> {
    let others = inventory.resident.iter().flatten().map(|resident| &*resident.name);
    let others = others.filter(|name| !listed.contains_key(name));
    inventory.models.iter().map(|model| &*model.name).chain(others).collect()
}

fn listed(inventory: &Inventory) -> HashMap<&str, &ListedModel> {
    first_of_each(inventory.models.iter().map(|model| (&*model.name, model)))
}

/// The models in memory, by each name that they have.
fn residents(inventory: &Inventory) -> HashMap<&str, &Resident> {
    first_of_each(inventory.resident_names().into_iter().flatten())
}

fn first_of_each<K: Eq + Hash, T>(pairs: impl Iterator<Item = (K, T)>) -> HashMap<K, T> {
    let mut first = HashMap::new();
    for (key, value) in pairs {
        first.entry(key).or_insert(value);
    }
    first
}

fn status(name: &str, is_resident: bool, is_loading: bool, jobs: &[Job]) -> &'static str {
    let downloading = jobs.iter().any(|job| &*job.kind == "pull" && job.model.as_deref() == Some(name));
    match (is_resident, downloading, is_loading) {
        (true, ..) => "loaded",
        (false, true, _) => "downloading",
        (false, false, true) => "loading",
        (false, false, false) => "available",
    }
}

/// Loads that are looked at.
const MAX_LOADS: usize = 2_000;

/// When models were last loaded, by backend and model.
type Loads = HashMap<(Box<str>, Box<str>), i64>;

async fn loads(parts: &Parts, now: Instant) -> Maybe<Loads> {
    let filter = ListFilter { what: Some(EventKind::ModelLoaded.as_str().into()), ..ListFilter::default() };
    let query = ListQuery { range: last(parts, DAY * 30, now), filter, offset: 0, limit: MAX_LOADS };
    let events = parts.asked(move |reading| reading.events(&query)).await;
    // The newest first.
    let loads =
        |list: List<ListedEvent>| list.entries.into_iter().filter_map(|it| Some(((it.backend?, it.subject?), it.at)));
    events.map(|list| first_of_each(loads(list)))
}

fn last_load(loads: &Maybe<Loads>, backend: &str, name: &str, resident: Option<&Resident>) -> Maybe<String> {
    if let Some(at) = resident.and_then(|resident| resident.loaded) {
        return Maybe::Known(wall(at));
    }
    let found = |loads: &Loads| loads.get(&(backend.into(), name.into())).map(|at| Timestamp(*at).to_string());
    loads.as_ref().and_then(|loads| found(loads).or_unknown(Reason::NotYet))
}

fn model(
    (backend, name): (&str, &str),
    inventory: &Inventory,
    (listed, resident): (Option<&ListedModel>, Option<&Resident>),
    status: &'static str,
    last_loaded_at: Maybe<String>,
    performance: Performance,
) -> Model {
    let text =
        |of: fn(&ListedModel) -> Option<&str>| listed.and_then(of).map(str::to_owned).or_unknown(Reason::NotReported);
    let unheld = if inventory.resident.is_none() { Reason::NotReported } else { Reason::NotApplicable };
    let held = |of: fn(&Resident) -> Option<u64>| match resident {
        Some(resident) => of(resident).or_unknown(Reason::NotReported),
        None => Maybe::Unknown(unheld),
    };
    Model {
        id: name.to_owned(),
        name: name.to_owned(),
        backend: backend.to_owned(),
        format: text(|model| model.format.as_deref()),
        file_path: Maybe::Unknown(Reason::NotReported),
        size_bytes: listed
            .and_then(|model| model.size)
            .or(resident.and_then(|it| it.size))
            .or_unknown(Reason::NotReported),
        status,
        loaded_at: match resident {
            Some(resident) => resident.loaded.map(wall).or_unknown(Reason::NotYet),
            None => Maybe::Unknown(unheld),
        },
        last_loaded_at,
        expires_at: match resident.map(|resident| resident.expires) {
            Some(Some(Expiry::At(at))) => Maybe::Known(wall(at)),
            Some(Some(Expiry::Never)) => Maybe::Unknown(Reason::NotApplicable),
            Some(None) => Maybe::Unknown(Reason::NotReported),
            None => Maybe::Unknown(unheld),
        },
        backend_type: Some(inventory.runtime)
            .filter(|runtime| *runtime != Runtime::Unknown)
            .map(|runtime| runtime.as_str().to_owned())
            .or_unknown(Reason::NotYet),
        metadata: Metadata {
            architecture: text(|model| model.family.as_deref()),
            context_length: held(|resident| resident.context),
            vocab_size: listed.and_then(|model| model.vocabulary).or_unknown(Reason::NotReported),
            parameters: text(|model| model.parameter_size.as_deref()),
            quantization: text(|model| model.quant.as_deref()),
        },
        performance,
        resource_usage: Usage {
            memory_usage_mb: held(|resident| resident.size?.checked_sub(resident.vram?))
                .map(|bytes| bytes as f64 / MIB),
            gpu_memory_usage_mb: held(|resident| resident.vram).map(|bytes| bytes as f64 / MIB),
            cpu_utilization_percent: Maybe::Unknown(if resident.is_some() { Reason::SharedProcess } else { unheld }),
        },
    }
}
