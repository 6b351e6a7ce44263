//! The wanted values of an `OpenAI` object.
//!
//! Several servers answer in this shape on routes of another dialect: macros make the tables for any dialect's fields,
//! so that one pass over the bytes serves both shapes.

use crate::wire::counts::CountKind;
use crate::wire::json::{Object, Want};

use tables::{CHOICE, USAGE};
use timings::TIMINGS;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Model,
    Error,
    /// The index of the current choice.
    Index,
    Finish,
    /// Text of a completion.
    Text,
    /// Text or sound of a chat delta. A refusal is text.
    DeltaText,
    Thinking,
    /// A name or arguments, or a part of them.
    Tools,
    /// Log probabilities or token ids.
    Listed,
    ChoiceEnd,
    /// End of a list element of which only the values matter.
    ItemEnd,
    /// Of `usage`.
    Usage(CountKind),
    /// Of llama.cpp's `timings`.
    Llama(CountKind),
    PrefillMs,
    DecodeMs,
    DecodeSeconds,
}

pub(super) static OBJECT: Object<Field> = Object::new(&[
    ("model", Want::Text(Field::Model)),
    ("error", Want::Truthy(Field::Error)),
    ("choices", Want::Each(Field::ChoiceEnd, &Want::Object(&CHOICE))),
    ("usage", Want::Object(&USAGE)),
    ("timings", Want::Object(&TIMINGS)),
    ("metrics", Want::Object(&METRICS)),
    ("stats", Want::Object(&STATS)),
]);

/// vLLM with `--enable-per-request-metrics`.
static METRICS: Object<Field> = Object::new(&[
    ("time_to_first_token_ms", Want::Quantity(Field::PrefillMs)),
    ("generation_time_ms", Want::Quantity(Field::DecodeMs)),
    ("speculative_decoding", Want::Object(&SPECULATION)),
]);

static SPECULATION: Object<Field> = Object::new(&[
    ("num_draft_tokens", Want::Count(Field::Usage(CountKind::Drafted))),
    ("num_accepted_draft_tokens", Want::Count(Field::Usage(CountKind::Accepted))),
]);

/// LM Studio's older API. Its time to the first token includes queueing and loading, so it is not prefill.
static STATS: Object<Field> = Object::new(&[("generation_time", Want::Quantity(Field::DecodeSeconds))]);

mod tables {
    crate::wire::openai::fields::openai_tables!(crate::wire::openai::fields::Field, []);
}

mod timings {
    crate::wire::openai::fields::openai_timings!(crate::wire::openai::fields::Field, []);
}

/// Defines the tables `CHOICE` and `USAGE` over the dialect's field type `$field`, with `OpenAI`'s fields wrapped in
/// `$wrap`. Expand it in a module of its own.
macro_rules! openai_tables {
    ($field:ty, [$($wrap:tt)*]) => {
        use $crate::wire::counts::CountKind;
        use $crate::wire::json::{Object, Want};
        use $crate::wire::openai::fields::Field as F;

        pub(super) static CHOICE: Object<$field> = Object::new(&[
            ("index", Want::Count($($wrap)*(F::Index))),
            ("finish_reason", Want::Text($($wrap)*(F::Finish))),
            ("text", Want::Present($($wrap)*(F::Text))),
            ("delta", Want::Object(&DELTA)),
            ("logprobs", Want::Object(&LOGPROBS)),
            ("token_ids", Want::Length($($wrap)*(F::Listed))),
        ]);

        static DELTA: Object<$field> = Object::new(&[
            ("content", Want::PresentOr($($wrap)*(F::DeltaText), &PARTS)),
            ("refusal", Want::Present($($wrap)*(F::DeltaText))),
            ("reasoning_content", Want::Present($($wrap)*(F::Thinking))),
            // Ollama, vLLM, OpenRouter.
            ("reasoning", Want::Present($($wrap)*(F::Thinking))),
            ("tool_calls", Want::Each($($wrap)*(F::ItemEnd), &Want::Object(&TOOL_CALL))),
            ("function_call", Want::Object(&FUNCTION)),
            ("audio", Want::Object(&AUDIO)),
        ]);

        /// Mistral: the content is a list of texts and thoughts, and a thought a list of texts.
        static PARTS: Want<$field> = Want::Each($($wrap)*(F::ItemEnd), &Want::Object(&PART));
        static PART: Object<$field> = Object::new(&[
            ("text", Want::Present($($wrap)*(F::DeltaText))),
            ("thinking", Want::PresentOr($($wrap)*(F::Thinking), &THOUGHTS)),
        ]);
        static THOUGHTS: Want<$field> = Want::Each($($wrap)*(F::ItemEnd), &Want::Object(&THOUGHT));
        static THOUGHT: Object<$field> = Object::new(&[("text", Want::Present($($wrap)*(F::Thinking)))]);

        static AUDIO: Object<$field> = Object::new(&[
            ("data", Want::Present($($wrap)*(F::DeltaText))),
            ("transcript", Want::Present($($wrap)*(F::DeltaText))),
        ]);

        static TOOL_CALL: Object<$field> =
            Object::new(&[("function", Want::Object(&FUNCTION)), ("custom", Want::Object(&FUNCTION))]);

        static FUNCTION: Object<$field> = Object::new(&[
            ("name", Want::Present($($wrap)*(F::Tools))),
            ("arguments", Want::Present($($wrap)*(F::Tools))),
            ("input", Want::Present($($wrap)*(F::Tools))),
        ]);

        static LOGPROBS: Object<$field> = Object::new(&[
            ("content", Want::Length($($wrap)*(F::Listed))),
            ("refusal", Want::Length($($wrap)*(F::Listed))),
            // The older form, of completions.
            ("tokens", Want::Length($($wrap)*(F::Listed))),
        ]);

        pub(super) static USAGE: Object<$field> = Object::new(&[
            ("prompt_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Prompt)))),
            ("completion_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Generated)))),
            ("prompt_tokens_details", Want::Object(&PROMPT_DETAILS)),
            ("completion_tokens_details", Want::Object(&COMPLETION_DETAILS)),
            // SGLang.
            ("reasoning_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Reasoning)))),
        ]);

        static PROMPT_DETAILS: Object<$field> =
            Object::new(&[("cached_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Cached))))]);

        static COMPLETION_DETAILS: Object<$field> = Object::new(&[
            ("reasoning_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Reasoning)))),
            ("accepted_prediction_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Accepted)))),
            ("rejected_prediction_tokens", Want::Count($($wrap)*(F::Usage(CountKind::Rejected)))),
        ]);
    };
}
pub(crate) use openai_tables;

/// The same for llama.cpp's table `TIMINGS`.
macro_rules! openai_timings {
    ($field:ty, [$($wrap:tt)*]) => {
        use $crate::wire::counts::CountKind;
        use $crate::wire::json::{Object, Want};
        use $crate::wire::openai::fields::Field as F;

        pub(super) static TIMINGS: Object<$field> = Object::new(&[
            ("cache_n", Want::Count($($wrap)*(F::Llama(CountKind::Cached)))),
            ("prompt_n", Want::Count($($wrap)*(F::Llama(CountKind::Prompt)))),
            ("predicted_n", Want::Count($($wrap)*(F::Llama(CountKind::Generated)))),
            ("draft_n", Want::Count($($wrap)*(F::Llama(CountKind::Drafted)))),
            ("draft_n_accepted", Want::Count($($wrap)*(F::Llama(CountKind::Accepted)))),
            ("prompt_ms", Want::Quantity($($wrap)*(F::PrefillMs))),
            ("predicted_ms", Want::Quantity($($wrap)*(F::DecodeMs))),
        ]);
    };
}
pub(crate) use openai_timings;
