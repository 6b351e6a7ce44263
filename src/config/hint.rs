//! Suggests a key for an unknown name.

use super::key::Key;
use super::similar::closest;

/// Names of metrics and of other programs' settings, with the key that they stand for.
pub(super) const ALIASES: [(&str, &str); 20] = [
    ("ttft", "buckets.first_token"),
    ("ttfb", "buckets.first_token"),
    ("time_to_first_token", "buckets.first_token"),
    ("time_to_first_token_seconds", "buckets.first_token"),
    ("itl", "buckets.token"),
    ("tpot", "buckets.token"),
    ("inter_token_latency", "buckets.token"),
    ("time_per_output_token", "buckets.token"),
    ("latency", "buckets.duration"),
    ("request_duration", "buckets.duration"),
    ("tps", "buckets.rate"),
    ("tokens_per_second", "buckets.rate"),
    ("model_load_duration", "buckets.load"),
    ("context_length", "buckets.context"),
    ("upstream", "backend"),
    ("target", "backend"),
    ("ollama_host", "backend"),
    ("metrics_listen", "admin_listen"),
    ("policy", "policy"),
    ("balancing", "policy"),
];

/// The key or table that was probably meant: a key of that name in another table, else one with this alias, else the
/// most similar. `None` where none is similar.
pub(super) fn meant<S>(keys: &[Key<S>], written: &str) -> Option<String> {
    let written = written.replace('-', "_").to_ascii_lowercase();
    let leaf = written.rsplit('.').next().unwrap_or_default();
    let elsewhere = keys.iter().find(|key| !key.table().is_empty() && key.leaf() == written).map(|key| key.name);
    let alias = || ALIASES.iter().find(|(alias, _)| *alias == leaf).map(|(_, meant)| *meant);
    let names = || keys.iter().map(|key| key.name).chain(keys.iter().map(Key::table));
    elsewhere.or_else(alias).or_else(|| closest(&written, names())).map(str::to_owned)
}
