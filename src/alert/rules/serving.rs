//! Rules about the backends, their models and what clients get.

use crate::alert::rule::{Category, Evaluated, Rule, Severity};

/// In the order of the file.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "InferometerProxyDown",
        severity: Severity::Critical,
        category: Category::Proxy,
        why: "One minute: an update or a restart is over sooner. The job is the one of the shipped \
              prometheus.yml: name yours here if it has another name.",
        expr: r#"up{job="ollama_proxy"} == 0"#,
        clears: None,
        hold: 60,
        summary: "The proxy {{ $labels.instance }} does not answer Prometheus",
        description: "For a minute Prometheus has had no figures from {{ $labels.instance }}. Either the proxy is \
                      gone, and with it the way to the models, or only its second listener cannot be reached.",
        actions: &["start_the_proxy", "correct_the_scrape_target"],
        evaluated: Evaluated::ByPrometheus("A program that does not answer cannot say so."),
    },
    Rule {
        name: "InferometerBackendDown",
        severity: Severity::Critical,
        category: Category::Backend,
        why: "One minute: a backend that is restarted by hand or updated is back sooner, and the proxy asks \
              often enough that one lost probe cannot fill it. A proxy that has not probed yet exposes nothing \
              and is silent.",
        expr: "ollama_proxy_backend_up == 0",
        clears: None,
        hold: 60,
        summary: "Backend {{ $labels.backend }} does not answer",
        description: "The proxy {{ $labels.instance }} has had no answer from the backend {{ $labels.backend }} for a \
                      minute. Clients get a 502 or 504 from the proxy.",
        actions: &["start_the_backend", "correct_the_address", "restart_the_backend"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerErrorRate",
        severity: Severity::Warning,
        category: Category::Backend,
        why: "More than 5 % of at least 20 requests in ten minutes, for a minute: one mishap among twenty \
              stays silent, two do not. Ten minutes so that a machine with two requests a minute is watched as \
              well. The minimum stands on the divisor: without traffic there is no division, hence never 0/0. \
              Cancellations and answers below 500 are no errors.",
        expr: r#"  sum by (job, instance, backend) (increase(ollama_proxy_requests_failed_total[10m]))
/
  (sum by (job, instance, backend) (increase(ollama_proxy_requests_ended_total[10m])) >= 20)
> 0.05"#,
        clears: None,
        hold: 60,
        summary: "{{ $value | humanizePercentage }} of the requests to {{ $labels.backend }} fail",
        description: "Over the last ten minutes {{ $value | humanizePercentage }} of the requests through {{ \
                      $labels.instance }} to the backend {{ $labels.backend }} ended in an error (5 % is the limit).",
        actions: &["run_the_model_by_hand", "read_the_backends_log", "correct_the_client"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerGenerationWithoutTokens",
        severity: Severity::Warning,
        category: Category::Backend,
        why: "Ten minutes: Ollama gives up a load that makes no progress after five (OLLAMA_LOAD_TIMEOUT), and \
              a long prompt on a CPU takes minutes more, all without a token. Two minutes are looked at \
              together and half of them must be busy, because a client that gives up and tries again lets the \
              gauge drop to 0 in between. Whole answers have no chunks, so tokens that were counted at their \
              end silence it too. `unless` also holds where a model has no chunk or token series yet.",
        expr: r#"  avg_over_time(ollama_proxy_active_generations[2m]) >= 0.5
unless on (job, instance, backend, model) (
    sum by (job, instance, backend, model) (increase(ollama_proxy_stream_chunks_total[2m])) > 0
  or
    sum by (job, instance, backend, model) (increase(ollama_proxy_generated_tokens_total[2m])) > 0
)"#,
        clears: None,
        hold: 600,
        summary: "{{ $labels.model }} on {{ $labels.backend }} generates without tokens",
        description: "For ten minutes the model {{ $labels.model }} has been generating on the backend {{ \
                      $labels.backend }} (seen by {{ $labels.instance }}) and not one token has come.",
        actions: &["stop_the_client", "stop_the_model", "restart_the_backend"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerSlowFirstToken",
        severity: Severity::Warning,
        category: Category::Latency,
        why: "Ten seconds: after that people turn away. The p95 of at least 10 streams in ten minutes, so one \
              slow prompt is no alarm; five minutes more, so a burst that drains is none. A cold load is not \
              counted where the backend reports it (InferometerColdStarts watches those); where it does not, \
              the first token stands for it.",
        expr: r#"(
    histogram_quantile(0.95, sum by (job, instance, backend, model, le) (rate(ollama_proxy_time_to_first_token_excluding_load_seconds_bucket[10m]))) >= 0
  or
    histogram_quantile(0.95, sum by (job, instance, backend, model, le) (rate(ollama_proxy_time_to_first_token_seconds_bucket[10m])))
) > 10
and
  sum by (job, instance, backend, model) (increase(ollama_proxy_time_to_first_token_seconds_count[10m])) >= 10"#,
        clears: None,
        hold: 300,
        summary: "{{ $labels.model }} on {{ $labels.backend }} takes {{ $value | humanizeDuration }} to its first \
                  token",
        description: "Over the last ten minutes one stream in twenty of {{ $labels.model }} on {{ $labels.backend }} \
                      (seen by {{ $labels.instance }}) waited {{ $value | humanizeDuration }} or longer for its first \
                      token (10 s is the limit).",
        actions: &["raise_parallel_requests", "shorten_the_prompts", "add_a_backend"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerSlowDecode",
        severity: Severity::Warning,
        category: Category::Latency,
        why: "Half of its median of a week: longer contexts and a second stream cost less, a model that slid \
              from the GPU to the CPU costs far more. At least 5 answers in 15 minutes, and a past of 360 \
              samples, one a minute: six hours in use. The past holds the present too, but 15 minutes do not \
              move the median of six hours.",
        expr: r#"  backend_model:ollama_proxy_tokens_per_second:mean15m < 0.5 * backend_model:ollama_proxy_tokens_per_second:mean15m_median1w
and
  sum by (job, instance, backend, model) (increase(ollama_proxy_tokens_per_second_count[15m])) >= 5
and
  count_over_time(backend_model:ollama_proxy_tokens_per_second:mean15m[1w]) >= 360"#,
        clears: None,
        hold: 900,
        summary: "{{ $labels.model }} on {{ $labels.backend }} writes at less than half of its usual speed",
        description: "{{ $labels.model }} on {{ $labels.backend }} (seen by {{ $labels.instance }}) writes {{ $value | \
                      humanize }} tokens a second, less than half of its median over the last week.",
        actions: &["free_gpu_memory", "cool_the_gpu", "add_a_backend"],
        evaluated: Evaluated::ByPrometheus("It compares with a week of samples, of which the program keeps an hour."),
    },
    Rule {
        name: "InferometerStalls",
        severity: Severity::Warning,
        category: Category::Latency,
        why: "One stall (a gap above the proxy's stall threshold, 5 s unless configured) in ten of at least 10 \
              streams. Single stalls are a swap or a burst; a tenth of the streams is what people notice.",
        expr: r#"  sum by (job, instance, backend, model) (increase(ollama_proxy_stream_stalls_total[10m]))
/
  (sum by (job, instance, backend, model) (increase(ollama_proxy_time_to_first_token_seconds_count[10m])) >= 10)
> 0.1"#,
        clears: None,
        hold: 300,
        summary: "Streams of {{ $labels.model }} on {{ $labels.backend }} stall",
        description: "Over the last ten minutes there were {{ printf \"%.1f\" $value }} stalls a stream of {{ \
                      $labels.model }} on {{ $labels.backend }} (seen by {{ $labels.instance }}; 0.1 is the limit).",
        actions: &["lower_the_batch_size", "load_fewer_models", "check_the_network"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerCancellations",
        severity: Severity::Info,
        category: Category::Client,
        why: "Half of at least 20 requests in half an hour, for ten minutes. Editors that complete while one \
              types cancel most of what they ask, so this is for information; elsewhere it means that people \
              give up waiting.",
        expr: r#"  sum by (job, instance, backend, model) (increase(ollama_proxy_client_cancellations_total[30m]))
/
  (sum by (job, instance, backend, model) (increase(ollama_proxy_requests_ended_total[30m])) >= 20)
> 0.5"#,
        clears: None,
        hold: 600,
        summary: "{{ $value | humanizePercentage }} of the requests for {{ $labels.model }} on {{ $labels.backend \
                  }} are cancelled",
        description: "Over the last half hour the clients of {{ $labels.instance }} left {{ $value | \
                      humanizePercentage }} of the requests for {{ $labels.model }} on {{ $labels.backend }} before \
                      the end (50 % is the limit).",
        actions: &["raise_the_clients_timeout", "look_at_slow_first_tokens"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerTruncatedStreams",
        severity: Severity::Warning,
        category: Category::Backend,
        why: "More than two in ten minutes: an answer that just ends is always a fault of the backend, and \
              clients take it for whole. Two may be one restart of the model's process; 2.5 because `increase` \
              rounds counts up at the edges of its window.",
        expr: r#"sum by (job, instance, backend, model) (increase(ollama_proxy_errors_total{error_type="truncated"}[10m])) > 2.5"#,
        clears: None,
        hold: 60,
        summary: "Answers of {{ $labels.model }} on {{ $labels.backend }} end too early",
        description: "Over the last ten minutes about {{ printf \"%.0f\" $value }} answers of {{ $labels.model }} on {{ \
                      $labels.backend }} (seen by {{ $labels.instance }}) ended without their last event. Clients may \
                      take them for whole.",
        actions: &["raise_timeouts_between", "lower_the_context", "update_the_server"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerUsageMissing",
        severity: Severity::Info,
        category: Category::Client,
        why: "Half of at least 20 completed generations in half an hour: then the token figures of this \
              endpoint are mostly lower bounds. Nothing is broken, so it is for information.",
        expr: r#"  sum by (job, instance, backend, endpoint) (increase(ollama_proxy_usage_missing_total[30m]))
/
  (sum by (job, instance, backend, endpoint) (increase(ollama_proxy_requests_total{outcome="completed"}[30m])) >= 20)
> 0.5"#,
        clears: None,
        hold: 600,
        summary: "{{ $labels.backend }} reports no token counts on {{ $labels.endpoint }}",
        description: "Over the last half hour {{ $value | humanizePercentage }} of the completed generations on {{ \
                      $labels.endpoint }} of {{ $labels.backend }} (seen by {{ $labels.instance }}) came without a \
                      count of tokens (50 % is the limit).",
        actions: &["ask_for_usage", "use_the_native_endpoint"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerRequestsWaiting",
        severity: Severity::Warning,
        category: Category::Latency,
        why: "Four on the average of five minutes, for five minutes more: a burst that drains is none, and a \
              load or a long prompt is one request or two. The backend's own figure where it tells one; Ollama \
              does not, so there it is the requests without the head of an answer. What is not streamed \
              (embeddings, `stream: false`) has none before its work is done, so they are a queue only where \
              the model has also been seen to stream in ten minutes.",
        expr: r#"(
    sum by (job, instance, backend, model) (avg_over_time(ollama_proxy_backend_requests_waiting[5m]))
  or on (job, instance, backend)
    sum by (job, instance, backend, model) (avg_over_time(ollama_proxy_exchanges_in_phase{phase="waiting",model!=""}[5m]))
  and on (job, instance, backend, model)
    sum by (job, instance, backend, model) (max_over_time(ollama_proxy_exchanges_in_phase{phase="decode",model!=""}[10m])) > 0
) >= 4"#,
        clears: None,
        hold: 300,
        summary: "{{ printf \"%.0f\" $value }} requests for {{ $labels.model }} wait on {{ $labels.backend }}",
        description: "For ten minutes {{ printf \"%.0f\" $value }} requests for {{ $labels.model }} on the average have \
                      been waiting on {{ $labels.backend }} (seen by {{ $labels.instance }}) before it begins to \
                      answer.",
        actions: &["raise_parallel_requests", "move_batches", "add_a_backend"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerPromptTruncation",
        severity: Severity::Warning,
        category: Category::Model,
        why: "More than two in half an hour: each is an answer to a prompt whose beginning the model may never \
              have read, and nobody is told. One may be a suspicion without cause. 2.5 because `increase` \
              rounds up at the edges of its window.",
        expr: "sum by (job, instance, backend, model) (increase(ollama_proxy_prompt_truncation_suspected_total[30m])) > 2.5",
        clears: None,
        hold: 60,
        summary: "Prompts for {{ $labels.model }} on {{ $labels.backend }} seem to be cut",
        description: "Over the last half hour about {{ printf \"%.0f\" $value }} prompts for {{ $labels.model }} on {{ \
                      $labels.backend }} (seen by {{ $labels.instance }}) were longer than what the model took in.",
        actions: &["raise_the_context", "shorten_the_conversation"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerColdStarts",
        severity: Severity::Warning,
        category: Category::Model,
        why: "A fifth of at least 20 requests in half an hour, for ten minutes: with Ollama's five minutes of \
              keep-alive a model in steady use is loaded once. Less traffic than that is a machine that sleeps \
              in between, as it should.",
        expr: r#"  sum by (job, instance, backend, model) (increase(ollama_proxy_cold_starts_total[30m]))
/
  (sum by (job, instance, backend, model) (increase(ollama_proxy_requests_ended_total[30m])) >= 20)
> 0.2"#,
        clears: None,
        hold: 600,
        summary: "{{ $value | humanizePercentage }} of the requests for {{ $labels.model }} on {{ $labels.backend \
                  }} wait for a load",
        description: "Over the last half hour {{ $value | humanizePercentage }} of the requests for {{ $labels.model \
                      }} on {{ $labels.backend }} (seen by {{ $labels.instance }}) had to wait until the model was \
                      loaded (20 % is the limit).",
        actions: &["agree_on_one_context", "keep_models_longer", "use_fewer_models"],
        evaluated: Evaluated::Here,
    },
    Rule {
        name: "InferometerModelThrash",
        severity: Severity::Warning,
        category: Category::Model,
        why: "Ten evictions and ten cold starts in half an hour: one of each every three minutes, less than \
              the five minutes for which Ollama keeps a model, so it is not idle models that leave but models \
              in use that push each other out. Both, because an eviction that nobody waits for does no harm. \
              Just below ten, for the rounding of `increase`.",
        expr: r#"  sum by (job, instance, backend) (increase(ollama_proxy_model_evictions_total[30m])) > 9.5
and
  sum by (job, instance, backend) (increase(ollama_proxy_cold_starts_total[30m])) > 9.5"#,
        clears: None,
        hold: 300,
        summary: "Models on {{ $labels.backend }} push each other out of memory",
        description: "Over the last half hour {{ $labels.backend }} (seen by {{ $labels.instance }}) dropped about {{ \
                      $value | humanize }} models from memory while requests waited for loads.",
        actions: &["use_fewer_models", "move_a_model", "raise_max_loaded_models"],
        evaluated: Evaluated::Here,
    },
];
