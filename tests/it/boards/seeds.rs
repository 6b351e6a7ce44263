//! Queries and alerts that other programs' documents tell people to use: whoever brings them finds them alive.
//!
//! Promises: they stand here as they stand there. Left out: queries of what is not measured here (costs, hits of an
//! answer cache).

use super::Part;
use super::panels::{self, Api};

/// The dashboard integration guide of the core document. It brings queries only, no alert and no recording rule.
const CORE: &[&str] = &[
    "ollama_proxy_gpu_active_residency_percent",
    "ollama_proxy_memory_usage_bytes / 1024 / 1024",
    "sum(ollama_proxy_active_requests)",
    "rate(ollama_proxy_requests_total[1m])",
    "rate(ollama_proxy_request_duration_seconds_sum[1m]) /\nrate(ollama_proxy_request_duration_seconds_count[1m])",
    "rate(ollama_proxy_generated_tokens_total[1m])",
];

/// The names of the machine in the same guide.
pub(super) const CORE_MACHINE: &[&str] = &[
    "ollama_proxy_cpu_usage_percent",
    "ollama_proxy_memory_usage_bytes",
    "ollama_proxy_gpu_active_residency_percent",
    "ollama_proxy_gpu_power_milliwatts",
    "ollama_proxy_cpu_power_milliwatts",
    "ollama_proxy_cpu_temperature_celsius",
    "ollama_proxy_memory_pressure_percent",
    "ollama_proxy_disk_read_bytes_per_second",
    "ollama_proxy_disk_write_bytes_per_second",
    "ollama_proxy_disk_iops",
];

/// infermesh's dashboards.
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
];

/// infermesh's alerts. A healthy machine answers them with nothing, so each is asked what it compares with its
/// threshold; and as nobody has its model, of all models.
const INFERMESH_ALERTS: &[&str] = &[
    r#"avg(infermesh_model_queue_depth{model="gpt-7b"}) > 50"#,
    "(DCGM_FI_DEV_FB_USED / DCGM_FI_DEV_FB_TOTAL) > 0.9",
    "histogram_quantile(0.95, rate(infermesh_inference_latency_bucket[5m])) > 2000",
    "max(infermesh_node_healthy) by (node) == 0",
];

/// infermesh's labels, "normalized across all metrics", but for those of GPUs and tenants.
const INFERMESH_LABELS: &[&str] = &["model", "revision", "quant", "runtime", "node", "zone"];

/// What has all of them, where the backend lists its models with what they are.
const LABELLED: &[&str] =
    &["infermesh_inferences_total", "infermesh_tokens_generated_total", "infermesh_inference_latency_bucket"];

/// FluxAI: requests and latency.
const FLUXAI: &[&str] = &[
    "sum(rate(fluxai_requests_total[5m]))",
    "histogram_quantile(0.95, sum(rate(fluxai_request_duration_seconds_bucket[5m])) by (le))",
];

/// What OpenTelemetry's generative AI dashboards ask.
const OPENTELEMETRY: &[&str] = &[
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model, gen_ai_operation_name) (rate(gen_ai_server_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model, gen_ai_operation_name) (rate(gen_ai_client_operation_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_server_time_per_output_token_seconds_bucket[5m])))",
    "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum[5m]))",
];

/// What the second of these documents asks of GPUs, to the letter: four queries, and the alert of which it makes one.
pub(super) const OF_GPUS: &[&str] = &[
    r#"avg(DCGM_FI_DEV_GPU_UTIL{gpu_uuid!=""}) by (gpu_uuid, node)"#,
    "(avg(DCGM_FI_DEV_FB_USED{gpu_uuid!=\"\"}) by (gpu_uuid))\n/\n(avg(DCGM_FI_DEV_FB_TOTAL{gpu_uuid!=\"\"}) by (gpu_uuid))",
    "sum(rate(DCGM_FI_DEV_ECC_DBE_AGG_TOTAL[5m])) by (gpu_uuid)",
    "(DCGM_FI_DEV_FB_USED / DCGM_FI_DEV_FB_TOTAL) > 0.9",
];

/// The dashboard that NVIDIA ships with its exporter (grafana.com number 12239), with its variables at "All". Its two
/// panels of profiling metrics (`DCGM_FI_PROF_*`) have no answer here: NVML does not have these.
pub(super) const DCGM_DASHBOARD: &[&str] = &[
    r#"max(DCGM_FI_DEV_GPU_TEMP{Hostname=~".*", gpu=~".*"}) by (Hostname, gpu, uuid)"#,
    r#"avg(DCGM_FI_DEV_GPU_TEMP{Hostname=~".*", gpu=~".*"})"#,
    r#"max(DCGM_FI_DEV_POWER_USAGE{Hostname=~".*", gpu=~".*"}) by (Hostname, gpu, uuid)"#,
    r#"sum(max(DCGM_FI_DEV_POWER_USAGE{Hostname=~".*", gpu=~".*"}) by (gpu))"#,
    r#"max(DCGM_FI_DEV_SM_CLOCK{Hostname=~".*", gpu=~".*"} * 1000000) by (Hostname, UUID, gpu)"#,
    r#"max(DCGM_FI_DEV_FB_USED{Hostname=~".*", gpu=~".*"}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)"#,
    // Its variables: label_values(DCGM_FI_DEV_FB_FREE, Hostname), and of gpu.
    "count by (Hostname, gpu) (DCGM_FI_DEV_FB_FREE)",
];

/// What its exporter exposes unless told otherwise, but for what NVML does not tell (bytes on links, licences), and the
/// bytes on PCIe, which are rates here and counters there.
pub(super) const DCGM_DEFAULTS: &[&str] = &[
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_MEM_CLOCK",
    "DCGM_FI_DEV_MEMORY_TEMP",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "DCGM_FI_DEV_ENC_UTIL",
    "DCGM_FI_DEV_DEC_UTIL",
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
    "DCGM_FI_DEV_ROW_REMAP_FAILURE",
];

/// Those about these parts that find nothing, or nothing with the labels that they ask for, a line each.
pub(super) fn without_data(api: &Api, parts: &[Part]) -> Vec<String> {
    let alerts = INFERMESH_ALERTS.iter().map(|alert| measured(alert));
    let queries = [CORE, INFERMESH, FLUXAI, OPENTELEMETRY].concat().into_iter().map(str::to_owned).chain(alerts);
    let wanted: Vec<_> = queries.filter(|query| parts.contains(&about(query))).collect();
    let mut lines = panels::queries_without_labels(api, &wanted, &[]);
    if parts.contains(&Part::Traffic) {
        lines.extend(panels::queries_without_labels(api, LABELLED, INFERMESH_LABELS));
    }
    lines
}

/// What an alert compares with its threshold.
fn measured(alert: &str) -> String {
    let (measured, _) = alert.rsplit_once([' ']).expect("a threshold");
    measured.trim_end_matches(['=', '>', ' ']).replace(r#"{model="gpt-7b"}"#, "")
}

fn about(query: &str) -> Part {
    match query {
        _ if query.contains("DCGM_") => Part::Cards,
        // The mean over all cards is absent where one of them does not tell, as one of the played cards.
        _ if query.contains("proxy_gpu_") => Part::Machine,
        _ => Part::Traffic,
    }
}
