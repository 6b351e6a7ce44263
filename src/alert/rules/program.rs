//! Rules about the program itself: its metrics, its history and its own work.

use crate::alert::rule::{Category, Evaluated, Rule, Severity};

/// In the order of the file.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "InferometerModelLabelCap",
        severity: Severity::Info,
        category: Category::Proxy,
        why: "Any: from here on models share the label `other` (see --max-models), and nothing tells them \
              apart any more. A quarter of an hour, so that it clears once no such request comes.",
        expr: r#"sum by (job, instance) (increase(ollama_proxy_requests_total{model="other"}[15m])) > 0"#,
        clears: None,
        hold: 0,
        summary: "{{ $labels.instance }} has more models than labels for them",
        description: "In the last 15 minutes {{ $labels.instance }} counted about {{ printf \"%.0f\" $value }} requests \
                      under the model `other`, because the limit of model labels is reached.",
        actions: &["raise_max_models", "restart_the_proxy"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerSeriesDropped",
        severity: Severity::Warning,
        category: Category::Proxy,
        why: "Any: a family has as many series as it may, and what comes new is summed up under `other`.",
        expr: "sum by (job, instance, metric) (increase(ollama_proxy_series_dropped_total[15m])) > 0",
        clears: None,
        hold: 0,
        summary: "{{ $labels.metric }} of {{ $labels.instance }} has reached its limit of series",
        description: "In the last 15 minutes {{ $labels.instance }} counted new label values of {{ $labels.metric }} \
                      under `other`, because the limit of series is reached.",
        actions: &["lower_max_models", "restart_the_proxy"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerCollectorFailing",
        severity: Severity::Warning,
        category: Category::Resource,
        why: "Five minutes: a driver that is updated is back sooner. A collector that has nothing to read on \
              this machine succeeds. The helper has an alert of its own.",
        expr: r#"ollama_proxy_collector_success{collector!="helper"} == 0"#,
        clears: None,
        hold: 300,
        summary: "The collector {{ $labels.collector }} of {{ $labels.instance }} fails",
        description: "For five minutes the collector {{ $labels.collector }} of {{ $labels.instance }} has had no \
                      figures; those it would give are absent.",
        actions: &["read_the_proxys_log", "restart_the_machine"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerHistoryPaused",
        severity: Severity::Warning,
        category: Category::History,
        why: "Two minutes: it is tried again every 30 s, so a disk that was full for a moment is over sooner.",
        expr: "ollama_proxy_history_paused == 1",
        clears: None,
        hold: 120,
        summary: "The history of {{ $labels.instance }} is paused",
        description: "For two minutes {{ $labels.instance }} has not been able to write finished exchanges to its \
                      history. Requests are served as ever; some thousand exchanges wait in memory, the rest is lost \
                      to it.",
        actions: &["make_room", "check_permissions", "give_a_data_directory"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerHistoryDropping",
        severity: Severity::Warning,
        category: Category::History,
        why: "Any: a row that is lost is never found again. A quarter of an hour, so that a short rush is \
              seen.",
        expr: "sum by (job, instance, reason) (increase(ollama_proxy_history_rows_dropped_total[15m])) > 0",
        clears: None,
        hold: 0,
        summary: "The history of {{ $labels.instance }} loses exchanges",
        description: "In the last 15 minutes about {{ printf \"%.0f\" $value }} finished exchanges were lost to the \
                      history of {{ $labels.instance }} ({{ $labels.reason }}). Metrics and the access log have them.",
        actions: &["use_a_faster_disk", "raise_the_size_limit"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerHistoryReplicaBehind",
        severity: Severity::Warning,
        category: Category::History,
        why: "Ten minutes: a restart of PostgreSQL, or a night's maintenance of minutes, is made up for by \
              itself.",
        expr: "time() - ollama_proxy_history_replica_synced_timestamp_seconds > 600",
        clears: None,
        hold: 0,
        summary: "The copy of the history of {{ $labels.instance }} is behind",
        description: "For {{ $value | humanizeDuration }} PostgreSQL has not had everything that {{ $labels.instance \
                      }} keeps. The files have it; it is copied once PostgreSQL takes it.",
        actions: &["mend_postgresql", "renew_the_password"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerHighOverhead",
        severity: Severity::Warning,
        category: Category::Proxy,
        why: "20 ms in the 99th percentile, of at least 100 requests in ten minutes: an ordinary request costs \
              well under a millisecond, and a very long stream a few, so this is a machine without free \
              processors.",
        expr: r#"  histogram_quantile(0.99, sum by (job, instance, le) (rate(ollama_proxy_overhead_seconds_bucket[10m]))) > 0.02
and
  sum by (job, instance) (increase(ollama_proxy_overhead_seconds_count[10m])) >= 100"#,
        clears: None,
        hold: 600,
        summary: "The proxy {{ $labels.instance }} itself costs 1 in 100 requests {{ $value | humanizeDuration }} or more",
        description: "For 99 of 100 requests of the last ten minutes {{ $labels.instance }} itself worked up to {{ \
                      $value | humanizeDuration }} (20 ms is the limit). Clients wait that much longer.",
        actions: &["give_the_proxy_processor_time", "move_the_proxy"],
        evaluated: Evaluated::Here,
    },
];
