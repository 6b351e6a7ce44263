//! Parses `OpenAI`'s shape on a route of another dialect.
//!
//! llama.cpp answers Ollama's `/api/chat` in it, and many servers answer `/completions` and `/embeddings` in it, where
//! llama.cpp has an API of its own. The route's dialect has `OpenAI`'s fields in its own table and passes their values
//! on; from the first object with such values, this parser replaces it.

use super::dialect::DialectParser;
use super::head::Reported;
use super::json::{Value, Visit};
use super::openai::{Field, OpenAi};
use super::route::Operation;

/// Allocates nothing before the first `OpenAI` object.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    reader: Option<Box<OpenAi>>,
    seen: bool,
    shares_prompt: bool,
}

impl Foreign {
    /// Passes on a value of `OpenAI`'s shape.
    #[cold]
    pub(crate) fn value(&mut self, operation: Operation, field: Field, value: Value<'_>) {
        let shares_prompt = self.shares_prompt;
        let reader = self.reader.get_or_insert_with(|| {
            let mut reader = Box::new(OpenAi::new(operation, Reported::default()));
            if shares_prompt {
                reader.share_prompt();
            }
            reader
        });
        reader.value(field, value);
    }

    /// The body is in `OpenAI`'s shape.
    pub(crate) fn mark_seen(&mut self) {
        self.seen = true;
    }

    /// All choices are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.shares_prompt = true;
    }

    /// The parser, if the body is in `OpenAI`'s shape.
    #[inline]
    pub(crate) fn reader(&mut self) -> Option<&mut OpenAi> {
        self.reader.as_deref_mut().filter(|_| self.seen)
    }

    /// As [`Foreign::reader`], shared.
    pub(crate) fn as_reader(&self) -> Option<&OpenAi> {
        self.reader.as_deref().filter(|_| self.seen)
    }

    /// Drops the values of the current object, which had the route's own shape or was not JSON.
    pub(crate) fn discard(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.discard();
        }
    }
}
