//! `/api/pull`: the progress of fetching a model that exists here; any other is not found.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::{Answer, JSON, Lines, NDJSON, Refusal, respond, response};
use crate::catalogue::{self, Model};
use crate::world::World;

/// Progress objects for the large layer.
const STEPS: u64 = 40;
/// Time between two of them.
const BEAT: Duration = Duration::from_millis(60);

/// Answers `/api/pull`.
pub(crate) async fn answer(world: &Arc<World>, body: &Value) -> Result<Answer, Refusal> {
    let name = [&body["model"], &body["name"]].into_iter().find_map(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::new(400, "model is required"));
    }
    let (progress, model) = (progress(name), catalogue::find(name));
    if body["stream"] != false {
        return Ok(streamed(world, progress, model));
    }
    tokio::time::sleep(world.pace.scaled(BEAT * u32::try_from(progress.len()).unwrap_or(1))).await;
    let last = progress.into_iter().next_back().unwrap_or_default();
    match last["error"].as_str() {
        Some(error) => Err(Refusal::new(500, error)),
        None => {
            model.into_iter().for_each(|model| world.store(model));
            Ok(respond(200, JSON, last.to_string()))
        }
    }
}

fn progress(name: &str) -> Vec<Value> {
    let mut objects = vec![json!({"status": "pulling manifest"})];
    let Some(model) = catalogue::find(name) else {
        objects.push(json!({"error": "pull model manifest: file does not exist"}));
        return objects;
    };
    let status = format!("pulling {}", model.digest.get(..12).unwrap_or(model.digest));
    let digest = format!("sha256:{}", model.digest);
    objects.extend((0..=STEPS).map(|step| {
        let mut object = json!({"status": status, "digest": digest, "total": model.size});
        if step > 0 {
            object["completed"] = json!(model.size / STEPS * step + if step == STEPS { model.size % STEPS } else { 0 });
        }
        object
    }));
    objects
        .extend(["verifying sha256 digest", "writing manifest", "success"].map(|status| json!({ "status": status })));
    objects
}

fn streamed(world: &Arc<World>, progress: Vec<Value>, model: Option<&'static Model>) -> Answer {
    let (world, beat) = (Arc::clone(world), world.pace.scaled(BEAT));
    let (lines, body) = mpsc::channel(1);
    tokio::spawn(async move {
        for object in progress {
            if object["status"] == "success" {
                model.into_iter().for_each(|model| world.store(model));
            }
            if lines.send(format!("{object}\n")).await.is_err() {
                return;
            }
            tokio::time::sleep(beat).await;
        }
    });
    response(200, NDJSON, UnsyncBoxBody::new(Lines(body)))
}
