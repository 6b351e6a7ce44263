//! `/api/generate` and `/api/chat`, in the field order of the real server.

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{Answer, JSON_UTF8, NDJSON, Refusal, Told, Wire, respond, tell, to_json};
use crate::ask::{self, Ask};
use crate::clock;
use crate::generation::{Figures, Generation, RUNNER_ERROR};
use crate::residency::KeepAlive;
use crate::script::{Piece, Said};
use crate::tools::Call;
use crate::world::World;

/// Which of the two routes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// `/api/generate`
    Generate,
    /// `/api/chat`
    Chat,
}

/// Answers one of the two.
pub(crate) async fn answer(world: &World, route: Route, body: &Value) -> Result<Answer, Refusal> {
    let empty = match route {
        Route::Generate => body["prompt"].as_str().unwrap_or_default().is_empty(),
        Route::Chat => body["messages"].as_array().is_none_or(Vec::is_empty),
    };
    if empty {
        return load_or_unload(world, route, body).await;
    }
    let ask = match route {
        Route::Generate => Ask::generate(body)?,
        Route::Chat => Ask::chat(body)?,
    };
    let generation = Generation::start(world, &ask).await?;
    let stream = body["stream"].as_bool().unwrap_or(true);
    tell(Native { route, name: ask.name }, generation, stream).await
}

/// A request without a prompt: it only brings the model into memory, or with `keep_alive` 0 puts it out.
async fn load_or_unload(world: &World, route: Route, body: &Value) -> Result<Answer, Refusal> {
    let (model, name) = ask::model(body)?;
    let keep = KeepAlive::parse(&body["keep_alive"]);
    let reason = if keep.is_some_and(|keep| keep.0.is_zero()) {
        world.residency.unload(model);
        "unload"
    } else {
        let context = body["options"]["num_ctx"].as_u64().and_then(|tokens| u32::try_from(tokens).ok());
        drop(world.residency.lease(model, context.unwrap_or(ask::DEFAULT_CONTEXT), keep, world.pace).await);
        "load"
    };
    let mut line = Line::new(&name, true);
    line.fill(route, "", "", &[]);
    line.done_reason = Some(reason);
    Ok(respond(200, JSON_UTF8, to_json(&line)))
}

struct Native {
    route: Route,
    name: String,
}

#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    context: Vec<u32>,
    #[serde(flatten)]
    figures: Option<Counts>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    thinking: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
}

#[derive(Serialize)]
struct Counts {
    total_duration: u128,
    load_duration: u128,
    prompt_eval_count: u32,
    prompt_eval_duration: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_cached_count: Option<u32>,
    eval_count: u32,
    eval_duration: u128,
}

impl<'a> Line<'a> {
    fn new(model: &'a str, done: bool) -> Self {
        let created_at = clock::now();
        let (response, message, done_reason, figures) = (None, None, None, None);
        Self { model, created_at, response, thinking: "", message, done, done_reason, context: Vec::new(), figures }
    }

    fn fill(&mut self, route: Route, text: &'a str, thinking: &'a str, calls: &[Call]) {
        match route {
            Route::Generate => (self.response, self.thinking) = (Some(text), thinking),
            Route::Chat => {
                let tool_calls = calls.iter().enumerate().map(|(index, call)| tool_call(index, call)).collect();
                self.message = Some(Message { role: "assistant", content: text, thinking, tool_calls });
            }
        }
    }

    fn finish(&mut self, route: Route, figures: &Figures) {
        self.done_reason = Some(figures.reason);
        if route == Route::Generate {
            self.context =
                (0..figures.prompt_tokens.saturating_add(figures.tokens)).map(|at| 1_000 + at % 30_000).collect();
        }
        self.figures = Some(Counts {
            total_duration: figures.total.as_nanos(),
            load_duration: figures.load.as_nanos(),
            prompt_eval_count: figures.prompt_tokens,
            prompt_eval_duration: figures.prefill.as_nanos(),
            prompt_eval_cached_count: figures.cached_tokens,
            eval_count: figures.tokens,
            eval_duration: figures.decode.as_nanos(),
        });
    }

    fn write(&self) -> String {
        to_json(self) + "\n"
    }
}

fn tool_call(index: usize, call: &Call) -> Value {
    json!({"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}})
}

impl Wire for Native {
    const STREAM: &'static str = NDJSON;
    const WHOLE: &'static str = JSON_UTF8;

    fn piece(&mut self, piece: &Piece) -> String {
        let mut line = Line::new(&self.name, false);
        match &piece.said {
            Said::Text(text) => line.fill(self.route, text, "", &[]),
            Said::Thinking(thinking) => line.fill(self.route, "", thinking, &[]),
            Said::Tool(call) => line.fill(self.route, "", "", std::slice::from_ref(call)),
        }
        line.write()
    }

    fn done(&mut self, figures: &Figures) -> String {
        let mut line = Line::new(&self.name, true);
        line.fill(self.route, "", "", &[]);
        line.finish(self.route, figures);
        line.write()
    }

    fn failed(&mut self) -> String {
        format!("{}\n", json!({ "error": RUNNER_ERROR }))
    }

    fn whole(&mut self, told: &Told, figures: Option<&Figures>) -> String {
        let mut line = Line::new(&self.name, figures.is_some());
        line.fill(self.route, &told.text, &told.thinking, &told.calls);
        if let Some(figures) = figures {
            line.finish(self.route, figures);
        }
        to_json(&line)
    }
}
