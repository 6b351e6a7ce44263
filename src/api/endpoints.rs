//! The endpoints: one file a path, with its JSON types and its handler.

mod machine;
pub(super) mod stats;
