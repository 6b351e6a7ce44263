//! The load of inference engines, parsed from their own metrics.
//!
//! Promises: only the few families below are read, from the Prometheus text format as these servers write it; malformed
//! lines are skipped. Ranks that repeat the numbers of the first are skipped, and so are shares of a total by priority;
//! data-parallel engines are added up (their cache usage is averaged).

use std::collections::BTreeMap;

use super::inventory::Runtime;

/// The load of one model's engines. `None` where the server does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineLoad {
    /// The model's name.
    pub model: Option<Box<str>>,
    /// Requests in the queue.
    pub waiting: Option<f64>,
    /// Requests being processed.
    pub running: Option<f64>,
    /// Used share of the KV cache, 0 to 1.
    pub kv_cache: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LoadFact {
    Waiting,
    Running,
    KvCache,
}

/// The families and their meaning. vLLM: `vllm/v1/metrics/loggers.py` and the V0 name of the cache; `SGLang`:
/// "Production Metrics"; llama.cpp: `tools/server/server.cpp`, the cache in versions of 2025; TGI: "Metrics". Where an
/// exporter has re-exposed metrics, an underscore may replace a colon.
const NAMES: [(&str, Runtime, LoadFact); 12] = [
    ("vllm:num_requests_waiting", Runtime::Vllm, LoadFact::Waiting),
    ("vllm:num_requests_running", Runtime::Vllm, LoadFact::Running),
    ("vllm:kv_cache_usage_perc", Runtime::Vllm, LoadFact::KvCache),
    ("vllm:gpu_cache_usage_perc", Runtime::Vllm, LoadFact::KvCache),
    ("sglang:num_queue_reqs", Runtime::Sglang, LoadFact::Waiting),
    ("sglang:num_running_reqs", Runtime::Sglang, LoadFact::Running),
    ("sglang:token_usage", Runtime::Sglang, LoadFact::KvCache),
    ("llamacpp:requests_deferred", Runtime::LlamaCpp, LoadFact::Waiting),
    ("llamacpp:requests_processing", Runtime::LlamaCpp, LoadFact::Running),
    ("llamacpp:kv_cache_usage_ratio", Runtime::LlamaCpp, LoadFact::KvCache),
    ("tgi_queue_size", Runtime::Tgi, LoadFact::Waiting),
    ("tgi_batch_current_size", Runtime::Tgi, LoadFact::Running),
];

/// Several samples of one fact.
#[derive(Default)]
struct Sum {
    total: f64,
    samples: f64,
}

/// The server that exposes these metrics, and the load of each model. `None` where no family is known.
pub(super) fn parse(text: &str) -> Option<(Runtime, Vec<EngineLoad>)> {
    let mut runtime = None;
    // By model, fact and name: an old and a new name of the same fact must not be added up.
    let mut sums: BTreeMap<(Option<String>, LoadFact, &str), Sum> = BTreeMap::new();
    for line in text.lines() {
        let name = &line[..line.find(['{', ' ', '\t']).unwrap_or(line.len())];
        let Some((_, of, fact)) = NAMES.iter().find(|(known, ..)| is_same_family(name, known)) else { continue };
        let Some((labels, value)) = sample(&line[name.len()..]) else { continue };
        runtime = runtime.or(Some(*of));
        let label = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let is_other_rank = |rank: &&str| label(rank).is_some_and(|rank| rank != "0");
        let is_share = label("priority").is_some_and(|priority| !priority.is_empty());
        if is_share || ["tp_rank", "pp_rank", "moe_ep_rank"].iter().any(is_other_rank) {
            continue;
        }
        let model = label("model_name").or_else(|| label("model")).filter(|model| !model.is_empty());
        let sum = sums.entry((model, *fact, name)).or_default();
        (sum.total, sum.samples) = (sum.total + value, sum.samples + 1.0);
    }
    let mut loads: BTreeMap<Option<String>, EngineLoad> = BTreeMap::new();
    for ((model, fact, _), sum) in sums {
        let load = loads
            .entry(model.clone())
            .or_insert_with(|| EngineLoad { model: model.map(String::into_boxed_str), ..EngineLoad::default() });
        match fact {
            LoadFact::Waiting => load.waiting = Some(sum.total),
            LoadFact::Running => load.running = Some(sum.total),
            LoadFact::KvCache => load.kv_cache = Some(sum.total / sum.samples),
        }
    }
    Some((runtime?, loads.into_values().collect()))
}

fn is_same_family(name: &str, known: &str) -> bool {
    let plain = |byte: u8| if byte == b':' { b'_' } else { byte };
    name.len() == known.len() && name.bytes().zip(known.bytes()).all(|(a, b)| plain(a) == plain(b))
}

type Labels = Vec<(String, String)>;

/// Parses labels and value after a sample's name. `None` unless the value is finite and not negative.
fn sample(rest: &str) -> Option<(Labels, f64)> {
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Labels::new(), rest),
    };
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((labels, value))
}

/// Parses the labels up to the closing brace; returns them and the rest.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unescaped(quoted)?;
        labels.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// Unescapes a value up to its closing quote; returns it and the rest.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(model: Option<&str>, waiting: f64, running: f64, kv_cache: Option<f64>) -> EngineLoad {
        EngineLoad { model: model.map(Into::into), waiting: Some(waiting), running: Some(running), kv_cache }
    }

    #[test]
    fn the_engines_of_one_model_are_added_up_and_their_caches_averaged() {
        let text = "# HELP vllm:num_requests_running Running.\n# TYPE vllm:num_requests_running gauge\n\
            vllm:num_requests_running{engine=\"0\",model_name=\"org/m\"} 3.0\n\
            vllm:num_requests_running{engine=\"1\",model_name=\"org/m\"} 4.0\n\
            vllm:num_requests_waiting{engine=\"0\",model_name=\"org/m\"} 1.0\n\
            vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"org/m\",reason=\"x\"} 9.0\n\
            vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"org/m\"} 0.25\n\
            vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"org/m\"} 0.75\n";
        assert_eq!(parse(text), Some((Runtime::Vllm, vec![load(Some("org/m"), 1.0, 7.0, Some(0.5))])));
    }

    #[test]
    fn ranks_that_say_the_same_count_once() {
        let text = "sglang:num_running_reqs{model_name=\"m\",tp_rank=\"0\"} 5\n\
            sglang:num_running_reqs{model_name=\"m\",tp_rank=\"1\"} 5\n\
            sglang:num_queue_reqs{model_name=\"m\",tp_rank=\"0\"} 2\nsglang:token_usage{model_name=\"m\"} 0.28\n";
        assert_eq!(parse(text), Some((Runtime::Sglang, vec![load(Some("m"), 2.0, 5.0, Some(0.28))])));
    }

    #[test]
    fn llama_cpp_and_tgi_name_no_model_and_tell_no_cache() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/llamacpp-server/metrics/response.http");
        let recorded = std::fs::read_to_string(file).expect("it was recorded");
        assert_eq!(parse(&recorded), Some((Runtime::LlamaCpp, vec![load(None, 0.0, 0.0, None)])));
        let text = "tgi_queue_size 4\ntgi_batch_current_size 8 1700000000000\n";
        assert_eq!(parse(text), Some((Runtime::Tgi, vec![load(None, 4.0, 8.0, None)])));
    }

    #[test]
    fn other_spellings_are_the_same_fact_and_are_not_added_up() {
        let text = "vllm_num_requests_running{model_name=\"m\"} 3\nvllm:num_requests_running{model_name=\"m\"} 3\n\
            vllm_num_requests_waiting{model=\"m\"} 1\nvllm_gpu_cache_usage_perc{model=\"m\"} 0.5\n";
        assert_eq!(parse(text), Some((Runtime::Vllm, vec![load(Some("m"), 1.0, 3.0, Some(0.5))])));
    }

    #[test]
    fn shares_of_a_total_are_not_added_to_it() {
        let text = "sglang:num_running_reqs{model_name=\"m\",priority=\"\"} 5\n\
            sglang:num_running_reqs{model_name=\"m\",priority=\"1\"} 2\n\
            sglang:num_running_reqs{model_name=\"m\",priority=\"2\"} 3\n\
            sglang:num_queue_reqs{model_name=\"m\"} 2\nsglang:token_usage{model_name=\"m\"} 0.28\n";
        assert_eq!(parse(text), Some((Runtime::Sglang, vec![load(Some("m"), 2.0, 5.0, Some(0.28))])));
    }

    #[test]
    fn strange_labels_and_values_do_no_harm() {
        let text = "vllm:num_requests_running{model_name=\"a\\\"},{\\\\\\n\", x=\"=\"} 1\n\
            vllm:num_requests_waiting{model_name=\"cut\n\
            vllm:num_requests_waiting{} NaN\nvllm:num_requests_waiting -1\nvllm:kv_cache_usage_perc{é} 1\n\
            vllm:gpu_cache_usage_perc\n{ } é\n";
        let expected = EngineLoad { model: Some("a\"},{\\\n".into()), running: Some(1.0), ..EngineLoad::default() };
        assert_eq!(parse(text), Some((Runtime::Vllm, vec![expected])));
        assert_eq!(parse("up 1\n"), None);
    }
}
