//! Tokens, each count with its source.

use prometheus::IntCounter;

use super::buckets;
use super::family::{Family, Register, Spec};
use super::histogram::Histogram;
use super::number::{MAX_TOKENS, whole};
use super::per_model::Series;
use crate::exchange::outcome::Outcome;
use crate::exchange::record::{Count, Record};
use crate::exchange::vocabulary::Source;

pub(super) struct TokenCounts {
    prompt: Family<IntCounter>,
    generated: Family<IntCounter>,
    draft: Family<IntCounter>,
    context: Family<Histogram>,
}

impl TokenCounts {
    pub(super) fn register(register: &Register<'_>) -> Self {
        Self {
            prompt: register.family(PROMPT),
            generated: register.family(GENERATED),
            draft: register.family(DRAFT),
            context: register.family(CONTEXT),
        }
    }

    pub(super) fn finished(&self, series: &Series, record: &Record) {
        let (model, backend, remembered) = (&**series.model(), &*record.start.backend, series.remembered());
        let prompt = record.prompt_tokens.and_then(sane);
        for (handles, family, count) in [
            (&remembered.prompt, &self.prompt, prompt),
            (&remembered.generated, &self.generated, record.best_generated().and_then(sane)),
        ] {
            if let Some(Count { value, source }) = count {
                let labels = [model, backend, source.as_str()];
                handles[source as usize].with(family, &labels, |tokens| tokens.inc_by(value));
            }
        }
        let generated = record.generated_tokens.and_then(sane);
        if let (true, Some(prompt), Some(generated)) = (record.is_generation(), prompt, generated) {
            let tokens = (prompt.value + generated.value) as f64;
            remembered.context.with(&self.context, &[model], |context| context.observe(tokens));
        }
        for (result, tokens) in [("proposed", record.drafted_tokens), ("accepted", record.draft_accepted_tokens)] {
            if let Some(tokens) = tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
                self.draft.with(&[model, backend, result], |drafted| drafted.inc_by(tokens));
            }
        }
        parts(series, record);
        learn(series, record, generated);
    }
}

/// Parts of the counts, where they are reported.
fn parts(series: &Series, record: &Record) {
    if let Some(tokens) = record.cached_tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
        series.cached_prompt_tokens().inc_by(tokens);
    }
    if let Some(tokens) = record.reasoning_tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
        series.reasoning_tokens().inc_by(tokens);
    }
}

/// Only a stream that was seen to its end tells how many tokens a chunk holds.
fn learn(series: &Series, record: &Record, generated: Option<Count>) {
    let reported = generated.filter(|count| count.source == Source::Reported);
    if let (Outcome::Completed, true, Some(count)) = (record.outcome, record.streamed, reported) {
        series.learn_ratio(count.value, record.token_events);
    }
}

fn sane(count: Count) -> Option<Count> {
    whole(count.value, MAX_TOKENS).map(|_| count)
}

const PROMPT: Spec = Spec {
    name: "ollama_proxy_prompt_tokens_total",
    help: "Prompt tokens, cached ones included, by the source of the count.",
    labels: &["model", "backend", "source"],
    buckets: buckets::NONE,
};
const GENERATED: Spec = Spec {
    name: "ollama_proxy_generated_tokens_total",
    help: "Generated tokens by the source of the count; chunks are a lower bound.",
    labels: &["model", "backend", "source"],
    buckets: buckets::NONE,
};
const DRAFT: Spec = Spec {
    name: "ollama_proxy_draft_tokens_total",
    help: "Draft tokens of speculative decoding, where reported.",
    labels: &["model", "backend", "result"],
    buckets: buckets::NONE,
};
const CONTEXT: Spec = Spec {
    name: "ollama_proxy_context_length_tokens",
    help: "Prompt and generated tokens of one generation.",
    labels: &["model"],
    buckets: buckets::CONTEXT,
};
