//! `/v1/chat/completions` and `/v1/completions`, with Ollama's habits: no role-only first chunk, zero usage on every
//! text-completion chunk when usage is asked for, and an error that is only an odd chunk and a missing `[DONE]`.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, EVENTS, JSON, Refusal, Told, Wire, tell};
use crate::ask::Ask;
use crate::clock;
use crate::generation::{Figures, Generation};
use crate::script::{Piece, Said};
use crate::tools::Call;
use crate::world::World;

/// Which of the two routes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

/// Answers one of the two.
pub(crate) async fn answer(world: &World, route: Route, body: &Value) -> Result<Answer, Refusal> {
    let ask = match route {
        Route::Chat => {
            if body["messages"].as_array().is_none_or(Vec::is_empty) {
                return Err(Refusal::new(400, "[] is too short - 'messages'"));
            }
            Ask::openai_chat(body)?
        }
        Route::Text => Ask::openai_completion(body)?,
    };
    let generation = Generation::start(world, &ask).await?;
    let usage = body["stream_options"]["include_usage"] == true;
    let number = crate::script::hash(&ask.question) % 1_000;
    let openai = OpenAi { route, name: ask.name, number, usage, called: false };
    tell(openai, generation, body["stream"] == true).await
}

struct OpenAi {
    route: Route,
    name: String,
    number: u64,
    usage: bool,
    called: bool,
}

impl OpenAi {
    fn head(&self, streamed: bool) -> Map<String, Value> {
        let (id, object) = match (self.route, streamed) {
            (Route::Chat, true) => ("chatcmpl", "chat.completion.chunk"),
            (Route::Chat, false) => ("chatcmpl", "chat.completion"),
            (Route::Text, _) => ("cmpl", "text_completion"),
        };
        let mut head = Map::new();
        head.insert("id".into(), json!(format!("{id}-{}", self.number)));
        head.insert("object".into(), json!(object));
        head.insert("created".into(), json!(clock::unix_seconds()));
        head.insert("model".into(), json!(self.name));
        head.insert("system_fingerprint".into(), json!("fp_ollama"));
        head
    }

    fn event(&self, delta: Value, text: &str, finish: Option<&str>) -> String {
        let mut head = self.head(true);
        let choice = match self.route {
            Route::Chat => json!({"index": 0, "delta": delta, "finish_reason": finish}),
            Route::Text => json!({"text": text, "index": 0, "finish_reason": finish}),
        };
        head.insert("choices".into(), json!([choice]));
        if self.usage && self.route == Route::Text {
            head.insert("usage".into(), usage(0, 0));
        }
        data(&head)
    }

    fn finish<'a>(&self, figures: &Figures, called: bool) -> &'a str {
        if called { "tool_calls" } else { figures.reason }
    }
}

impl Wire for OpenAi {
    const STREAM: &'static str = EVENTS;
    const WHOLE: &'static str = JSON;

    fn piece(&mut self, piece: &Piece) -> String {
        match &piece.said {
            Said::Text(text) => self.event(json!({"role": "assistant", "content": text}), text, None),
            Said::Thinking(thinking) => {
                self.event(json!({"role": "assistant", "content": "", "reasoning": thinking}), "", None)
            }
            Said::Tool(call) => {
                self.called = true;
                let calls = json!([tool_call(0, call)]);
                self.event(json!({"role": "assistant", "content": "", "tool_calls": calls}), "", None)
            }
        }
    }

    fn done(&mut self, figures: &Figures) -> String {
        let finish = self.finish(figures, self.called);
        let mut end = self.event(json!({"role": "assistant", "content": ""}), "", Some(finish));
        if self.usage {
            let mut last = self.head(true);
            last.insert("choices".into(), json!([]));
            last.insert("usage".into(), usage(figures.prompt_tokens, figures.tokens));
            end.push_str(&data(&last));
        }
        end + "data: [DONE]\n\n"
    }

    fn failed(&mut self) -> String {
        self.name.clear();
        self.event(json!({"role": "assistant", "content": ""}), "", None)
    }

    fn whole(&mut self, told: &Told, figures: Option<&Figures>) -> String {
        let finish = figures.map(|figures| self.finish(figures, !told.calls.is_empty()));
        let choice = match self.route {
            Route::Text => json!({"text": told.text, "index": 0, "finish_reason": finish}),
            Route::Chat => {
                let mut message = json!({"role": "assistant", "content": told.text});
                if !told.thinking.is_empty() {
                    message["reasoning"] = json!(told.thinking);
                }
                if !told.calls.is_empty() {
                    let calls = told.calls.iter().enumerate().map(|(index, call)| tool_call(index, call));
                    message["tool_calls"] = calls.collect();
                }
                json!({"index": 0, "message": message, "finish_reason": finish})
            }
        };
        let mut head = self.head(false);
        head.insert("choices".into(), json!([choice]));
        let (prompt, tokens) = figures.map_or((0, 0), |figures| (figures.prompt_tokens, figures.tokens));
        head.insert("usage".into(), usage(prompt, tokens));
        format!("{}\n", Value::Object(head))
    }
}

fn data(head: &Map<String, Value>) -> String {
    format!("data: {}\n\n", crate::answer::to_json(head))
}

fn usage(prompt: u32, completion: u32) -> Value {
    let total = u64::from(prompt) + u64::from(completion);
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total})
}

fn tool_call(index: usize, call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": call.id, "index": index, "type": "function", "function": function})
}
