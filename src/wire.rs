//! Bytes to events: what inference servers say on the wire.
//!
//! Pure: no time, no I/O, no allocation for a plain chunk, at most 64 KiB a stream. Parsing never fails; it yields
//! facts ([`event::Event`]) and [`event::Defect`]s. Bytes may be split anywhere and lines may be of any length.

pub mod event;
pub mod reader;
pub mod request;
pub mod route;
