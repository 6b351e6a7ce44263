//! Engines with a queue of their own, played in their own words: what they answer when asked who they are, and their
//! metrics under the names that they really use.
//!
//! The words are those of the engines' documents (vLLM and SGLang: "Production Metrics"; TGI: "Metrics") and, for
//! llama.cpp, of a recording. Left out: generations.

use super::files::Scratch;
use super::panels::{self, Api};
use super::prometheus::Prometheus;
use super::shipped_dashboards;
use crate::support::backend::Backend;
use crate::support::program::Program;

/// The first model of every engine that names one.
const MODEL: &str = "meta-llama/Llama-3.1-8B-Instruct";

/// What one engine is, and what is to be seen of it. Absent: it does not say.
pub(super) struct Engine {
    runtime: &'static str,
    version: &'static str,
    /// Path and answer.
    answers: &'static [(&'static str, &'static str)],
    waiting: f64,
    running: f64,
    kv_cache: Option<f64>,
}

/// Data-parallel engines add up; the older name of the cache, which some versions show beside the new one, does not.
pub(super) const VLLM: Engine = Engine {
    runtime: "vllm",
    version: "0.11.0",
    answers: &[
        (
            "/v1/models",
            r#"{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct","object":"model","owned_by":"vllm","max_model_len":131072}]}"#,
        ),
        ("/version", r#"{"version":"0.11.0"}"#),
        (
            "/metrics",
            r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 6.0
vllm:num_requests_running{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 2.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 3.0
vllm:num_requests_waiting{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.25
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="meta-llama/Llama-3.1-8B-Instruct"} 17.0
"#,
        ),
    ],
    waiting: 3.0,
    running: 8.0,
    kv_cache: Some(0.375),
};

const SGLANG: Engine = Engine {
    runtime: "sglang",
    version: "0.5.4",
    answers: &[
        (
            "/v1/models",
            r#"{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct","object":"model","owned_by":"sglang","max_model_len":131072}]}"#,
        ),
        ("/get_server_info", r#"{"model_path":"meta-llama/Llama-3.1-8B-Instruct","version":"0.5.4"}"#),
        (
            "/metrics",
            r#"# HELP sglang:token_usage The token usage
# TYPE sglang:token_usage gauge
sglang:token_usage{engine_type="unified",model_name="meta-llama/Llama-3.1-8B-Instruct",pp_rank="0",tp_rank="0"} 0.28
# HELP sglang:num_running_reqs The number of running requests
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{engine_type="unified",model_name="meta-llama/Llama-3.1-8B-Instruct",pp_rank="0",tp_rank="0"} 162.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{engine_type="unified",model_name="meta-llama/Llama-3.1-8B-Instruct",pp_rank="0",tp_rank="0"} 2826.0
"#,
        ),
    ],
    waiting: 2826.0,
    running: 162.0,
    kv_cache: Some(0.28),
};

/// It names no model in its metrics: they are of the one that it lists.
const LLAMA_CPP: Engine = Engine {
    runtime: "llama.cpp",
    version: "b6800-9e6f3d1",
    answers: &[
        (
            "/v1/models",
            r#"{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct","object":"model","owned_by":"llamacpp","meta":{"n_ctx":8192,"n_params":8030261312}}]}"#,
        ),
        ("/props", r#"{"build_info":"b6800-9e6f3d1","default_generation_settings":{"n_ctx":8192}}"#),
        (
            "/metrics",
            "# HELP llamacpp:requests_processing Number of requests processing\n\
            # TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 4\n\
            # HELP llamacpp:requests_deferred Number of requests deferred\n\
            # TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred 1\n",
        ),
    ],
    waiting: 1.0,
    running: 4.0,
    kv_cache: None,
};

const TGI: Engine = Engine {
    runtime: "tgi",
    version: "3.3.4",
    answers: &[
        (
            "/v1/models",
            r#"{"object":"list","data":[{"id":"meta-llama/Llama-3.1-8B-Instruct","object":"model","owned_by":"meta-llama/Llama-3.1-8B-Instruct"}]}"#,
        ),
        (
            "/info",
            r#"{"model_id":"meta-llama/Llama-3.1-8B-Instruct","model_sha":"0e9e39f2","model_dtype":"torch.float16","max_concurrent_requests":128,"max_best_of":2,"max_total_tokens":4096,"version":"3.3.4","sha":"f00"}"#,
        ),
        (
            "/metrics",
            "# TYPE tgi_queue_size gauge\ntgi_queue_size 5\n# TYPE tgi_batch_current_size gauge\n\
            tgi_batch_current_size 7\n# TYPE tgi_request_count counter\ntgi_request_count 9\n",
        ),
    ],
    waiting: 5.0,
    running: 7.0,
    kv_cache: None,
};

impl Engine {
    /// The engine on a port of its own.
    pub(super) fn start(&'static self) -> Backend {
        Backend::start(|connection| {
            while let Some(request) = connection.request() {
                let target = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = self.answers.iter().find(|(path, _)| *path == target);
                let (status, body) = answer.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                connection.write((head + body).as_bytes());
            }
        })
    }

    /// What Prometheus does not know of this engine's load, or knows otherwise.
    fn unseen(&self, api: &Api, program: &Program) -> Vec<String> {
        let labels = format!(r#"{{instance="{}",model="{MODEL}"}}"#, program.admin);
        let load = [
            ("waiting", "requests_waiting", Some(self.waiting)),
            ("running", "requests_running", Some(self.running)),
            ("cache", "kv_cache_usage_ratio", self.kv_cache),
        ];
        let load = load.map(|(fact, name, value)| (fact, format!("ollama_proxy_backend_{name}{labels}"), value));
        let info = format!(
            r#"ollama_proxy_backend_info{{instance="{}",runtime="{}",version="{}",node="{}",zone=""}}"#,
            program.admin,
            self.runtime,
            self.version,
            inferometer::host::node()
        );
        let told = |query: &str| api.value(query).unwrap_or_else(|error| panic!("{error} for {query}"));
        let all = load.into_iter().chain([("info", info, Some(1.0))]);
        all.filter(|(_, query, value)| told(query) != *value)
            .map(|(fact, query, value)| format!("{} {fact}: {:?}, not {value:?}", self.runtime, told(&query)))
            .collect()
    }
}

#[test]
fn the_load_of_every_engine_reaches_prometheus_in_one_vocabulary_and_the_boards_show_it() {
    let engines = [&VLLM, &SGLANG, &LLAMA_CPP, &TGI];
    let played = engines.map(Engine::start);
    let programs = engines.iter().zip(&played).map(|(_, backend)| Program::before(backend.address));
    let programs: Vec<_> = programs.collect();
    let tmp = Scratch::new("engines");
    let admins: Vec<_> = programs.iter().map(|program| program.admin).collect();
    let prometheus = Prometheus::start(&admins, &tmp);
    let api = Api::now(prometheus.address());
    let left = prometheus.wait_until_answered(|| {
        engines.iter().zip(&programs).flat_map(|(engine, program)| engine.unseen(&api, program)).collect()
    });
    assert!(left.is_empty(), "{}", left.join("\n"));

    let names = ["backend_requests_waiting", "backend_requests_running", "backend_kv_cache_usage_ratio"];
    let shown = panels::queries(&shipped_dashboards(), |query| names.iter().any(|name| query.contains(name)));
    for name in names {
        assert!(shown.iter().any(|query| query.contains(name)), "no board shows {name}");
    }
    for query in shown {
        assert!(api.answers(&query).is_ok_and(|series| series > 0), "{query}");
    }
}
