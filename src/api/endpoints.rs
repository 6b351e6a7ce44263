//! The endpoints: one file a path, with its JSON types and its handler.

pub(super) mod exchange;
pub(super) mod exchanges;
mod machine;
mod metric;
pub(super) mod series;
pub(super) mod session;
pub(super) mod stats;
pub(super) mod trace;
mod where_time_went;
