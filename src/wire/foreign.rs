//! `OpenAI`'s shape on a route of another dialect: what a body is decides, not the route alone.
//!
//! llama.cpp answers Ollama's `/api/chat` so, and many servers answer `/completions` and `/embeddings` so, where
//! llama.cpp has an API of its own. The route's dialect names `OpenAI`'s values in its own table and hands them on; from
//! the first object that has them on, this reads in its place.

use super::dialect::Dialect;
use super::json::{Value, Visit};
use super::openai::{Field, OpenAi};
use super::reader::Reported;
use super::route::Operation;

/// Reads `OpenAI`'s objects where another dialect's were expected. Nothing is allocated before the first.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    reader: Option<Box<OpenAi>>,
    seen: bool,
    shares_prompt: bool,
}

impl Foreign {
    /// Takes a value that only this shape has.
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

    /// The body is in this shape.
    pub(crate) fn see(&mut self) {
        self.seen = true;
    }

    /// Several choices are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.shares_prompt = true;
    }

    /// The reader, if the body is in this shape.
    #[inline]
    pub(crate) fn reader(&mut self) -> Option<&mut OpenAi> {
        self.reader.as_deref_mut().filter(|_| self.seen)
    }

    /// As [`Foreign::reader`], to be asked only.
    pub(crate) fn as_reader(&self) -> Option<&OpenAi> {
        self.reader.as_deref().filter(|_| self.seen)
    }

    /// The present object was of the route's own shape, or no JSON: forgets what was taken of it.
    pub(crate) fn discard(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.discard();
        }
    }
}
