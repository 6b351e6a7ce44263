//! The files of the history. SQL stands in here alone.

pub(super) mod directory;
pub(super) mod error;
mod lists;
pub(super) mod mirrored;
pub(super) mod postgres;
pub(super) mod sqlite;
mod terms;
