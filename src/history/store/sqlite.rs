//! SQLite: `main.db`, and a file for the exchanges of each day.

mod day_file;
mod expire;
pub(in crate::history) mod journal;
mod machine;
mod main_file;
mod names;
mod open;
pub(in crate::history) mod read;
mod recover;
mod rows;
mod salt;
mod schema;
mod sums;
pub(in crate::history) mod tail;
pub(in crate::history) mod writer;
