//! Recognises the server software of a backend and lists its models, by requests that each server is known to answer.
//!
//! Ollama's `/api/tags` and `OpenAI`'s `/v1/models` come first: their names may become labels. The signature of the
//! latter (`owned_by`, `Server`) identifies the server, since several imitate Ollama's API. All other requests are sent
//! only to the server that is known to answer them. A failed request leaves its facts unknown.

use std::num::NonZeroU32;

use http::{Method, StatusCode, header};

use super::answers::{self, JsonObject, RoutedServer, ServedModel};
use super::engine;
use super::fetch::{FetchLimits, FetchedResponse, fetch};
use super::inventory::{Inventory, ListedModel, Resident, Runtime};
use super::monitor::Monitor;
use super::quiet::SleepState;

/// The size limit of a listing in bytes: some 20,000 models of Ollama.
const MAX_LISTING: usize = 8 * 1024 * 1024;

/// The size limit of other responses in bytes.
pub(super) const MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// Returns the inventory without the models in memory of a server that is polled; `None` where it lists no models.
/// `known` is the last result, `Unknown` after the backend was unreachable. With `is_quiet`, metrics are not requested
/// just to recognise the server, as that might wake it.
pub(super) async fn recognise(monitor: &Monitor, known: Runtime, is_quiet: bool) -> Option<Inventory> {
    let asks_tags = matches!(known, Runtime::Ollama | Runtime::Unknown);
    let tags = if asks_tags { read(monitor, "/api/tags", MAX_LISTING).await } else { None };
    let tags = tags.and_then(|answer| answers::tags(&answer.body));
    let mut served = None;
    let mut runtime = Runtime::Unknown;
    if known != Runtime::Ollama || tags.is_none() {
        let answer = read(monitor, "/v1/models", MAX_LISTING).await;
        served = answer.as_ref().and_then(|answer| answers::models(&answer.body));
        runtime = signature(answer.as_ref(), served.as_deref().unwrap_or_default());
    }
    let found = match runtime {
        Runtime::LlamaCpp => {
            let (version, slots) = read_llama_cpp(monitor, served.as_deref_mut()).await.unwrap_or_default();
            Recognised { version, runtime, slots, served }
        }
        Runtime::Vllm => return read_vllm(monitor, served).await,
        Runtime::Sglang => return read_sglang(monitor, served).await,
        Runtime::LmStudio => read_lm_studio(monitor, served).await,
        // A single failed listing does not change what is known.
        _ if known == Runtime::Ollama && tags.is_none() => return None,
        _ => return recognise_unsigned(monitor, known, tags, served, is_quiet).await,
    };
    found.inventory()
}

/// The facts about a server other than Ollama.
struct Recognised {
    runtime: Runtime,
    version: Option<Box<str>>,
    /// Requests that it works on at once.
    slots: Option<NonZeroU32>,
    served: Option<Vec<ServedModel>>,
}

impl Recognised {
    /// Such a server has all listed models in memory, unless it says otherwise. LM Studio lists the models on disk, and
    /// its older versions do not say which are loaded.
    fn inventory(self) -> Option<Inventory> {
        let served = self.served?;
        let is_known = match self.runtime {
            Runtime::Unknown => false,
            Runtime::LmStudio => served.iter().all(|served| served.loaded.is_some()),
            _ => true,
        };
        let resident = served.iter().filter(|served| served.loaded != Some(false)).map(|served| Resident {
            name: served.model.name.clone(),
            revision: served.model.revision.clone(),
            context: served.context,
            ..Resident::default()
        });
        Some(Inventory {
            runtime: self.runtime,
            version: self.version,
            slots: self.slots,
            resident: is_known.then(|| resident.collect()),
            models: served.into_iter().map(|served| served.model).collect(),
            ..Inventory::default()
        })
    }
}

/// The server that the response to `/v1/models` identifies.
fn signature(answer: Option<&FetchedResponse>, served: &[ServedModel]) -> Runtime {
    let server = answer.and_then(|answer| answer.headers.get(header::SERVER));
    if server.is_some_and(|server| server.as_bytes().starts_with(b"llama.cpp")) {
        return Runtime::LlamaCpp;
    }
    let mut owners = served.iter().map(|served| served.owner.as_deref());
    let first = owners.next().flatten();
    // A gateway to several engines forwards the signature of each.
    match first.filter(|_| owners.all(|owner| owner == first)) {
        Some("llamacpp") => Runtime::LlamaCpp,
        Some("vllm") => Runtime::Vllm,
        Some("sglang") => Runtime::Sglang,
        Some("organization_owner") => Runtime::LmStudio,
        _ => Runtime::Unknown,
    }
}

/// Ollama signs with the owner of each model, TGI with the model's name: both are recognised by another request.
async fn recognise_unsigned(
    monitor: &Monitor,
    known: Runtime,
    tags: Option<Vec<ListedModel>>,
    served: Option<Vec<ServedModel>>,
    is_quiet: bool,
) -> Option<Inventory> {
    if let Some(models) = tags {
        let version = read_version(monitor, "/api/version", "version").await;
        let runtime = if version.is_some() { Runtime::Ollama } else { known };
        return Some(Inventory { runtime, version, models, polled: true, ..Inventory::default() });
    }
    let info = read(monitor, "/info", MAX_RESPONSE).await;
    if let Some((model, version, slots)) = info.and_then(|info| answers::tgi(&info.body)) {
        return Recognised { runtime: Runtime::Tgi, version, slots, served: Some(vec![model]) }.inventory();
    }
    // An engine whose listing requires a key may still expose metrics.
    let metrics = if is_quiet { None } else { read(monitor, "/metrics", MAX_RESPONSE).await };
    let metrics = metrics.and_then(|answer| engine::parse(&String::from_utf8_lossy(&answer.body)));
    match (metrics, served) {
        (Some((runtime, _)), served) => {
            let is_listed = served.is_some();
            let served = Some(served.unwrap_or_default());
            let inventory = Recognised { runtime, version: None, slots: None, served }.inventory();
            inventory.map(|inventory| Inventory { resident: inventory.resident.filter(|_| is_listed), ..inventory })
        }
        (None, served) => Recognised { runtime: Runtime::Unknown, version: None, slots: None, served }.inventory(),
    }
}

/// The build and the slots from `/props`, which for older builds also has facts missing in `/v1/models`.
async fn read_llama_cpp(
    monitor: &Monitor,
    served: Option<&mut [ServedModel]>,
) -> Option<(Option<Box<str>>, Option<NonZeroU32>)> {
    let props = JsonObject::parse(&read(monitor, "/props", MAX_RESPONSE).await?.body)?;
    if let Some([only]) = served {
        let context = props.object("default_generation_settings").and_then(|settings| settings.number("n_ctx"));
        only.context = only.context.or(context.filter(|tokens| *tokens > 0));
        only.model.quant = only.model.quant.take().or_else(|| props.text("model_ftype"));
        // It loads only this format.
        only.model.format = Some("gguf".into());
    }
    Some((props.text("build_info"), props.number("total_slots").and_then(answers::slots)))
}

/// Whether llama.cpp's server sleeps, or may. `/props` neither wakes it nor keeps it awake.
pub(super) async fn read_sleep_state(monitor: &Monitor) -> SleepState {
    let answer = read(monitor, "/props", MAX_RESPONSE).await;
    let Some(props) = answer.and_then(|answer| JsonObject::parse(&answer.body)) else { return SleepState::Possible };
    match props.boolean("is_sleeping") {
        Some(true) => SleepState::Asleep,
        Some(false) => SleepState::Possible,
        None => SleepState::Never,
    }
}

/// vLLM states the context length of what it serves. The router of vLLM's production stack lists the models of all its
/// servers without it, and its `/version` is its own; `SGLang`'s router forwards the listing of one server and has no
/// `/version`.
async fn read_vllm(monitor: &Monitor, served: Option<Vec<ServedModel>>) -> Option<Inventory> {
    let has_context = served.iter().flatten().any(|served| served.context.is_some());
    let version = if has_context { read_version(monitor, "/version", "version").await } else { None };
    let is_alone = version.is_some();
    // It admits requests as long as their tokens fit, and states no number of them.
    let alone = Recognised { runtime: Runtime::Vllm, version, slots: None, served };
    match if is_alone { RoutedServers::None } else { read_routed_servers(monitor).await } {
        RoutedServers::Known(servers) => behind_a_router(alone, servers),
        RoutedServers::None | RoutedServers::Unknown => alone.inventory(),
    }
}

async fn read_sglang(monitor: &Monitor, served: Option<Vec<ServedModel>>) -> Option<Inventory> {
    let answer = match read(monitor, "/get_server_info", MAX_RESPONSE).await {
        Some(answer) => Some(answer),
        None => read(monitor, "/server_info", MAX_RESPONSE).await,
    };
    let (version, slots) = answer.and_then(|answer| answers::sglang(&answer.body)).unwrap_or_default();
    let alone = Recognised { runtime: Runtime::Sglang, version, slots, served };
    match read_routed_servers(monitor).await {
        RoutedServers::None => alone.inventory(),
        RoutedServers::Known(servers) => behind_a_router(alone, servers),
        RoutedServers::Unknown => behind_a_router(alone, Vec::new()),
    }
}

/// The servers behind `SGLang`'s router.
enum RoutedServers {
    /// There is no router: the server answers for itself.
    None,
    /// There is one, and it does not say what it routes to.
    Unknown,
    /// With the model of each, where the router knows it.
    Known(Vec<RoutedServer>),
}

/// Combines what is known of the servers behind `SGLang`'s router. The router forwards requests for models, version and
/// the like to any one of them, so with several servers such an answer holds for one only. Kept are the names of
/// models, from the router itself, and the server software unless a server is known to run another. `servers` is empty
/// where they are unknown.
fn behind_a_router(answer: Recognised, servers: Vec<RoutedServer>) -> Option<Inventory> {
    let is_other = |runtime: &str| !runtime.eq_ignore_ascii_case(answer.runtime.as_str());
    let is_mixed = servers.iter().any(|server| server.runtime.as_deref().is_some_and(is_other));
    let runtime = if is_mixed { Runtime::Unknown } else { answer.runtime };
    if servers.len() == 1 && !is_mixed {
        return answer.inventory();
    }
    let is_partial = servers.is_empty() || servers.iter().any(|server| server.model.is_none());
    let mut names: Vec<Box<str>> = Vec::new();
    let listed = answer.served?.into_iter().map(|served| served.model.name);
    for name in servers.into_iter().filter_map(|server| server.model).chain(listed) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let served = names
        .into_iter()
        .map(|name| ServedModel { model: ListedModel { name, ..ListedModel::default() }, ..ServedModel::default() });
    let all = Recognised { runtime, version: None, slots: None, served: Some(served.collect()) }.inventory();
    all.map(|all| Inventory { resident: all.resident.filter(|_| !is_partial), is_partial, ..all })
}

/// The router answers `/workers`, in older versions `/list_workers`, unless it requires a key for them; it requires
/// none for the listing of models.
async fn read_routed_servers(monitor: &Monitor) -> RoutedServers {
    for path in ["/workers", "/list_workers"] {
        let Some(answer) = ask(monitor, path, MAX_RESPONSE).await else { return RoutedServers::Unknown };
        match answer.status {
            StatusCode::OK => {
                if let Some(servers) = answers::routed_servers(&answer.body) {
                    return RoutedServers::Known(servers);
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return RoutedServers::Unknown,
            _ => {}
        }
    }
    RoutedServers::None
}

/// LM Studio's own listing, which has more facts than `OpenAI`'s but no version.
async fn read_lm_studio(monitor: &Monitor, served: Option<Vec<ServedModel>>) -> Recognised {
    let own = read(monitor, "/api/v0/models", MAX_LISTING).await.and_then(|answer| answers::lm_studio(&answer.body));
    Recognised { runtime: Runtime::LmStudio, version: None, slots: None, served: own.or(served) }
}

async fn read_version(monitor: &Monitor, path: &str, key: &str) -> Option<Box<str>> {
    JsonObject::parse(&read(monitor, path, MAX_RESPONSE).await?.body)?.text(key)
}

/// Fetches a path within the time limit of a listing. `None` unless the status is 200 and the body at most `max_body`
/// bytes.
pub(super) async fn read(monitor: &Monitor, path: &str, max_body: usize) -> Option<FetchedResponse> {
    ask(monitor, path, max_body).await.filter(|answer| answer.status == StatusCode::OK)
}

/// As [`read`], with any status.
async fn ask(monitor: &Monitor, path: &str, max_body: usize) -> Option<FetchedResponse> {
    let limits = FetchLimits { time: monitor.pace.list_limit, body: max_body };
    match fetch(&monitor.dialer, &monitor.host(), (Method::GET, path), limits).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::debug!(backend = &*monitor.backend.name, path, ?error, "no answer");
            None
        }
    }
}
