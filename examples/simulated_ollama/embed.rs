//! `/api/embed`, `/api/embeddings` and `/v1/embeddings`: vectors that follow from the text alone.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, JSON, JSON_UTF8, Refusal, respond, to_json};
use crate::ask::{DEFAULT_CONTEXT, model, tokens_in};
use crate::catalogue::Model;
use crate::residency::KeepAlive;
use crate::script::hash;
use crate::world::World;

#[derive(Serialize)]
struct Embedded<'a> {
    model: &'a str,
    embeddings: Vec<Vec<f32>>,
    total_duration: u128,
    load_duration: u128,
    prompt_eval_count: u32,
}

#[derive(Serialize)]
struct Listed<'a> {
    object: &'static str,
    data: Vec<Value>,
    model: &'a str,
    usage: Value,
}

/// Answers `/api/embed`.
pub(crate) async fn native(world: &World, body: &Value) -> Result<Answer, Refusal> {
    let started = Instant::now();
    let (model, name) = model(body)?;
    let inputs = inputs(&body["input"]);
    if inputs.is_empty() {
        return Ok(respond(200, JSON_UTF8, json!({"model": name, "embeddings": []}).to_string()));
    }
    let keep = KeepAlive::parse(&body["keep_alive"]);
    let (embeddings, load_duration, prompt_eval_count) = read(world, model, &inputs, keep).await?;
    let total_duration = started.elapsed().as_nanos();
    let answer = Embedded { model: &name, embeddings, total_duration, load_duration, prompt_eval_count };
    Ok(respond(200, JSON_UTF8, to_json(&answer)))
}

/// Answers the older `/api/embeddings`.
pub(crate) async fn legacy(world: &World, body: &Value) -> Result<Answer, Refusal> {
    let (model, _) = model(body)?;
    let inputs: Vec<_> = inputs(&body["prompt"]).into_iter().filter(|prompt| !prompt.is_empty()).collect();
    let keep = KeepAlive::parse(&body["keep_alive"]);
    let (embeddings, ..) = read(world, model, &inputs, keep).await?;
    let embedding = embeddings.into_iter().next().unwrap_or_default();
    Ok(respond(200, JSON_UTF8, json!({ "embedding": embedding }).to_string()))
}

/// Answers `/v1/embeddings`, in base64 where asked for.
pub(crate) async fn openai(world: &World, body: &Value) -> Result<Answer, Refusal> {
    let (model, name) = model(body)?;
    let inputs = inputs(&body["input"]);
    if inputs.is_empty() {
        return Err(Refusal::new(400, "invalid input"));
    }
    let (embeddings, _, tokens) = read(world, model, &inputs, None).await?;
    let packed = body["encoding_format"] == "base64";
    let entry = |(index, embedding): (usize, &Vec<f32>)| {
        let embedding = if packed { json!(base64(embedding)) } else { json!(embedding) };
        json!({"object": "embedding", "embedding": embedding, "index": index})
    };
    let data = embeddings.iter().enumerate().map(entry).collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(respond(200, JSON, to_json(&Listed { object: "list", data, model: &name, usage }) + "\n"))
}

/// Loads, reads all inputs, and gives vectors, nanoseconds of loading and tokens read.
async fn read(
    world: &World,
    model: &'static Model,
    inputs: &[String],
    keep: Option<KeepAlive>,
) -> Result<(Vec<Vec<f32>>, u128, u32), Refusal> {
    let started = Instant::now();
    if inputs.iter().any(|input| input.contains("[[refuse]]")) {
        return Err(Refusal::new(500, "llama runner process has terminated: exit status 2"));
    }
    let _lease = world.residency.lease(model, model.context_length.min(DEFAULT_CONTEXT), keep, world.pace).await;
    let load = started.elapsed().as_nanos().max(1);
    let tokens = inputs.iter().map(|input| tokens_in(input) + 2).sum();
    tokio::time::sleep(world.pace.steps(tokens, model.prefill_rate)).await;
    Ok((inputs.iter().map(|input| vector(model, input)).collect(), load, tokens))
}

fn inputs(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// A vector of length one whose signs are the text's hash, drawn out.
fn vector(model: &Model, text: &str) -> Vec<f32> {
    let mut state = hash(text) | 1;
    let size = f64::from(model.embedding_length).sqrt().recip();
    let mut sign = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state & 1 == 0 { size } else { -size }
    };
    #[expect(clippy::cast_possible_truncation, reason = "an embedding is made of f32")]
    (0..model.embedding_length).map(|_| sign() as f32).collect()
}

/// The little-endian bytes of the floats, in base64.
fn base64(floats: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}
