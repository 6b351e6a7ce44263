//! The endpoints: one file a path, with its JSON types and its handler.

pub(super) mod exchange;
pub(super) mod exchanges;
mod machine;
pub(super) mod stats;
mod where_time_went;
