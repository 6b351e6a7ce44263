//! Rules about the machine underneath.

use crate::alert::rule::{Category, Evaluated, Rule, Severity};

/// In the order of the file.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "InferometerMemoryPressure",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "A fifth of the time for five minutes: some task waits for memory so often that answers slow \
              down. Loading a model makes everybody wait for some seconds, which stays silent. Linux only \
              (PSI).",
        expr: r#"rate(ollama_proxy_pressure_stalled_seconds_total{resource="memory",kind="some"}[2m]) > 0.2"#,
        clears: None,
        hold: 300,
        summary: "Tasks on {{ $labels.instance }} wait for memory",
        description: "For five minutes some task on the machine of {{ $labels.instance }} has been waiting for memory \
                      {{ $value | humanizePercentage }} of the time (20 % is the limit).",
        actions: &["load_fewer_models", "lower_the_context", "limit_other_programs"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerMemoryNearlyFull",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "95 %: what is left is less than one more model's context needs, and next comes the system's \
              killer, whose choice is the largest process: the runner. Five minutes, because loading takes \
              memory that is given back.",
        expr: "ollama_proxy_memory_usage_bytes / ollama_proxy_memory_total_bytes > 0.95",
        clears: Some("0.93"),
        hold: 300,
        summary: "The memory of {{ $labels.instance }} is nearly full",
        description: "For five minutes {{ $value | humanizePercentage }} of the memory of the machine of {{ \
                      $labels.instance }} has been in use (95 % is the limit).",
        actions: &["load_fewer_models", "lower_the_context", "limit_other_programs"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerProcessorHot",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "90 °C for ten minutes: processors brake between 90 and 105 °C, and a burst of some minutes is \
              what fans are for.",
        expr: "ollama_proxy_cpu_temperature_celsius > 90",
        clears: Some("87"),
        hold: 600,
        summary: "The processor of {{ $labels.instance }} is hot",
        description: "For ten minutes the processor of the machine of {{ $labels.instance }} has been above 90 °C; it \
                      is {{ $value }} °C now.",
        actions: &["clean_the_fans", "use_fewer_threads"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerThermalPressure",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "Heavy and above: macOS has taken so much speed away that answers are slower. Moderate is the \
              everyday of a laptop without fans.",
        expr: r#"max by (job, instance) (ollama_proxy_thermal_pressure{level=~"heavy|trapping|sleeping"}) == 1"#,
        clears: None,
        hold: 300,
        summary: "{{ $labels.instance }} brakes because of heat",
        description: "For five minutes the machine of {{ $labels.instance }} has been braking because of heat.",
        actions: &["give_it_air", "use_a_smaller_model"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerDiskNearlyFull",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "5 %: a model of some tens of gigabytes no longer fits, and a pull that fills the disk takes logs \
              and databases with it. Ten minutes, because a pull needs room for a while that a cleanup gives \
              back.",
        expr: "ollama_proxy_filesystem_available_bytes / ollama_proxy_filesystem_size_bytes < 0.05",
        clears: Some("0.06"),
        hold: 600,
        summary: "{{ $labels.mountpoint }} of {{ $labels.instance }} is nearly full",
        description: "For ten minutes only {{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on the \
                      machine of {{ $labels.instance }} has been available (5 % is the limit).",
        actions: &["remove_models", "move_the_models"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerHelperDown",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "Five minutes: a service manager has started it again by then. Where no helper is configured \
              there is no series.",
        expr: "ollama_proxy_helper_up == 0",
        clears: None,
        hold: 300,
        summary: "The helper of {{ $labels.instance }} does not answer",
        description: "For five minutes the proxy {{ $labels.instance }} has had no fresh facts from the privileged \
                      helper. Power and some temperatures are missing; traffic is not affected.",
        actions: &["read_the_helpers_log", "correct_the_helpers_address"],
        evaluated: Evaluated::Here,
    },
];
