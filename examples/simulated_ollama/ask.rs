//! What a client asks for, whichever interface it speaks.

use serde_json::Value;

use crate::answer::Refusal;
use crate::catalogue::{self, Model};
use crate::residency::KeepAlive;

/// Context a model is loaded with where the request names none, tokens.
pub(crate) const DEFAULT_CONTEXT: u32 = 4_096;

/// Tokens at the start of a prompt that are never cut.
const KEPT: u32 = 3;

/// One request for generated text.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The model that is meant.
    pub(crate) model: &'static Model,
    /// Its name as the client wrote it, which answers repeat.
    pub(crate) name: String,
    /// All text the model reads.
    pub(crate) prompt: String,
    /// The part that decides on the answer: the prompt, or the user's last message.
    pub(crate) question: String,
    /// What a tool answered, where that is the last message.
    pub(crate) tool_result: Option<String>,
    /// Tools offered.
    pub(crate) tools: Vec<Value>,
    /// Whether to think aloud first.
    pub(crate) think: bool,
    /// Most tokens to generate, where limited.
    pub(crate) limit: Option<u32>,
    /// Context asked for, tokens.
    pub(crate) context: u32,
    /// How long the model stays afterwards; `None` leaves that to the requests before it.
    pub(crate) keep_alive: Option<KeepAlive>,
}

impl Ask {
    /// Reads `/api/generate`.
    pub(crate) fn generate(body: &Value) -> Result<Self, Refusal> {
        let prompt = text(body, "prompt");
        let system = text(body, "system");
        Self::native(body, format!("{system}{prompt}"), prompt, None)
    }

    /// Reads `/api/chat`.
    pub(crate) fn chat(body: &Value) -> Result<Self, Refusal> {
        let (prompt, question, tool_result) = conversation(body);
        Self::native(body, prompt, question, tool_result)
    }

    fn native(body: &Value, prompt: String, question: String, tool_result: Option<String>) -> Result<Self, Refusal> {
        let options = &body["options"];
        let mut ask = Self::common(body, prompt, question, tool_result, "completion")?;
        ask.think = thinks(&body["think"], ask.model)?;
        ask.limit = positive(&options["num_predict"]);
        ask.context = positive(&options["num_ctx"]).unwrap_or(DEFAULT_CONTEXT);
        ask.keep_alive = KeepAlive::parse(&body["keep_alive"]);
        Ok(ask)
    }

    /// Reads `/v1/chat/completions`.
    pub(crate) fn openai_chat(body: &Value) -> Result<Self, Refusal> {
        let (prompt, question, tool_result) = conversation(body);
        let mut ask = Self::common(body, prompt, question, tool_result, "completion")?;
        ask.limit = positive(&body["max_completion_tokens"]).or_else(|| positive(&body["max_tokens"]));
        ask.think = match body["reasoning_effort"].as_str() {
            None => ask.model.can("thinking"),
            Some("none") => false,
            Some(_) => thinks(&Value::Bool(true), ask.model)?,
        };
        Ok(ask)
    }

    /// Reads `/v1/completions`.
    pub(crate) fn openai_completion(body: &Value) -> Result<Self, Refusal> {
        let prompt = text(body, "prompt");
        let mut ask = Self::common(body, prompt.clone(), prompt, None, "completion")?;
        ask.limit = positive(&body["max_tokens"]);
        Ok(ask)
    }

    fn common(
        body: &Value,
        prompt: String,
        question: String,
        tool_result: Option<String>,
        capability: &str,
    ) -> Result<Self, Refusal> {
        let (model, name) = model(body)?;
        if !model.can(capability) {
            return Err(Refusal::new(400, format!("\"{name}\" does not support chat")));
        }
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        if !tools.is_empty() && !model.can("tools") {
            return Err(Refusal::new(400, format!("registry.ollama.ai/library/{name} does not support tools")));
        }
        let context = DEFAULT_CONTEXT;
        let (limit, keep_alive) = (None, None);
        Ok(Self { model, name, prompt, question, tool_result, tools, think: false, limit, context, keep_alive })
    }

    /// Tokens in the prompt: the template's, one for every four characters, and the tools' descriptions. What does not
    /// fit the context is cut without a word, as the real server does since 0.30: half of the context is left, and
    /// the part that is always kept.
    pub(crate) fn prompt_tokens(&self) -> u32 {
        let tools: usize = self.tools.iter().map(|tool| tool.to_string().len()).sum();
        let tokens = 10 + tokens_in(&self.prompt) + u32::try_from(tools / 4).unwrap_or(u32::MAX / 2);
        if tokens > self.context { self.context / 2 + KEPT } else { tokens }
    }
}

/// Tokens in a text: one for every four characters, begun ones too.
pub(crate) fn tokens_in(text: &str) -> u32 {
    u32::try_from(text.chars().count().div_ceil(4)).unwrap_or(u32::MAX / 2)
}

/// The model a body names, with the name as written.
pub(crate) fn model(body: &Value) -> Result<(&'static Model, String), Refusal> {
    let name = [&body["model"], &body["name"]].into_iter().find_map(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::new(400, "model is required"));
    }
    let model = catalogue::find(name).ok_or_else(|| Refusal::new(404, format!("model '{name}' not found")))?;
    Ok((model, name.to_owned()))
}

/// Text under a key; empty where there is none.
fn text(body: &Value, key: &str) -> String {
    content(&body[key])
}

/// Text of a message: a string, or the parts of it that are text.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().map(|part| part.as_str().or_else(|| part["text"].as_str()).unwrap_or_default()).collect()
        }
        _ => String::new(),
    }
}

/// All text of a conversation, the user's last message, and the last message where a tool wrote it.
fn conversation(body: &Value) -> (String, String, Option<String>) {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let prompt = messages.iter().map(|message| content(&message["content"])).collect::<Vec<_>>().join("\n");
    let question = messages.iter().rfind(|message| message["role"] == "user");
    let tool_result = messages.last().filter(|message| message["role"] == "tool");
    (
        prompt,
        question.map(|message| content(&message["content"])).unwrap_or_default(),
        tool_result.map(|message| content(&message["content"])),
    )
}

/// Whether to think: as asked, and where nothing is asked a model that can think does.
fn thinks(asked: &Value, model: &Model) -> Result<bool, Refusal> {
    let wanted = match asked {
        Value::Null => return Ok(model.can("thinking")),
        Value::Bool(wanted) => *wanted,
        _ => true,
    };
    if wanted && !model.can("thinking") {
        return Err(Refusal::new(400, format!("\"{}\" does not support thinking", model.name)));
    }
    Ok(wanted)
}

fn positive(value: &Value) -> Option<u32> {
    value.as_u64().filter(|number| *number > 0).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}
