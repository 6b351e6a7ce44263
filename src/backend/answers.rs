//! Parses what backends answer about themselves.
//!
//! Every field may be missing or of any type: servers that imitate each other's APIs leave out or misuse fields
//! (llama.cpp answers `/api/tags` with `"size":""`). A field that does not parse is unknown.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::inventory::{Expiry, ListedModel, MAX_MODELS, Resident, text};
use super::times;

/// An expiry further away than this means never: Ollama shows `keep_alive: -1` as its longest duration (292 years).
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A JSON object with any members.
pub(super) struct JsonObject(Map<String, Value>);

impl JsonObject {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    /// A text that is fit to be displayed: see [`text`].
    pub(super) fn text(&self, key: &str) -> Option<Box<str>> {
        text(self.0.get(key)?.as_str()?)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    pub(super) fn object(&self, key: &str) -> Option<Self> {
        Some(Self(self.0.get(key)?.as_object()?.clone()))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The objects of a list, at most [`MAX_MODELS`]. Servers written in Go answer `null` for an empty list.
    fn list(mut self, key: &str) -> Option<Vec<Self>> {
        let all = match self.0.remove(key)? {
            Value::Array(all) => all,
            Value::Null => Vec::new(),
            _ => return None,
        };
        let objects = all.into_iter().filter_map(|entry| match entry {
            Value::Object(entry) => Some(Self(entry)),
            _ => None,
        });
        Some(objects.take(MAX_MODELS).collect())
    }

    /// The digest without its algorithm.
    fn digest(&self) -> Option<Box<str>> {
        self.text("digest").map(|digest| digest.strip_prefix("sha256:").map_or(digest.clone(), Into::into))
    }

    fn name(&self) -> Option<Box<str>> {
        self.raw("model").or_else(|| self.raw("name"))
    }

    /// A name, unchanged: the catalogue decides whether it is fit to be a label.
    fn raw(&self, key: &str) -> Option<Box<str>> {
        self.0.get(key)?.as_str().filter(|name| !name.is_empty()).map(Into::into)
    }
}

/// `/api/tags` (Ollama, `api/types.go`, `ListResponse`).
pub(super) fn tags(body: &[u8]) -> Option<Vec<ListedModel>> {
    let models = JsonObject::parse(body)?.list("models")?;
    Some(models.iter().filter_map(tag).collect())
}

fn tag(entry: &JsonObject) -> Option<ListedModel> {
    let details = entry.object("details");
    let detail = |key| details.as_ref().and_then(|details| details.text(key));
    Some(ListedModel {
        name: entry.name()?,
        revision: entry.digest(),
        quant: detail("quantization_level"),
        family: detail("family"),
        parameter_size: detail("parameter_size"),
        format: detail("format"),
        size: entry.number("size"),
        vocabulary: None,
        remote: entry.text("remote_host").or_else(|| entry.text("remote_model")).is_some(),
    })
}

/// `/api/ps` (Ollama, `api/types.go`, `ProcessResponse`).
pub(super) fn ps(body: &[u8], now: SystemTime) -> Option<Vec<Resident>> {
    let models = JsonObject::parse(body)?.list("models")?;
    let resident = |entry: &JsonObject| {
        Some(Resident {
            name: entry.name()?,
            revision: entry.digest(),
            size: entry.number("size"),
            vram: entry.number("size_vram"),
            context: entry.number("context_length").filter(|tokens| *tokens > 0),
            loaded: None,
            expires: entry.text("expires_at").and_then(|at| times::parse(&at)).map(|at| {
                if at.duration_since(now).is_ok_and(|left| left > NEVER) { Expiry::Never } else { Expiry::At(at) }
            }),
        })
    };
    Some(models.iter().filter_map(resident).collect())
}

/// One entry of `/v1/models`, with the additions of some servers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServedModel {
    pub(super) model: ListedModel,
    pub(super) owner: Option<Box<str>>,
    /// Context length in tokens; `None` where the server does not say.
    pub(super) context: Option<u64>,
    /// Whether it is in memory; `None` where the server does not say (only llama.cpp with several models and LM Studio
    /// do).
    pub(super) loaded: Option<bool>,
}

/// `/v1/models` (`OpenAI`, "List models"). llama.cpp adds `meta` and `status`, vLLM and `SGLang` `max_model_len`.
pub(super) fn models(body: &[u8]) -> Option<Vec<ServedModel>> {
    let entries = JsonObject::parse(body)?.list("data")?;
    Some(entries.iter().filter_map(served).collect())
}

fn served(entry: &JsonObject) -> Option<ServedModel> {
    let meta = entry.object("meta");
    let number = |key| meta.as_ref().and_then(|meta| meta.number(key));
    Some(ServedModel {
        model: ListedModel {
            name: entry.raw("id")?,
            quant: meta.as_ref().and_then(|meta| meta.text("ftype")),
            parameter_size: number("n_params").map(format_parameters),
            size: number("size"),
            vocabulary: number("n_vocab"),
            ..ListedModel::default()
        },
        owner: entry.text("owned_by"),
        context: entry.number("max_model_len").or_else(|| number("n_ctx")).filter(|tokens| *tokens > 0),
        loaded: entry.object("status").and_then(|status| status.text("value")).map(|value| &*value == "loaded"),
    })
}

/// `/api/v0/models` (LM Studio, "REST API v0").
pub(super) fn lm_studio(body: &[u8]) -> Option<Vec<ServedModel>> {
    let entries = JsonObject::parse(body)?.list("data")?;
    let entry = |entry: &JsonObject| {
        Some(ServedModel {
            model: ListedModel {
                name: entry.raw("id")?,
                quant: entry.text("quantization"),
                family: entry.text("arch"),
                format: entry.text("compatibility_type"),
                ..ListedModel::default()
            },
            owner: None,
            context: entry.number("loaded_context_length"),
            loaded: entry.text("state").map(|state| &*state == "loaded"),
        })
    };
    Some(entries.iter().filter_map(entry).collect())
}

/// A server behind a router. `None` where the router does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoutedServer {
    pub(super) model: Option<Box<str>>,
    /// Its software: `sglang`, `vllm` and the like.
    pub(super) runtime: Option<Box<str>>,
}

/// `/workers` of `SGLang`'s router (`protocols/worker_spec.rs`, `WorkerListResponse`), or the older `/list_workers`, in
/// the order of the list.
pub(super) fn routed_servers(body: &[u8]) -> Option<Vec<RoutedServer>> {
    let answer = JsonObject::parse(body)?;
    if let Some(Value::Array(addresses)) = answer.0.get("urls") {
        return Some(vec![RoutedServer::default(); addresses.len().min(MAX_MODELS)]);
    }
    let workers = answer.list("workers")?;
    let server = |worker: &JsonObject| RoutedServer {
        model: worker.text("model_id").filter(|model| **model != *"default"),
        runtime: worker.text("runtime_type"),
    };
    Some(workers.iter().map(server).collect())
}

/// A number of requests at once, as a server states it.
pub(super) fn slots(count: u64) -> Option<NonZeroU32> {
    u32::try_from(count).ok().and_then(NonZeroU32::new)
}

/// `/get_server_info` (SGLang, `http_server.py` and `scheduler.py`, `get_internal_state`): its version, and the requests
/// that it runs at once: those of its schedulers together, one for each data-parallel rank, else as it was configured.
pub(super) fn sglang(body: &[u8]) -> Option<(Option<Box<str>>, Option<NonZeroU32>)> {
    let info = JsonObject::parse(body)?;
    let (version, configured) = (info.text("version"), info.number("max_running_requests"));
    let states = info.list("internal_states").unwrap_or_default();
    let of_each = states.iter().map(|state| state.number("effective_max_running_requests_per_dp"));
    let together = of_each.sum::<Option<u64>>().filter(|_| !states.is_empty());
    Some((version, together.or(configured).and_then(slots)))
}

/// `/info` (TGI, `router/src/lib.rs`, `Info`): its only model, its version, and the requests that it works on at once:
/// those of a batch where that is limited, else those that it accepts before it refuses more.
pub(super) fn tgi(body: &[u8]) -> Option<(ServedModel, Option<Box<str>>, Option<NonZeroU32>)> {
    let info = JsonObject::parse(body)?;
    // Other servers answer `/info` too; every version of TGI has these three keys.
    if !["version", "max_concurrent_requests", "max_best_of"].iter().all(|key| info.has(key)) {
        return None;
    }
    let quant = info.text("model_dtype").map(|kind| kind.strip_prefix("torch.").map_or(kind.clone(), Into::into));
    let model =
        ListedModel { name: info.raw("model_id")?, revision: info.text("model_sha"), quant, ..ListedModel::default() };
    let served = ServedModel { model, owner: None, context: info.number("max_total_tokens"), loaded: Some(true) };
    let at_once = info.number("max_batch_size").or_else(|| info.number("max_concurrent_requests"));
    Some((served, info.text("version"), at_once.and_then(slots)))
}

/// Formats a parameter count like Ollama: `3.13M`, `8.0B`.
fn format_parameters(count: u64) -> Box<str> {
    let count = count as f64;
    let text = match count {
        1e9.. => format!("{:.1}B", count / 1e9),
        1e6.. => format!("{:.2}M", count / 1e6),
        1e3.. => format!("{:.0}K", count / 1e3),
        _ => count.to_string(),
    };
    text.into()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn recorded(case: &str) -> Vec<u8> {
        let file = format!("{}/tests/fixtures/{case}/response.http", env!("CARGO_MANIFEST_DIR"));
        let response = std::fs::read(file).expect("it was recorded");
        let head = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        response[head + 4..].to_vec()
    }

    #[test]
    fn ollamas_listing_is_read_with_its_details() {
        for version in ["ollama-0.13.1", "ollama-0.24.0", "ollama-0.33.0-rc2"] {
            let models = tags(&recorded(&format!("{version}/tags"))).expect("a listing");
            let names: Vec<&str> = models.iter().map(|model| &*model.name).collect();
            assert_eq!(names, ["script:latest", "slow:latest", "embedder:latest", "tiny:latest"], "{version}");
            let script = &models[0];
            assert_eq!((script.quant.as_deref(), script.family.as_deref()), (Some("F16"), Some("llama")));
            assert_eq!((script.parameter_size.as_deref(), script.format.as_deref()), (Some("3.13M"), Some("gguf")));
            assert!(script.revision.as_deref().is_some_and(|digest| digest.starts_with("13179ec05f77")));
        }
        let unknown = tags(&recorded("ollama-0.13.1/tags")).expect("a listing");
        assert_eq!(unknown[3].quant, None, "the word `unknown` says nothing");
    }

    #[test]
    fn a_remote_model_is_listed_as_such() {
        let body =
            br#"{"models":[{"name":"mine:latest","remote_model":"gpt-oss:120b","remote_host":"https://ollama.com:443"},
            {"name":"m:8b","remote_host":""}]}"#;
        let remote: Vec<bool> = tags(body).expect("a listing").iter().map(|model| model.remote).collect();
        assert_eq!(remote, [true, false]);
    }

    #[test]
    fn what_is_in_memory_is_read_with_its_expiry() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_239_545);
        let resident = ps(&recorded("ollama-0.13.1/ps-loaded"), now).expect("a list");
        let at = UNIX_EPOCH + Duration::from_secs(1_795_243_145);
        assert_eq!(&*resident[0].name, "script:latest");
        assert_eq!((resident[0].size, resident[0].vram, resident[0].context), (Some(12_555_264), Some(0), Some(2048)));
        assert_eq!(resident[0].expires, Some(Expiry::At(at)));
        assert_eq!(ps(&recorded("ollama-0.13.1/ps-empty"), now), Some(vec![]));
        let forever = br#"{"models":[{"name":"a","expires_at":"2318-03-01T10:00:00Z"}]}"#;
        assert_eq!(ps(forever, now).expect("a list")[0].expires, Some(Expiry::Never));
    }

    #[test]
    fn llama_cpp_tells_of_its_model_in_openais_listing() {
        let served = models(&recorded("llamacpp-server/models")).expect("a listing");
        assert_eq!(served[0].owner.as_deref(), Some("llamacpp"));
        assert_eq!((served[0].context, served[0].loaded), (Some(2048), None));
        assert_eq!((&*served[0].model.name, served[0].model.quant.as_deref()), ("script.gguf", Some("F16")));
        assert_eq!(served[0].model.parameter_size.as_deref(), Some("3.13M"));
    }

    #[test]
    fn a_listing_of_a_router_says_what_is_loaded() {
        let body = br#"{"data":[{"id":"a","status":{"value":"loaded"}},{"id":"b","status":{"value":"unloaded"}},{}]}"#;
        let loaded: Vec<_> = models(body).expect("a listing").iter().map(|served| served.loaded).collect();
        assert_eq!(loaded, [Some(true), Some(false)]);
    }

    #[test]
    fn the_router_of_sglang_lists_servers_with_or_without_their_models() {
        let workers = br#"{"workers":[{"url":"http://a","model_id":"org/m"},{"url":"http://b","model_id":"unknown","runtime_type":"vllm"},
            {"url":"http://c"}],"total":3}"#;
        let server = |model: Option<&str>, runtime: Option<&str>| RoutedServer {
            model: model.map(Into::into),
            runtime: runtime.map(Into::into),
        };
        let nothing = server(None, None);
        assert_eq!(
            routed_servers(workers),
            Some(vec![server(Some("org/m"), None), server(None, Some("vllm")), nothing.clone()])
        );
        assert_eq!(routed_servers(br#"{"urls":["http://a","http://b"]}"#), Some(vec![nothing.clone(), nothing]));
        assert_eq!(routed_servers(br#"{"detail":"Not Found"}"#), None);
    }

    #[test]
    fn lm_studio_and_tgi_are_read_as_documented() {
        let body = br#"{"object":"list","data":[{"id":"a","arch":"llama","compatibility_type":"gguf","quantization":
            "Q4_K_M","state":"loaded","loaded_context_length":4096},{"id":"b","state":"not-loaded"}]}"#;
        let studio = lm_studio(body).expect("a listing");
        assert_eq!((studio[0].loaded, studio[0].context), (Some(true), Some(4096)));
        assert_eq!((studio[1].loaded, studio[1].context), (Some(false), None));
        let body =
            br#"{"model_id":"org/m","model_sha":"e4ce","model_dtype":"torch.float16","max_concurrent_requests":128,
            "max_best_of":2,"max_total_tokens":4096,"version":"3.3.4","sha":"f00"}"#;
        let (served, version, at_once) = tgi(body).expect("TGI");
        assert_eq!(at_once, NonZeroU32::new(128), "what it accepts");
        let batch = String::from_utf8_lossy(body).replace("\"max_best_of\"", "\"max_batch_size\":16,\"max_best_of\"");
        assert_eq!(tgi(batch.as_bytes()).expect("TGI").2, NonZeroU32::new(16), "what it works on");
        assert_eq!((&*served.model.name, served.model.quant.as_deref()), ("org/m", Some("float16")));
        assert_eq!((served.context, version.as_deref()), (Some(4096), Some("3.3.4")));
    }

    #[test]
    fn sglang_states_the_requests_of_its_schedulers() {
        let at_once = |body: &str| sglang(body.as_bytes()).expect("SGLang").1.map(NonZeroU32::get);
        let state = r#"{"last_gen_throughput":129.3,"effective_max_running_requests_per_dp":52}"#;
        let of = |states: &str, own: &str| {
            format!(r#"{{"version":"0.5.23","max_running_requests":{own},"internal_states":[{states}]}}"#)
        };
        assert_eq!(at_once(&of(state, "null")), Some(52));
        assert_eq!(at_once(&of(&format!("{state},{state}"), "128")), Some(104), "one for each rank");
        assert_eq!(at_once(&of("", "128")), Some(128), "as it was configured");
        assert_eq!(at_once(&of(&format!("{state},{{}}"), "null")), None, "not all of them is unknown");
        assert_eq!(at_once(&of("", "0")), None);
        assert_eq!(sglang(br#"{"version":"0.4.1"}"#), Some((Some("0.4.1".into()), None)));
    }

    #[test]
    fn what_is_no_such_answer_is_none_and_strange_fields_are_unknown() {
        for body in [&b""[..], b"<html>", b"[]", br#"{"models":"many"}"#, br#"{"error":"not found"}"#] {
            assert_eq!(models(body), None);
            assert_eq!(tags(body), None);
            assert_eq!(ps(body, UNIX_EPOCH), None);
            assert!(tgi(body).is_none());
        }
        assert_eq!(tags(br#"{"models":null}"#), Some(vec![]), "an empty list of Go's");
        assert_eq!(ps(br#"{"models":null}"#, UNIX_EPOCH), Some(vec![]));
        assert_eq!(models(br#"{"object":"list","data":null}"#), Some(vec![]));
        let strange = br#"{"models":[7,{"model":""},{"name":"b:1","digest":7,"details":"none","size":"","size_vram":-1,
            "context_length":0,"expires_at":"0001-01-01T00:00:00Z"}]}"#;
        assert_eq!(tags(strange), Some(vec![ListedModel { name: "b:1".into(), ..ListedModel::default() }]));
        assert_eq!(ps(strange, UNIX_EPOCH), Some(vec![Resident { name: "b:1".into(), ..Resident::default() }]));
    }
}
