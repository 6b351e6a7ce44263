//! Shows a running program from outside of it: in a terminal, and as a file to give on.
//!
//! Promises: it asks the dashboard API like any other client, with the credentials that it is given, seldom enough for the
//! limits of one that has none; it shows no address, no prompt and no answer in a file; what is unknown is a dash.
//!
//! Left out: what is asked ([`crate::api`]), and the settings that say where the program is.

mod figures;
mod redaction;
mod saved;
mod screen;
mod snapshot;
mod svg;
mod target;
mod terminal;
mod words;

pub use snapshot::html;
pub use target::{Target, TargetError};
pub use terminal::{once, top};
