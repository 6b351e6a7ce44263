//! Bytes to events: what inference servers say on the wire.
//!
//! Pure: no time, no I/O, no allocation for a plain chunk, at most 64 KiB a stream; a coded body adds its window, as far
//! as the [`budget`] of its worker grants it. Parsing never fails; it yields facts ([`event::Event`]) and [`event::Defect`]s. Bytes may be split
//! anywhere and lines may be of any length.
//!
//! The way of a byte: [`reader`] decodes it where it is coded and hands it to `framing`, which finds where a stream
//! element (a line, an SSE event, a whole value) begins and ends; inside an element `json` picks out the few values
//! that the dialect asked for; at the element's end the dialect says what they mean. A new dialect is one file that
//! implements `dialect::Dialect`, one variant in [`reader`], and its paths in [`route`].

mod anthropic;
pub mod budget;
mod coding;
mod counts;
mod dialect;
pub mod event;
pub mod facts;
mod foreign;
mod framing;
mod json;
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
