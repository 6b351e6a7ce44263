//! The endpoints: one file a path, with its JSON types and its handler.

pub(super) mod alerts;
pub(super) mod audit;
mod backends;
pub(super) mod cache;
pub(super) mod compat;
pub(super) mod config;
pub(super) mod errors;
pub(super) mod exchange;
pub(super) mod exchanges;
pub(super) mod health;
pub(super) mod in_flight;
pub(super) mod jobs;
pub(super) mod logs;
mod machine;
mod metric;
pub(super) mod metrics;
pub(super) mod models;
pub(super) mod resources;
pub(super) mod security;
pub(super) mod series;
pub(super) mod session;
pub(super) mod stats;
pub(super) mod stop;
pub(super) mod trace;
mod where_time_went;
pub(super) mod workers;
pub(super) mod ws;
