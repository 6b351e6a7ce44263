//! `/dashboard/workload/models`: what models there are, what for, and whether they are used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_period, paged, total};
use super::deployments::{self, is_remote};
use crate::api::endpoints::backends::listed;
use crate::api::endpoints::machine::GIB;
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::range::Period;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::{DAY, last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown, known_sum};
use crate::exchange::vocabulary::Operation;
use crate::history::journal::job::{JobKind, JobState};
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::query::{Filter, PageQuery, Range};
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// How far back the last use of a model is looked for, in milliseconds.
const MONTH: i64 = 30 * 86_400_000;

/// Models whose use is looked for.
const MOST: usize = 500;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WorkloadModelStatus)]
enum ModelStatus {
    Active,
    Inactive,
    Downloading,
    Failed,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WorkloadModelType)]
enum ModelType {
    Llm,
    Embedding,
}

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct ModelsQuery {
        #[param(inline)]
        status: Option<ModelStatus>,
        #[param(inline)]
        r#type: Option<ModelType>,
        /// The name of a backend that lists it.
        backend: Option<String>,
    }
}

/// The models of all backends, each once.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkloadModels)]
pub(crate) struct Models {
    timestamp: String,
    /// Of all, whatever is asked for.
    summary: ModelSummary,
    models: Vec<Model>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkloadModelSummary)]
pub(super) struct ModelSummary {
    /// Unknown until a backend has listed its models, as all that follows from it.
    pub(super) total: Maybe<usize>,
    /// In memory, or used in the last 24 hours.
    pub(super) active: Maybe<usize>,
    pub(super) inactive: Maybe<usize>,
    pub(super) downloading: usize,
    /// The last pull failed, and no backend has it.
    pub(super) failed: usize,
    pub(super) by_type: ByType,
    by_deployment_type: ByDeploymentType,
    storage: Storage,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WorkloadModelsByType)]
pub(super) struct ByType {
    llm: Maybe<usize>,
    /// No backend says which models see.
    vision: Maybe<usize>,
    embedding: Maybe<usize>,
    /// No exchange tells it.
    voice: Maybe<usize>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ByDeploymentType {
    self_hosted: Maybe<usize>,
    api_based: Maybe<usize>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkloadModelStorage)]
struct Storage {
    /// GiB, of the models whose size is known.
    total_size: Maybe<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WorkloadModel)]
struct Model {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    /// By the requests of the last 24 hours: `llm` or `embedding`.
    #[serde(rename = "type")]
    kind: Maybe<String>,
    /// `self-hosted` or `api-based`.
    deployment_type: &'static str,
    /// `active`, `inactive`, `downloading` or `failed`.
    status: &'static str,
    /// GiB.
    size: Maybe<f64>,
    deployments: usize,
    /// In the last 30 days.
    last_used: Maybe<String>,
    backends: Vec<String>,
}

impl Table for Models {
    const COLUMNS: &'static [&'static str] = &["name", "type", "status", "size_gb", "deployments", "last_used"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Model| {
            vec![
                it.name.clone(),
                it.kind.known().cloned().unwrap_or_default(),
                it.status.to_owned(),
                it.size.known().map_or_else(String::new, f64::to_string),
                it.deployments.to_string(),
                it.last_used.known().cloned().unwrap_or_default(),
            ]
        };
        self.models.iter().map(row).collect()
    }
}

/// The models of all backends, each once.
#[utoipa::path(
    get,
    path = "/dashboard/workload/models",
    params(ModelsQuery),
    responses((status = 200, description = "The models of all backends.", body = Models), ApiError)
)]
pub(crate) async fn models(
    Parameters(query): Parameters<ModelsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Models>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let mut models = all(&parts, now).await;
    let summary = summary(&parts, &models);
    models.retain(|model| {
        let status = query.status.is_none_or(|status| match status {
            ModelStatus::Active => model.status == "active",
            ModelStatus::Inactive => model.status == "inactive",
            ModelStatus::Downloading => model.status == "downloading",
            ModelStatus::Failed => model.status == "failed",
        });
        let kind = query.r#type.is_none_or(|kind| {
            let word = if kind == ModelType::Llm { "llm" } else { "embedding" };
            model.kind.known().is_some_and(|kind| kind == word)
        });
        status && kind && query.backend.as_ref().is_none_or(|backend| model.backends.contains(backend))
    });
    let (models, pagination) = paged(models, pages);
    let body = Models {
        timestamp: parts.text(now),
        summary,
        models,
        pagination,
        metadata: of_period(&parts, Period::Day, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// What the backends say of a model.
#[derive(Default)]
struct Listed {
    backends: Vec<String>,
    size: Option<u64>,
    is_remote: bool,
    is_resident: bool,
}

/// What the history says of a model.
struct Used {
    is_generating: bool,
    is_embedding: bool,
    last: Option<i64>,
}

/// The summary of every model.
pub(super) async fn summary_of(parts: &Parts, now: Instant) -> ModelSummary {
    summary(parts, &all(parts, now).await)
}

async fn all(parts: &Parts, now: Instant) -> Vec<Model> {
    let mut listed: BTreeMap<Box<str>, Listed> = BTreeMap::new();
    for monitor in &*parts.monitors() {
        let inventory = monitor.inventory();
        for name in deployments::names(&inventory) {
            let entry = listed.entry(name.clone()).or_default();
            let model = inventory.models.iter().find(|model| model.name == name);
            entry.backends.push(monitor.backend.name.to_string());
            entry.size = entry.size.or(model.and_then(|model| model.size));
            entry.is_remote |= model.is_some_and(|model| model.remote) || is_remote(&monitor.backend.address);
            entry.is_resident |= deployments::resident_of(&inventory, &name).is_some();
        }
    }
    let running = parts.journal.jobs().snapshot();
    let pulled = running.iter().filter(|job| &*job.kind == JobKind::Pull.as_str()).filter_map(|job| job.model.clone());
    let pulled: Vec<_> = pulled.collect();
    let names: Vec<Box<str>> = listed.keys().take(MOST).cloned().collect();
    let (day, to) = (last(parts, DAY, now), parts.millis(now) + 1);
    let found = parts
        .asked(move |reading| {
            let used = names.iter().map(|name| used(reading, name, day, to)).collect::<Result<Vec<_>, _>>()?;
            Ok((names.into_iter().zip(used).collect::<BTreeMap<_, _>>(), failed_pulls(reading, day)?))
        })
        .await;
    let (used, failed) = match &found {
        Maybe::Known((used, failed)) => (Some(used), failed.clone()),
        Maybe::Unknown(_) => (None, Vec::new()),
    };
    let absent = if used.is_some() { Reason::NoSamples } else { Reason::NotConfigured };
    for name in pulled.iter().chain(&failed) {
        listed.entry((&**name).into()).or_default();
    }
    let deployments = deployments::all(parts, now).await;
    let model = |name: &str, it: &Listed| {
        let used = used.and_then(|used| used.get(name));
        let last = used.and_then(|used| used.last);
        let is_used = last.is_some_and(|last| last >= day.from);
        Model {
            id: name.to_string(),
            name: name.to_string(),
            kind: match used {
                Some(used) if used.is_generating => Maybe::Known("llm".to_owned()),
                Some(used) if used.is_embedding => Maybe::Known("embedding".to_owned()),
                _ => Maybe::Unknown(Reason::NotYet),
            },
            deployment_type: if it.is_remote { "api-based" } else { "self-hosted" },
            status: if pulled.iter().any(|pulled| **pulled == *name) {
                "downloading"
            } else if it.backends.is_empty() {
                "failed"
            } else if it.is_resident || is_used {
                "active"
            } else {
                "inactive"
            },
            size: it.size.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported),
            deployments: deployments.iter().filter(|deployment| *deployment.model_name == *name).count(),
            last_used: last.map(|at| Timestamp(at).to_string()).or_unknown(absent),
            backends: it.backends.clone(),
        }
    };
    listed.iter().map(|(name, it)| model(name, it)).collect()
}

fn used(reading: &Reading, name: &str, day: Range, to: i64) -> Result<Used, StoreError> {
    let of = |operation| Filter { model: Some(name.into()), operation, ..Filter::default() };
    let has = |operation| Ok::<_, StoreError>(total(reading, day, &of(Some(operation)))?.0.requests > 0);
    let newest = PageQuery { range: Range { from: to - MONTH, to }, filter: of(None), offset: 0, limit: 1 };
    Ok(Used {
        is_generating: has(Operation::Chat)? || has(Operation::TextCompletion)?,
        is_embedding: has(Operation::Embeddings)?,
        last: reading.newest(&newest)?.exchanges.first().map(|exchange| exchange.id.millis()),
    })
}

/// Models whose last pull in this time failed.
fn failed_pulls(reading: &Reading, range: Range) -> Result<Vec<Arc<str>>, StoreError> {
    let filter = ListFilter { what: Some(JobKind::Pull.as_str().into()), ..ListFilter::default() };
    let jobs = reading.jobs(&ListQuery { range, filter, offset: 0, limit: MOST })?;
    let mut last: BTreeMap<&str, bool> = BTreeMap::new();
    for job in &jobs.entries {
        if let Some(model) = job.model.as_deref() {
            last.entry(model).or_insert(&*job.state == JobState::Failed.as_str());
        }
    }
    Ok(last.into_iter().filter(|(_, failed)| *failed).map(|(model, _)| model.into()).collect())
}

fn summary(parts: &Parts, models: &[Model]) -> ModelSummary {
    let listed = listed(parts);
    let if_listed = |count: usize| listed.as_ref().map(|_| count);
    let status = |word: &str| models.iter().filter(|model| model.status == word).count();
    let kind = |word: &str| models.iter().filter(|model| model.kind.known().is_some_and(|kind| kind == word)).count();
    // If the kind of every model is unknown, so is the number of each kind.
    let untold = models.iter().all(|model| model.kind.known().is_none()).then(|| models.first()).flatten();
    let by_kind = |word: &str| match untold.map(|model| &model.kind) {
        Some(Maybe::Unknown(why)) => Maybe::Unknown(*why),
        _ => if_listed(kind(word)),
    };
    let hosted = models.iter().filter(|model| model.deployment_type == "self-hosted").count();
    ModelSummary {
        total: if_listed(models.len()),
        active: if_listed(status("active")),
        inactive: if_listed(status("inactive")),
        downloading: status("downloading"),
        failed: status("failed"),
        by_type: ByType {
            llm: by_kind("llm"),
            vision: Maybe::Unknown(Reason::NotReported),
            embedding: by_kind("embedding"),
            voice: Maybe::Unknown(Reason::NotReported),
        },
        by_deployment_type: ByDeploymentType {
            self_hosted: if_listed(hosted),
            api_based: if_listed(models.len() - hosted),
        },
        storage: Storage {
            total_size: listed.as_ref().and_then(|_| known_sum(models.iter().map(|model| model.size.known().copied()))),
        },
    }
}
