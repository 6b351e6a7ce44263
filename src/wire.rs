//! Parses what inference servers send, from bytes to events.
//!
//! Pure: no time, no I/O, no allocation for a plain chunk, at most 64 KiB per stream; a coded body adds its window,
//! within the [`budget`] of its worker. Parsing never fails; it yields facts ([`event::Event`]) and [`event::Defect`]s.
//! Bytes may be split anywhere, and lines may be of any length.
//!
//! The path of a byte: [`reader`] decodes it if it is coded and passes it to `framing`, which finds where a stream
//! element (a line, an SSE event, a whole value) begins and ends; within an element `json` extracts the few values that
//! the dialect wants; at the element's end the dialect turns them into events. A new dialect is one file that
//! implements `dialect::DialectParser`, one variant in [`reader`], and its paths in [`route`].

pub mod answer_ids;
mod anthropic;
pub mod budget;
mod coding;
pub mod conversation;
mod counts;
mod dialect;
pub mod event;
pub mod facts;
mod foreign;
pub mod form;
mod framing;
mod head;
mod json;
pub mod listing;
mod llamacpp;
mod lmstudio;
mod ollama;
mod openai;
pub mod reader;
pub mod request;
mod responses;
pub mod route;
mod sglang;
pub(crate) mod spelling;
#[cfg(test)]
mod testing;
mod tgi;
mod transcription;
mod units;
