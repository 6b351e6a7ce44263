//! inferometer: a transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers.

pub mod admin;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exchange;
pub mod history;
pub mod host;
pub mod logs;
pub mod metrics;
pub mod proxy;
pub mod wire;
