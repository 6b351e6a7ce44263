//! inferometer: a transparent, Prometheus-exporting reverse proxy for Ollama-style inference servers.

pub mod backend;
pub mod clock;
pub mod exchange;
pub mod metrics;
pub mod wire;
