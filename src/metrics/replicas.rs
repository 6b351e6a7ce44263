//! What a Prometheus is asked for that scrapes several replicas of this program.

/// Of each `instance` by `what`: `requests` since its start, those `in_flight`, and that it is `up`.
pub const QUERY: &str = r#"sum by (instance, what) (
  label_replace(ollama_proxy_requests_total, "what", "requests", "", "")
or
  label_replace(ollama_proxy_exchanges_in_phase, "what", "in_flight", "", "")
or
  label_replace(ollama_proxy_build_info, "what", "up", "", "")
)"#;
