//! `/dashboard/config`: the settings in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::identity::Identity;
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Reply};
use crate::api::settings::Settings;
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::backend::inventory::{Resident, Runtime};
use crate::history::journal::audit::{Action, ActionResult, Audit};

/// The settings in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct Config {
    server: Server,
    models: Models,
    cache: CacheSettings,
    security: SecuritySettings,
    /// Each backend by its name.
    backends: BTreeMap<String, BackendSettings>,
    /// Every key with its value, as it is written in a file of settings.
    settings: BTreeMap<&'static str, String>,
    /// Where each value comes from: `flag`, `environment`, `file` or `default`.
    sources: BTreeMap<&'static str, &'static str>,
    unknown: Unknown,
}

/// The listener for clients.
#[derive(Serialize, ToSchema)]
struct Server {
    bind_address: String,
    /// Connections of clients at once.
    max_concurrent_requests: Maybe<u64>,
    /// Always unknown: the program sets no such limit, as a model may take as long as it needs.
    request_timeout_seconds: Maybe<u64>,
    tls_enabled: bool,
}

/// The backends' own business.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelSettings)]
struct Models {
    directory: Maybe<String>,
    /// The backends are asked for their models.
    auto_discovery: bool,
    max_loaded_models: Maybe<u64>,
    unload_timeout_minutes: Maybe<u64>,
}

/// Answers are not kept.
#[derive(Serialize, ToSchema)]
struct CacheSettings {
    enabled: bool,
    #[serde(rename = "type")]
    kind: Maybe<String>,
    max_size_gb: Maybe<f64>,
    compression: Maybe<String>,
    ttl_hours: Maybe<f64>,
}

/// Of the second listener.
#[derive(Serialize, ToSchema)]
struct SecuritySettings {
    auth_enabled: bool,
    rate_limiting: bool,
    max_requests_per_minute: u32,
    audit_enabled: bool,
}

#[derive(Serialize, ToSchema)]
struct BackendSettings {
    address: String,
    /// The server software.
    runtime: Maybe<String>,
    /// Whether a model of it uses a GPU.
    gpu_enabled: Maybe<bool>,
    /// The largest context with which a model of it is loaded, in tokens.
    context_size: Maybe<u64>,
    batch_size: Maybe<u64>,
}

/// The settings in force.
#[utoipa::path(
    get,
    path = "/dashboard/config",
    params(NoParameters),
    responses((status = 200, description = "The settings in force.", body = Config), ApiError)
)]
pub(crate) async fn config(
    _: Parameters<NoParameters>,
    identity: Identity,
    State(parts): State<Arc<Parts>>,
) -> Reply<Config> {
    let read_by = Audit::new(Action::ConfigRead, ActionResult::Success).by(identity.name().cloned());
    parts.journal.audit(read_by.to(Some("configuration".into())));
    Reply::of(&read(&parts, &(parts.settings)()), LIST)
}

fn read(parts: &Parts, settings: &Settings) -> Config {
    let (none, gate) = (Reason::NotConfigured, parts.gate.status());
    Config {
        server: Server {
            bind_address: parts.clients.to_string(),
            max_concurrent_requests: settings.max_connections.or_unknown(Reason::NotApplicable),
            request_timeout_seconds: Maybe::Unknown(Reason::NotApplicable),
            tls_enabled: settings.clients_speak_tls,
        },
        models: Models {
            directory: Maybe::Unknown(Reason::NotReported),
            auto_discovery: true,
            max_loaded_models: Maybe::Unknown(Reason::NotReported),
            unload_timeout_minutes: Maybe::Unknown(Reason::NotReported),
        },
        cache: CacheSettings {
            enabled: false,
            kind: Maybe::Unknown(none),
            max_size_gb: Maybe::Unknown(none),
            compression: Maybe::Unknown(none),
            ttl_hours: Maybe::Unknown(none),
        },
        security: SecuritySettings {
            auth_enabled: !gate.means.is_empty(),
            rate_limiting: true,
            max_requests_per_minute: gate.limits.per_minute.get(),
            audit_enabled: parts.readers.is_some(),
        },
        backends: parts.monitors().iter().map(|it| (it.backend.name.to_string(), backend(it))).collect(),
        settings: settings.keys.iter().map(|(name, value, _)| (*name, value.clone())).collect(),
        sources: settings.keys.iter().map(|(name, _, source)| (*name, *source)).collect(),
        unknown: Unknown::default(),
    }
}

fn backend(monitor: &crate::backend::monitor::Monitor) -> BackendSettings {
    let inventory = monitor.inventory();
    let resident: Vec<&Resident> = inventory.resident.iter().flatten().collect();
    let unheld = if inventory.resident.is_some() { Reason::NoSamples } else { Reason::NotReported };
    BackendSettings {
        address: monitor.backend.address.to_string(),
        runtime: Some(inventory.runtime)
            .filter(|runtime| *runtime != Runtime::Unknown)
            .map(|runtime| runtime.as_str().to_owned())
            .or_unknown(Reason::NotYet),
        gpu_enabled: resident
            .iter()
            .filter_map(|it| it.vram)
            .map(|vram| vram > 0)
            .reduce(|a, b| a || b)
            .or_unknown(unheld),
        context_size: resident.iter().filter_map(|it| it.context).max().or_unknown(unheld),
        batch_size: Maybe::Unknown(Reason::NotReported),
    }
}
