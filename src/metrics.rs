//! Every Prometheus family.

pub mod host;
