//! Which path is answered by what.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::answer::{Answer, JSON_UTF8, Refusal, respond};
use crate::native::Route::{Chat, Generate};
use crate::world::World;
use crate::{ask, embed, listing, native, openai, power, pull};

const PLAIN: &str = "text/plain";

/// Answers a request, whatever it is.
pub(crate) async fn answer(request: Request<Incoming>, world: Arc<World>) -> Answer {
    let path = request.uri().path().to_owned();
    if path == "/simulated/state" {
        return respond(200, JSON_UTF8, world.tally.state().to_string());
    }
    if path == "/simulated/helper" {
        return respond(200, JSON_UTF8, power::facts(world.tally.running.load(Relaxed), SystemTime::now()).to_string());
    }
    if path == "/simulated/restart" && request.method() == Method::POST {
        world.restart.notify_one();
        return respond(200, JSON_UTF8, "{}");
    }
    if matches!(&*path, "/simulated/fail" | "/simulated/recover") && request.method() == Method::POST {
        world.fails.store(path == "/simulated/fail", Relaxed);
        return respond(200, JSON_UTF8, "{}");
    }
    world.tally.requests.fetch_add(1, Relaxed);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let told = match path.as_str() {
        "/" if reads => Ok(respond(200, "text/plain; charset=utf-8", "Ollama is running")),
        "/api/version" if reads => Ok(listing::version()),
        "/api/tags" if reads => Ok(listing::tags(&world)),
        "/api/ps" if reads => Ok(listing::ps(&world).await),
        "/v1/models" if reads => Ok(listing::openai_models(&world)),
        _ => match path.strip_prefix("/v1/models/") {
            Some(name) if reads => listing::openai_model(&world, name),
            _ => post(request, &path, &world).await,
        },
    };
    let openai = path.starts_with("/v1/");
    told.unwrap_or_else(|refusal| if openai { refusal.openai() } else { refusal.native() })
}

const POSTED: [&str; 9] = [
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
    "/api/pull",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
];

async fn post(request: Request<Incoming>, path: &str, world: &Arc<World>) -> Result<Answer, Refusal> {
    let read_only = matches!(path, "/" | "/api/version" | "/api/tags" | "/api/ps" | "/v1/models");
    if read_only || (POSTED.contains(&path) && request.method() != Method::POST) {
        let mut refused = respond(405, PLAIN, "405 method not allowed");
        let allowed = HeaderValue::from_static(if read_only { "GET" } else { "POST" });
        refused.headers_mut().insert(ALLOW, allowed);
        return Ok(refused);
    }
    if !POSTED.contains(&path) {
        return Ok(respond(404, PLAIN, "404 page not found"));
    }
    let body = body(request).await?;
    if path != "/api/pull"
        && let Ok((model, name)) = ask::model(&body)
        && world.find(model.name).is_none()
    {
        return Err(Refusal::new(404, format!("model '{name}' not found")));
    }
    match path {
        "/api/generate" => native::answer(world, Generate, &body).await,
        "/api/chat" => native::answer(world, Chat, &body).await,
        "/api/embed" => embed::native(world, &body).await,
        "/api/embeddings" => embed::legacy(world, &body).await,
        "/api/show" => listing::show(&body),
        "/api/pull" => pull::answer(world, &body).await,
        "/v1/completions" => openai::answer(world, openai::Route::Text, &body).await,
        "/v1/embeddings" => embed::openai(world, &body).await,
        _ => openai::answer(world, openai::Route::Chat, &body).await,
    }
}

/// As Go's decoder reads it: up to the end of the JSON, whatever the client sends behind that. The answer may be there
/// before the request is over.
async fn body(request: Request<Incoming>) -> Result<Value, Refusal> {
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::new(400, error.to_string()))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        let may_be_whole = bytes.trim_ascii_end().ends_with(b"}");
        if may_be_whole && let Ok(value) = serde_json::from_slice(&bytes) {
            // Read on beside the answer, or the connection would be closed under the client.
            tokio::spawn(async move { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} });
            return Ok(value);
        }
    }
    if bytes.is_empty() {
        return Err(Refusal::new(400, "missing request body"));
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::new(400, error.to_string()))
}
