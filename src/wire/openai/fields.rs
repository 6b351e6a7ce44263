//! The values wanted of an `OpenAI` object.

use crate::wire::counts::Count;
use crate::wire::json::{Object, Want};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Model,
    Error,
    /// Of the choice that is being read.
    Index,
    Finish,
    /// Text of a completion.
    Text,
    /// Text of a chat delta. A refusal is text.
    DeltaText,
    Thinking,
    /// A name or arguments, or a part of them.
    Tools,
    /// Log probabilities or token ids.
    Listed,
    ChoiceEnd,
    ToolEnd,
    /// Of `usage`.
    Usage(Count),
    /// Of llama.cpp's `timings`.
    Llama(Count),
    PrefillMs,
    DecodeMs,
    DecodeSeconds,
}

use Field::{Llama, Usage};

pub(super) static OBJECT: Object<Field> = Object::new(&[
    ("model", Want::Text(Field::Model)),
    ("error", Want::Truthy(Field::Error)),
    ("choices", Want::Each(Field::ChoiceEnd, &Want::Object(&CHOICE))),
    ("usage", Want::Object(&USAGE)),
    ("timings", Want::Object(&TIMINGS)),
    ("metrics", Want::Object(&METRICS)),
    ("stats", Want::Object(&STATS)),
]);

static CHOICE: Object<Field> = Object::new(&[
    ("index", Want::Count(Field::Index)),
    ("finish_reason", Want::Text(Field::Finish)),
    ("text", Want::Present(Field::Text)),
    ("delta", Want::Object(&DELTA)),
    ("logprobs", Want::Object(&LOGPROBS)),
    ("token_ids", Want::Length(Field::Listed)),
]);

static DELTA: Object<Field> = Object::new(&[
    ("content", Want::Present(Field::DeltaText)),
    ("refusal", Want::Present(Field::DeltaText)),
    ("reasoning_content", Want::Present(Field::Thinking)),
    // Ollama, vLLM, OpenRouter.
    ("reasoning", Want::Present(Field::Thinking)),
    ("tool_calls", Want::Each(Field::ToolEnd, &Want::Object(&TOOL_CALL))),
    ("function_call", Want::Object(&FUNCTION)),
]);

static TOOL_CALL: Object<Field> =
    Object::new(&[("function", Want::Object(&FUNCTION)), ("custom", Want::Object(&FUNCTION))]);

static FUNCTION: Object<Field> = Object::new(&[
    ("name", Want::Present(Field::Tools)),
    ("arguments", Want::Present(Field::Tools)),
    ("input", Want::Present(Field::Tools)),
]);

static LOGPROBS: Object<Field> = Object::new(&[
    ("content", Want::Length(Field::Listed)),
    ("refusal", Want::Length(Field::Listed)),
    // The older form, of completions.
    ("tokens", Want::Length(Field::Listed)),
]);

static USAGE: Object<Field> = Object::new(&[
    ("prompt_tokens", Want::Count(Usage(Count::Prompt))),
    ("completion_tokens", Want::Count(Usage(Count::Generated))),
    ("prompt_tokens_details", Want::Object(&PROMPT_DETAILS)),
    ("completion_tokens_details", Want::Object(&COMPLETION_DETAILS)),
    // SGLang.
    ("reasoning_tokens", Want::Count(Usage(Count::Reasoning))),
]);

static PROMPT_DETAILS: Object<Field> = Object::new(&[("cached_tokens", Want::Count(Usage(Count::Cached)))]);

static COMPLETION_DETAILS: Object<Field> = Object::new(&[
    ("reasoning_tokens", Want::Count(Usage(Count::Reasoning))),
    ("accepted_prediction_tokens", Want::Count(Usage(Count::Accepted))),
    ("rejected_prediction_tokens", Want::Count(Usage(Count::Rejected))),
]);

static TIMINGS: Object<Field> = Object::new(&[
    ("cache_n", Want::Count(Llama(Count::Cached))),
    ("prompt_n", Want::Count(Llama(Count::Prompt))),
    ("predicted_n", Want::Count(Llama(Count::Generated))),
    ("draft_n", Want::Count(Llama(Count::Drafted))),
    ("draft_n_accepted", Want::Count(Llama(Count::Accepted))),
    ("prompt_ms", Want::Quantity(Field::PrefillMs)),
    ("predicted_ms", Want::Quantity(Field::DecodeMs)),
]);

/// vLLM with `--enable-per-request-metrics`.
static METRICS: Object<Field> = Object::new(&[
    ("time_to_first_token_ms", Want::Quantity(Field::PrefillMs)),
    ("generation_time_ms", Want::Quantity(Field::DecodeMs)),
    ("speculative_decoding", Want::Object(&SPECULATION)),
]);

static SPECULATION: Object<Field> = Object::new(&[
    ("num_draft_tokens", Want::Count(Usage(Count::Drafted))),
    ("num_accepted_draft_tokens", Want::Count(Usage(Count::Accepted))),
]);

/// LM Studio's older API. Its time to the first token includes waiting and loading, so that it is no prefill.
static STATS: Object<Field> = Object::new(&[("generation_time", Want::Quantity(Field::DecodeSeconds))]);
