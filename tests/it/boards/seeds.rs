//! Queries that other programs' documents tell people to use: whoever brings such a dashboard finds it alive.
//!
//! Promises: the queries stand here as they stand there. Left out: queries of what is not measured here (costs, hits
//! of an answer cache) and, as a healthy machine answers them with nothing, the comparisons of alerts: each such alert
//! is asked without its threshold.

use super::panels::{self, Api};

/// The dashboard integration guide of the core document.
const CORE: &[&str] = &[
    "ollama_proxy_gpu_active_residency_percent",
    "ollama_proxy_memory_usage_bytes / 1024 / 1024",
    "sum(ollama_proxy_active_requests)",
    "rate(ollama_proxy_requests_total[1m])",
    "rate(ollama_proxy_request_duration_seconds_sum[1m]) /\nrate(ollama_proxy_request_duration_seconds_count[1m])",
    "rate(ollama_proxy_generated_tokens_total[1m])",
];

/// infermesh: dashboards, then alerts. The alert on one model is asked of all.
const INFERMESH: &[&str] = &[
    "sum(rate(infermesh_inferences_total[1m])) by (model, revision)",
    "sum(rate(infermesh_tokens_generated_total[30s])) by (model, revision)",
    "avg(infermesh_model_queue_depth) by (model, node)",
    r#"avg(DCGM_FI_DEV_GPU_UTIL{gpu_uuid!=""}) by (gpu_uuid, node)"#,
    "(avg(DCGM_FI_DEV_FB_USED{gpu_uuid!=\"\"}) by (gpu_uuid))\n/\n(avg(DCGM_FI_DEV_FB_TOTAL{gpu_uuid!=\"\"}) by (gpu_uuid))",
    "histogram_quantile(0.95, sum(rate(infermesh_inference_latency_bucket[5m])) by (le, model))",
    "count by (target_node) (rate(infermesh_router_target_chosen_total[1m]))",
    "sum(rate(infermesh_requests_rejected_total[5m])) by (reason, model)",
    "max(infermesh_node_healthy) by (node)",
    "sum(rate(DCGM_FI_DEV_ECC_DBE_AGG_TOTAL[5m])) by (gpu_uuid)",
    "avg(infermesh_model_queue_depth)",
    "(DCGM_FI_DEV_FB_USED / DCGM_FI_DEV_FB_TOTAL)",
    "histogram_quantile(0.95, rate(infermesh_inference_latency_bucket[5m]))",
];

/// FluxAI: requests and latency.
const FLUXAI: &[&str] = &[
    "sum(rate(fluxai_requests_total[5m]))",
    "histogram_quantile(0.95, sum(rate(fluxai_request_duration_seconds_bucket[5m])) by (le))",
];

/// What OpenTelemetry's generative AI dashboards ask.
const OPENTELEMETRY: &[&str] = &[
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model, gen_ai_operation_name) (rate(gen_ai_server_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_server_time_per_output_token_seconds_bucket[5m])))",
    "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum[5m]))",
];

/// The queries that find nothing, a line each.
pub(super) fn without_data(api: &Api) -> Vec<String> {
    [CORE, INFERMESH, FLUXAI, OPENTELEMETRY]
        .iter()
        .flat_map(|queries| panels::queries_without_data(api, queries))
        .collect()
}
