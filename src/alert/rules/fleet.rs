//! Rules about several backends behind one address.

use crate::alert::rule::{Category, Evaluated, Rule, Severity};

/// In the order of the file.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "InferometerModelWithoutBackend",
        severity: Severity::Critical,
        category: Category::Backend,
        why: "Five minutes: a restart or a trial is over sooner. A model that was deleted everywhere is listed \
              by no backend that is left out, and stays silent; a listing is looked for in the last hour, as a \
              backend that is down lists nothing.",
        expr: r#"  count by (job, instance, model) (
      max_over_time(ollama_proxy_model_info[1h])
    and on (job, instance, backend)
      ollama_proxy_backend_available == 0
  )
unless on (job, instance, model) (
    ollama_proxy_model_info
  and on (job, instance, backend)
    ollama_proxy_backend_available == 1
)"#,
        clears: None,
        hold: 300,
        summary: "No backend that works has the model {{ $labels.model }}",
        description: "For five minutes each of the {{ $value }} backends of {{ $labels.instance }} that had the model \
                      {{ $labels.model }} has been left out: it is down, failed, or drains. Requests for the model \
                      fail.",
        actions: &["restart_the_backend", "pull_the_model_elsewhere", "end_the_drain"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerBackendEjected",
        severity: Severity::Warning,
        category: Category::Backend,
        why: "Five minutes: an outage ends by itself 30 s after the last failure, once one request has tried \
              the backend. The trial is a part of it, or the alert would begin again with each.",
        expr: r#"max by (job, instance, backend) (ollama_proxy_backend_state{state=~"ejected|half_open"}) == 1"#,
        clears: None,
        hold: 300,
        summary: "Backend {{ $labels.backend }} is left out because its answers fail",
        description: "For five minutes {{ $labels.instance }} has given the backend {{ $labels.backend }} no more than \
                      a trial now and then, since its answers failed. The other backends do its work.",
        actions: &["read_the_backends_log", "keep_the_model_away", "restart_the_backend"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerFleetImbalance",
        severity: Severity::Warning,
        category: Category::Backend,
        why: "Less than 0.6 of Jain's index where more than half of all slots are in use, over a quarter of an \
              hour: of two backends one has three times the other's load, of three one does nearly everything. \
              At little load it is as it should be that the backend with the model in memory does all.",
        expr: r#"  sum by (job, instance) (avg_over_time(ollama_proxy_backend_inflight[15m]) / ollama_proxy_backend_slots) ^ 2
/
  (
    count by (job, instance) (avg_over_time(ollama_proxy_backend_inflight[15m]) / ollama_proxy_backend_slots)
  *
    sum by (job, instance) ((avg_over_time(ollama_proxy_backend_inflight[15m]) / ollama_proxy_backend_slots) ^ 2)
  )
< 0.6
and
  sum by (job, instance) (avg_over_time(ollama_proxy_backend_inflight[15m]) and ollama_proxy_backend_slots)
>
  0.5 * sum by (job, instance) (ollama_proxy_backend_slots)"#,
        clears: None,
        hold: 900,
        summary: "The backends of {{ $labels.instance }} are used unevenly",
        description: "For 15 minutes more than half of the slots behind {{ $labels.instance }} have been in use, and \
                      most of them on few of its backends (balance {{ $value | humanizePercentage }}; 60 % is the \
                      limit). Requests wait that need not.",
        actions: &["load_the_model_elsewhere", "choose_least_busy", "correct_the_slots"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerModelRevisionConflict",
        severity: Severity::Info,
        category: Category::Backend,
        why: "Half an hour: a pull on one backend after another takes as long. A backend without digests is not \
              compared.",
        expr: r#"count by (job, instance, model) (count by (job, instance, model, revision) (ollama_proxy_model_info{revision!=""})) > 1"#,
        clears: None,
        hold: 1800,
        summary: "The backends have different revisions of {{ $labels.model }}",
        description: "For half an hour the backends of {{ $labels.instance }} have had {{ $value }} revisions of the model \
                      {{ $labels.model }}: which one answers depends on the choice of the backend.",
        actions: &["pull_the_model_elsewhere", "rename_the_model", "keep_the_model_away"],
        evaluated: Evaluated::Here,
    },
];
