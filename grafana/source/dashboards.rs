//! The Grafana dashboards, written once and rendered to the JSON files in `grafana/dashboards/`.
//!
//! Promises: a panel states only what is its own (title, description, unit, queries); the grid, the colours, the
//! legends and the variables are the same everywhere because they are written in one place. A test compares the
//! files with what stands here, and `UPDATE_DASHBOARDS=1 cargo test --test it boards::dashboards_are` writes them anew.
//! Left out: ids (Grafana gives them), and anything that is not provisioned from a file.

mod column;
mod energy;
mod gpu;
mod host;
mod layout;
mod model;
mod overview;
pub(crate) mod panel;
mod proxy;
mod query;
mod router;
mod shared;

use serde_json::Value;

/// Every dashboard: the name of its file without `.json`, and its content.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("overview", overview::dashboard()),
        ("model", model::dashboard()),
        ("proxy", proxy::dashboard()),
        ("router", router::dashboard()),
        ("host", host::dashboard()),
        ("gpu", gpu::dashboard()),
        ("energy", energy::dashboard()),
    ]
}
