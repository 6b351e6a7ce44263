//! SQLite: `main.db`, and a file for the exchanges of each day.

pub(in crate::history) mod backup;
pub(in crate::history) mod check;
mod day_file;
mod expire;
pub(in crate::history) mod forget;
pub(in crate::history) mod journal;
mod machine;
mod main_file;
mod names;
mod open;
pub(in crate::history) mod read;
mod recover;
mod rows;
mod salt;
pub(in crate::history) mod scan;
mod schema;
mod settle;
mod sums;
pub(in crate::history) mod tail;
pub(in crate::history) mod writer;
