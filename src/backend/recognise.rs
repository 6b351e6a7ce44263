//! Finds out which server a backend is and what it can serve, by asking what each of them is known to answer.
//!
//! Ollama's `/api/tags` and `OpenAI`'s `/v1/models` come first: their names may become labels. Who signs the second
//! (`owned_by`, `Server`) says which server it is, since several speak Ollama's language too. Everything else is asked
//! only of the server that is known to answer it. Whatever fails leaves its part unknown.

use http::{Method, StatusCode};

use super::answers::{self, Object, Served};
use super::engine;
use super::fetch::{Answer, Budget, fetch};
use super::inventory::{Inventory, Model, Resident, Runtime};
use super::monitor::Monitor;
use super::quiet::Sleep;

/// Bytes of a listing at most: some 20,000 models of Ollama.
const LISTING: usize = 8 * 1024 * 1024;

/// Bytes of any other answer at most.
pub(super) const ANSWER: usize = 4 * 1024 * 1024;

/// Asks. `known` is what it was last time, `Unknown` after it was out of reach. None where it lists nothing. A backend
/// that `is_quiet` is not asked for metrics only to be recognised: it may be one that this would wake.
pub(super) async fn recognise(monitor: &Monitor, known: Runtime, is_quiet: bool) -> Option<Inventory> {
    let asks_tags = matches!(known, Runtime::Ollama | Runtime::Unknown);
    let tags = if asks_tags { read(monitor, "/api/tags", LISTING).await } else { None };
    let tags = tags.and_then(|answer| answers::tags(&answer.body));
    let mut served = None;
    let mut runtime = Runtime::Unknown;
    if known != Runtime::Ollama || tags.is_none() {
        let answer = read(monitor, "/v1/models", LISTING).await;
        served = answer.as_ref().and_then(|answer| answers::models(&answer.body));
        runtime = signed(answer.as_ref(), served.as_deref().unwrap_or_default());
    }
    let found = match runtime {
        Runtime::LlamaCpp => Found { version: llama_cpp(monitor, served.as_deref_mut()).await, runtime, served },
        Runtime::Vllm => Found { version: version(monitor, "/version", "version").await, runtime, served },
        Runtime::Sglang => Found { version: sglang(monitor).await, runtime, served },
        Runtime::LmStudio => lm_studio(monitor, served).await,
        // A listing that failed once makes no other server of an Ollama.
        _ if known == Runtime::Ollama && tags.is_none() => return None,
        _ => return others(monitor, known, tags, served, is_quiet).await,
    };
    found.inventory()
}

/// What a server that is not Ollama says of itself.
struct Found {
    runtime: Runtime,
    version: Option<Box<str>>,
    served: Option<Vec<Served>>,
}

impl Found {
    /// All that such a server lists is in memory, unless it says otherwise. LM Studio lists what it has on disk, and its
    /// older versions do not say what of it is loaded.
    fn inventory(self) -> Option<Inventory> {
        let served = self.served?;
        let is_told = match self.runtime {
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
            resident: is_told.then(|| resident.collect()),
            models: served.into_iter().map(|served| served.model).collect(),
            polled: false,
        })
    }
}

/// Whose signature `/v1/models` bears.
fn signed(answer: Option<&Answer>, served: &[Served]) -> Runtime {
    let server = answer.and_then(|answer| answer.server.as_ref());
    if server.is_some_and(|server| server.as_bytes().starts_with(b"llama.cpp")) {
        return Runtime::LlamaCpp;
    }
    let mut owners = served.iter().map(|served| served.owner.as_deref());
    let first = owners.next().flatten();
    // A gateway before several engines passes on the signature of each.
    match first.filter(|_| owners.all(|owner| owner == first)) {
        Some("llamacpp") => Runtime::LlamaCpp,
        Some("vllm") => Runtime::Vllm,
        Some("sglang") => Runtime::Sglang,
        Some("organization_owner") => Runtime::LmStudio,
        _ => Runtime::Unknown,
    }
}

/// Ollama signs with the owner of each model, TGI with the model's own name: both are known by a question of their own.
async fn others(
    monitor: &Monitor,
    known: Runtime,
    tags: Option<Vec<Model>>,
    served: Option<Vec<Served>>,
    is_quiet: bool,
) -> Option<Inventory> {
    if let Some(models) = tags {
        let version = version(monitor, "/api/version", "version").await;
        let runtime = if version.is_some() { Runtime::Ollama } else { known };
        return Some(Inventory { runtime, version, models, resident: None, polled: true });
    }
    let info = read(monitor, "/info", ANSWER).await;
    if let Some((model, version)) = info.and_then(|info| answers::tgi(&info.body)) {
        return Found { runtime: Runtime::Tgi, version, served: Some(vec![model]) }.inventory();
    }
    // An engine whose listing wants a key may still show its metrics.
    let metrics = if is_quiet { None } else { read(monitor, "/metrics", ANSWER).await };
    let metrics = metrics.and_then(|answer| engine::parse(&String::from_utf8_lossy(&answer.body)));
    match (metrics, served) {
        (Some((runtime, _)), served) => {
            let known = served.is_some();
            let inventory = Found { runtime, version: None, served: Some(served.unwrap_or_default()) }.inventory();
            inventory.map(|inventory| Inventory { resident: inventory.resident.filter(|_| known), ..inventory })
        }
        (None, served) => Found { runtime: Runtime::Unknown, version: None, served }.inventory(),
    }
}

/// `/props` says which build it is, and of older ones also what `/v1/models` leaves out.
async fn llama_cpp(monitor: &Monitor, served: Option<&mut [Served]>) -> Option<Box<str>> {
    let props = Object::parse(&read(monitor, "/props", ANSWER).await?.body)?;
    if let Some([only]) = served {
        let context = props.object("default_generation_settings").and_then(|settings| settings.number("n_ctx"));
        only.context = only.context.or(context.filter(|tokens| *tokens > 0));
        only.model.quant = only.model.quant.take().or_else(|| props.text("model_ftype"));
        // It loads no other format.
        only.model.format = Some("gguf".into());
    }
    props.text("build_info")
}

/// Whether llama.cpp's server sleeps, or may. `/props` neither wakes it nor keeps it awake.
pub(super) async fn sleep(monitor: &Monitor) -> Sleep {
    let answer = read(monitor, "/props", ANSWER).await;
    let Some(props) = answer.and_then(|answer| Object::parse(&answer.body)) else { return Sleep::Possible };
    match props.boolean("is_sleeping") {
        Some(true) => Sleep::Asleep,
        Some(false) => Sleep::Possible,
        None => Sleep::Never,
    }
}

/// `/get_server_info`, in later versions `/server_info`.
async fn sglang(monitor: &Monitor) -> Option<Box<str>> {
    match version(monitor, "/get_server_info", "version").await {
        Some(version) => Some(version),
        None => version(monitor, "/server_info", "version").await,
    }
}

/// Its own listing says more than `OpenAI`'s. It tells no version.
async fn lm_studio(monitor: &Monitor, served: Option<Vec<Served>>) -> Found {
    let own = read(monitor, "/api/v0/models", LISTING).await.and_then(|answer| answers::lm_studio(&answer.body));
    Found { runtime: Runtime::LmStudio, version: None, served: own.or(served) }
}

async fn version(monitor: &Monitor, path: &str, key: &str) -> Option<Box<str>> {
    Object::parse(&read(monitor, path, ANSWER).await?.body)?.text(key)
}

/// A success answer of at most so many bytes, within the time of a listing.
pub(super) async fn read(monitor: &Monitor, path: &str, most: usize) -> Option<Answer> {
    let budget = Budget { time: monitor.pace.list_limit, body: most };
    match fetch(&monitor.dialer, &monitor.host(), (Method::GET, path), budget).await {
        Ok(answer) => Some(answer).filter(|answer| answer.status == StatusCode::OK),
        Err(error) => {
            tracing::debug!(backend = &*monitor.backend.name, path, ?error, "no answer");
            None
        }
    }
}
