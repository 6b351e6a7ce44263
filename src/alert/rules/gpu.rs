//! Rules about GPUs.

use crate::alert::rule::{Category, Evaluated, Rule, Severity};

/// In the order of the file.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "InferometerGpuLost",
        severity: Severity::Critical,
        category: Category::Gpu,
        why: "One minute: a card that is reset by hand is back sooner. A card that was never seen has no \
              series; one that was taken out on purpose clears with the next start of the proxy.",
        expr: "ollama_proxy_gpu_up == 0",
        clears: None,
        hold: 60,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} is lost",
        description: "The GPU {{ $labels.gpu }} ({{ $labels.gpu_name }}, {{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has not answered for a minute: it fell off the bus or needs a reset. What \
                      ran on it has failed.",
        actions: &["reset_the_gpu", "restart_the_machine", "check_power_and_slot"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuXidCritical",
        severity: Severity::Critical,
        category: Category::Gpu,
        why: "At once, and for ten minutes after the last: the bus and the card's own processors do not \
              recover by themselves. Classes are counted from 0, so that the first error shows.",
        expr: r#"sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_xid_errors_total{class=~"bus|firmware"}[10m])) > 0"#,
        clears: None,
        hold: 0,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} reports errors of its bus or firmware",
        description: "In the last ten minutes the driver has reported XIDs of the bus or of the firmware for the GPU \
                      {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ $labels.instance }}. It needs a \
                      reset, or has fallen off the bus.",
        actions: &["move_the_work", "reset_the_gpu", "update_the_driver"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuXidHardware",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "As above, for what the card survives: memory that is repaired, links, and what has no class.",
        expr: r#"sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_xid_errors_total{class=~"memory|nvlink|other"}[10m])) > 0"#,
        clears: None,
        hold: 0,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} reports errors of its hardware",
        description: "In the last ten minutes the driver has reported XIDs of memory, of NVLink or of another kind for \
                      the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ $labels.instance }}.",
        actions: &["reset_the_gpu", "replace_the_gpu"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuXidApplication",
        severity: Severity::Info,
        category: Category::Gpu,
        why: "Information only: a program read where it must not, or was ended in the middle. Often a fault of \
              the inference server; several in a day with different programs point at the card.",
        expr: r#"sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_xid_errors_total{class=~"application"}[10m])) > 0"#,
        clears: None,
        hold: 0,
        summary: "A program failed on GPU {{ $labels.gpu }} of {{ $labels.instance }}",
        description: "In the last ten minutes the driver has reported XIDs of programs for the GPU {{ $labels.gpu }} \
                      ({{ $labels.gpu_uuid }}) on the machine of {{ $labels.instance }}. The card is well.",
        actions: &["update_the_server", "test_the_gpus_memory"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuEccUncorrected",
        severity: Severity::Critical,
        category: Category::Gpu,
        why: "At once: each one is data that is lost, and the program that used it ends or, worse, goes on \
              with it.",
        expr: r#"sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_ecc_errors_since_load_total{severity="uncorrected"}[15m])) > 0"#,
        clears: None,
        hold: 0,
        summary: "The memory of GPU {{ $labels.gpu }} of {{ $labels.instance }} lost data",
        description: "In the last fifteen minutes the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of \
                      {{ $labels.instance }} has found errors of its memory that it could not correct.",
        actions: &["restart_the_backend", "reset_the_gpu", "replace_the_gpu"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuEccCorrected",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "More than 100 in an hour: single bits flip now and then; a hundred in an hour are one cell that \
              dies.",
        expr: r#"sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_ecc_errors_since_load_total{severity="corrected"}[1h])) > 100"#,
        clears: None,
        hold: 0,
        summary: "The memory of GPU {{ $labels.gpu }} of {{ $labels.instance }} is corrected often",
        description: "In the last hour the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has corrected more than 100 errors of its memory.",
        actions: &["reset_the_gpu", "replace_the_gpu"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuRowRemapPending",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "Five minutes, so that a card that is being reset is silent. Rows (Ampere and newer) or pages \
              (before).",
        expr: "ollama_proxy_gpu_row_remap_pending == 1 or ollama_proxy_gpu_page_retirement_pending == 1",
        clears: None,
        hold: 300,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} waits for a reset to repair its memory",
        description: "For five minutes the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has had a part of its memory that is to be replaced at the next reset.",
        actions: &["reset_the_gpu"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuRowRemapFailed",
        severity: Severity::Critical,
        category: Category::Gpu,
        why: "At once: there is no spare row left, and it does not become better.",
        expr: "ollama_proxy_gpu_row_remap_failed == 1",
        clears: None,
        hold: 0,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} cannot repair its memory",
        description: "The GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ $labels.instance }} \
                      could not replace a row of its memory: no spare one is left.",
        actions: &["replace_the_gpu"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuThermalThrottling",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "A fifth of five minutes, for five more: a card at its limit brakes for moments, which costs \
              little.",
        expr: r#"max by (job, instance, gpu, gpu_uuid, gpu_name, node) (avg_over_time(ollama_proxy_gpu_throttled{reason=~"software_thermal|hardware_thermal"}[5m])) > 0.2"#,
        clears: None,
        hold: 300,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} brakes because of heat",
        description: "For five minutes the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has been held down by heat more than a fifth of the time.",
        actions: &["clean_the_fans", "lower_the_power_limit"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuPowerBrake",
        severity: Severity::Critical,
        category: Category::Gpu,
        why: "The power supply, or the hardware's own protection, halves the clocks: never part of normal \
              work.",
        expr: r#"max by (job, instance, gpu, gpu_uuid, gpu_name, node) (avg_over_time(ollama_proxy_gpu_throttled{reason=~"power_brake|hardware_slowdown"}[5m])) > 0.2"#,
        clears: None,
        hold: 300,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} is braked by its power supply or its protection",
        description: "For five minutes the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has run at half its clocks or less more than a fifth of the time.",
        actions: &["repair_the_power_supply", "lower_the_power_limit"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuPowerCapped",
        severity: Severity::Info,
        category: Category::Gpu,
        why: "Information only, after half an hour: at its power limit a card does what it was bought for. It \
              is worth knowing where tokens come more slowly than expected.",
        expr: r#"max by (job, instance, gpu, gpu_uuid, gpu_name, node) (avg_over_time(ollama_proxy_gpu_throttled{reason="power_cap"}[5m])) > 0.9"#,
        clears: None,
        hold: 1800,
        summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} is at its power limit",
        description: "For half an hour the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ \
                      $labels.instance }} has been held down by its power limit.",
        actions: &["raise_the_power_limit"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuMemoryNearlyFull",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "95 % of what programs can get, for ten minutes: what is left is less than a longer context \
              needs, and then a load fails or layers go to the processor. The rule of others \
              (`DCGM_FI_DEV_FB_USED / DCGM_FI_DEV_FB_TOTAL > 0.9`) works here unmodified, but leaves out what \
              the driver reserves, and fires for every server that takes its memory at its start. A server \
              that does so by design (vLLM) wants a silence for this one.",
        expr: r#"  ollama_proxy_gpu_memory_used_bytes / (ollama_proxy_gpu_memory_total_bytes - ollama_proxy_gpu_memory_reserved_bytes)
> 0.95
or
  ollama_proxy_gpu_memory_used_bytes / ollama_proxy_gpu_memory_total_bytes > 0.95"#,
        clears: None,
        hold: 600,
        summary: "The memory of GPU {{ $labels.gpu }} of {{ $labels.instance }} is nearly full",
        description: "For ten minutes {{ $value | humanizePercentage }} of the memory that programs can get of the GPU \
                      {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine of {{ $labels.instance }} has been in \
                      use (95 % is the limit).",
        actions: &["use_fewer_models", "lower_the_context", "end_other_programs"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuNvLinkErrors",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "Ten minutes with errors in each window: a link that is trained anew has some once.",
        expr: "sum by (job, instance, gpu, gpu_uuid, gpu_name, node) (increase(ollama_proxy_gpu_nvlink_errors_total[5m])) > 0",
        clears: None,
        hold: 600,
        summary: "The NVLinks of GPU {{ $labels.gpu }} of {{ $labels.instance }} have errors",
        description: "For ten minutes the NVLinks of the GPU {{ $labels.gpu }} ({{ $labels.gpu_uuid }}) on the machine \
                      of {{ $labels.instance }} have had errors.",
        actions: &["reseat_the_bridge"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGpuCollectorStale",
        severity: Severity::Warning,
        category: Category::Gpu,
        why: "Two minutes without a good reading, where one comes every second: the driver hangs, or was \
              replaced under the running program. What the dashboards show of GPUs then is nothing at all. A \
              machine without a driver reads well. The second part is a driver that hung at the very first \
              reading, when there was no success yet.",
        expr: r#"  time() - ollama_proxy_collector_last_success_timestamp_seconds{collector=~"nvidia|amd"} > 120
or
  ollama_proxy_collector_duration_seconds{collector=~"nvidia|amd"} > 120"#,
        clears: None,
        hold: 0,
        summary: "The GPUs of {{ $labels.instance }} have not been read for two minutes",
        description: "The proxy {{ $labels.instance }} has not been able to read {{ $labels.collector }} for two \
                      minutes: the driver hangs, or its library does not fit it. Traffic is not affected.",
        actions: &["restart_the_machine", "load_the_driver_again"],
        evaluated: Evaluated::Here,
    },
];
