//! Metrics of which every family has a value.

use super::*;
use crate::backend::BackendLocation;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, ListedModel, Resident, Runtime};
use crate::backend::track::Change;
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::exchange::vocabulary::Defect;
use crate::exchange::vocabulary::Progress;

/// Feeds every family at least once, with exact values.
pub(super) fn fed() -> Arc<Metrics> {
    let metrics = metrics();
    let record = full_chat();
    let mut watch = begin(&metrics, &record.start);
    watch.requested(Some(&"llama3".into()));
    watch.forwarded();
    watch.answered(&"llama3".into());
    watch.tokens(frame(2, None, false));
    watch.tokens(frame(2, Some(500), false));
    watch.tokens(frame(1, Some(8000), true));
    finish(watch, &record);
    let error = Some(ErrorType::Truncated);
    let mut truncated = Record { outcome: Outcome::Truncated, error, generated_tokens: None, ..full_chat() };
    truncated.defects.add(Defect::Json);
    complete(&metrics, "llama3", &truncated);
    let cancelled = Record { outcome: Outcome::ClientCancelled, generated_tokens: None, ..full_chat() };
    complete(&metrics, "llama3", &cancelled);
    let pull = Route { endpoint: "/api/pull", operation: Operation::Pull, ..CHAT };
    let mut transfer = begin(&metrics, &start(pull));
    transfer.progress(Progress { completed: 4096, ..Progress::default() });
    finish(transfer, &Record { progress_bytes: Some(4096), ..plain(pull) });
    begin(&metrics, &start(TAGS)).finished(&plain(TAGS));
    metrics.refused(Malformed::Host);
    metrics.probed(&"local".into(), true, ms(5));
    metrics.sink_dropped("log").inc();
    metrics.access_refused("wrong_password").inc();
    surveyed(&metrics);
    metrics
}

/// What a backend says of itself.
fn surveyed(metrics: &Metrics) {
    let backend: Arc<str> = "local".into();
    let text = |text: &str| Some(Box::from(text));
    let model = ListedModel {
        name: "llama3".into(),
        revision: text("365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1"),
        quant: text("Q4_0"),
        family: text("llama"),
        parameter_size: text("8.0B"),
        format: text("gguf"),
        size: None,
        vocabulary: None,
        remote: false,
    };
    let held = Resident {
        name: "llama3".into(),
        revision: None,
        size: Some(6_000_000_000),
        vram: Some(5_000_000_000),
        context: Some(8192),
        expires: Some(Expiry::At(UNIX_EPOCH + Duration::from_secs(1_700_000_300))),
        loaded: None,
    };
    let inventory = Inventory {
        runtime: Runtime::Ollama,
        version: text("0.24.0"),
        models: vec![model],
        resident: Some(vec![held]),
        polled: true,
        ..Inventory::default()
    };
    metrics.set_backend_location(&backend, BackendLocation { node: "gpu-box".into(), zone: "rack 7".into() });
    metrics.listed(&backend, &inventory);
    metrics.resident(&backend, &inventory, &[Change::Evicted("llama3".into()), Change::Loaded("llama3".into())]);
    let load = EngineLoad { model: text("llama3"), waiting: Some(3.0), running: Some(2.0), kv_cache: Some(0.25) };
    metrics.load(&backend, &[load]);
}
