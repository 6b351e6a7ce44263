//! Tokens, each count with its source.

use prometheus::IntCounter;

use super::declare::families;
use super::family::Family;
use super::histogram::Histogram;
use super::number::{MAX_TOKENS, whole};
use super::per_model::Series;
use crate::exchange::outcome::Outcome;
use crate::exchange::record::{Record, TokenCount};
use crate::exchange::vocabulary::Source;

families! {
    /// Counts of tokens by their source, and the context that a generation used.
    pub(super) struct TokenCounts {
        prompt: Family<IntCounter> = "ollama_proxy_prompt_tokens_total" ["model", "backend", "source"]
            "Prompt tokens, cached ones included, by the source of the count.";
        generated: Family<IntCounter> = "ollama_proxy_generated_tokens_total" ["model", "backend", "source"]
            "Generated tokens by the source of the count; chunks are a lower bound.";
        draft: Family<IntCounter> = "ollama_proxy_draft_tokens_total" ["model", "backend", "result"]
            "Draft tokens of speculative decoding, where reported.";
        context: Family<Histogram> = "ollama_proxy_context_length_tokens" ["model"] buckets Context
            "Prompt and generated tokens of one generation.";
    }
}

impl TokenCounts {
    /// Creates the reported counts at 0.
    pub(super) fn create_series(&self, model: &str, backend: &str) {
        let labels = [model, backend, Source::Reported.as_str()];
        drop((self.prompt.child(&labels), self.generated.child(&labels)));
    }

    pub(super) fn finished(&self, series: &Series, record: &Record) {
        let (model, backend, handles) = (&**series.model(), record.backend(), series.handles());
        let prompt = record.prompt_tokens.and_then(plausible);
        for (by_source, family, count) in [
            (&handles.prompt, &self.prompt, prompt),
            (&handles.generated, &self.generated, record.best_generated().and_then(plausible)),
        ] {
            if let Some(TokenCount { value, source }) = count {
                let labels = [model, backend, source.as_str()];
                by_source[source as usize].with(family, &labels, |tokens| tokens.inc_by(value));
            }
        }
        let generated = record.generated_tokens.and_then(plausible);
        if let (true, Some(prompt), Some(generated)) = (record.is_generation(), prompt, generated) {
            let tokens = (prompt.value + generated.value) as f64;
            handles.context.with(&self.context, &[model], |context| context.observe(tokens));
        }
        for (result, tokens) in [("proposed", record.drafted_tokens), ("accepted", record.draft_accepted_tokens)] {
            if let Some(tokens) = tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
                self.draft.with(&[model, backend, result], |drafted| drafted.inc_by(tokens));
            }
        }
        record_reported_parts(series, record);
        record_tokens_per_chunk(series, record, generated);
    }
}

/// Cached and reasoning tokens, where they are reported.
fn record_reported_parts(series: &Series, record: &Record) {
    if let Some(tokens) = record.cached_tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
        series.cached_prompt_tokens().inc_by(tokens);
    }
    if let Some(tokens) = record.reasoning_tokens.and_then(|tokens| whole(tokens, MAX_TOKENS)) {
        series.reasoning_tokens().inc_by(tokens);
    }
}

/// Only a completed stream with a reported count gives the number of tokens in a chunk.
fn record_tokens_per_chunk(series: &Series, record: &Record, generated: Option<TokenCount>) {
    let reported = generated.filter(|count| count.source == Source::Reported);
    if let (Outcome::Completed, true, Some(count)) = (record.outcome, record.streamed, reported) {
        series.observe_tokens_per_chunk(count.value, record.token_events);
    }
}

/// A count that one exchange can have.
fn plausible(count: TokenCount) -> Option<TokenCount> {
    whole(count.value, MAX_TOKENS).map(|_| count)
}
