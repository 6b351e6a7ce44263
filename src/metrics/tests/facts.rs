//! The contract's sentences on metrics.

use super::*;
use crate::backend::inventory::Runtime;
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::exchange::vocabulary::{Defect, FinishReason};
use crate::metrics::Buckets;

const M: &str = r#"{backend="local",model="m:latest"}"#;

fn of(name: &str) -> String {
    format!("{name}{M}")
}

#[test]
fn a_name_becomes_a_label_when_a_success_confirms_it() {
    let metrics = metrics();
    let mut asked = begin(&metrics, &start(CHAT));
    asked.requested(Some("m"));
    finish(asked, &Record { status: 404, outcome: Outcome::HttpError, ..plain(CHAT) });
    assert!(!text(&metrics).contains("m:latest"));
    assert_eq!(counted(&metrics, "requests_total"), [1.0]);
    complete(&metrics, "m", &plain(CHAT));
    let mut asked = begin(&metrics, &start(CHAT));
    asked.requested(Some("m"));
    finish(asked, &Record { status: 404, outcome: Outcome::HttpError, ..plain(CHAT) });
    let total = |model, status, outcome| {
        let labels = format!(
            r#"{{backend="local",endpoint="/api/chat",method="POST",model="{model}",outcome="{outcome}",status="{status}"}}"#
        );
        value(&metrics, &format!("requests_total{labels}"))
    };
    assert_eq!(total("unknown", 404, "http_error"), Some(1.0));
    assert_eq!(total("m:latest", 200, "completed"), Some(1.0));
    assert_eq!(total("m:latest", 404, "http_error"), Some(1.0));
}

/// The alert on the cap of models looks at an increase, which needs a series from before.
#[test]
fn the_row_of_models_beyond_the_cap_is_there_before_the_first_of_them() {
    let metrics = metrics();
    let other = r#"requests_total{backend="local",endpoint="/api/chat",method="POST",model="other",outcome="completed",status="200"}"#;
    assert_eq!(value(&metrics, other), None);
    let watch = begin(&metrics, &start(CHAT));
    assert_eq!(value(&metrics, other), Some(0.0));
    drop(watch);
}

#[test]
fn a_route_that_names_no_model_has_an_empty_label() {
    let metrics = metrics();
    begin(&metrics, &start(TAGS)).finished(&plain(TAGS));
    assert!(
        text(&metrics).contains(r#"endpoint="/api/tags",method="GET",model="",outcome="completed",status="200"} 1"#)
    );
}

#[test]
fn the_catalogue_admits_names_before_any_exchange() {
    let catalogue = Catalogue::default();
    catalogue.admit("m:latest");
    let metrics = metrics_with(settings(), catalogue);
    for route in [CHAT, OPENAI] {
        let mut watch = begin(&metrics, &start(route));
        watch.requested(Some("m"));
        assert_eq!(value(&metrics, &of("active_requests")), Some(1.0), "{}", route.endpoint);
        finish(watch, &plain(route));
    }
}

#[test]
fn a_name_without_a_tag_is_left_alone_where_the_backend_is_not_ollama() {
    let metrics = metrics();
    complete(&metrics, "gpt-x", &plain(OPENAI));
    assert_eq!(
        value(&metrics, r#"usage_missing_total{backend="local",endpoint="/v1/chat/completions",model="gpt-x"}"#),
        Some(1.0)
    );
}

#[test]
fn on_an_ollama_backend_every_route_means_latest_also_before_the_first_listing() {
    let backend: Arc<str> = "local".into();
    for listed_in_time in [true, false] {
        let catalogue = Arc::new(Catalogue::default());
        catalogue.asking(&backend);
        let metrics = Metrics::new(settings(), std::slice::from_ref(&backend), catalogue.clone());
        let record = Record { answered_model: Some("m".into()), ..full_chat() };
        let record = Record { start: start(OPENAI), ..record };
        let mut watch = begin(&metrics, &record.start);
        watch.requested(Some("m"));
        watch.answered("m");
        if listed_in_time {
            catalogue.recognised(&backend, Runtime::Ollama);
        }
        finish(watch, &record);
        catalogue.recognised(&backend, Runtime::Ollama);
        catalogue.admit("m:latest");
        complete(&metrics, "m", &record);
        let total = |model: &str| {
            value(&metrics, &format!(r#"time_to_first_token_seconds_count{{backend="local",model="{model}"}}"#))
        };
        assert_eq!(total("m"), None, "no series beside that of the listing");
        let (whole, unknown) = if listed_in_time { (Some(2.0), None) } else { (Some(1.0), Some(1.0)) };
        assert_eq!((total("m:latest"), total("unknown")), (whole, unknown));
    }
}

#[test]
fn the_bytes_of_a_transfer_count_while_they_move() {
    let metrics = metrics();
    let pull = Route { endpoint: "/api/pull", operation: Operation::Pull, ..CHAT };
    let mut watch = begin(&metrics, &start(pull));
    for (bytes, counted) in [(0, 0.0), (100, 100.0), (40, 100.0), (90, 100.0), (250, 250.0), (u64::MAX, 250.0)] {
        watch.progress(bytes);
        assert_eq!(values(&metrics, "progress_bytes_total"), [counted], "{bytes}");
    }
    finish(watch, &Record { progress_bytes: Some(250), ..plain(pull) });
    assert_eq!(values(&metrics, "progress_bytes_total"), [250.0]);
}

#[test]
fn configured_bounds_stand_in_place_of_the_built_in_ones() {
    let buckets = Buckets { token: Some(vec![0.25, 0.5]), ..Buckets::default() };
    let metrics = Metrics::with_buckets(settings(), &buckets, &["local".into()], Arc::default());
    complete(&metrics, "m", &full_chat());
    let bounds = |name: &str| text(&metrics).lines().filter(|line| line.contains(&format!("{name}_bucket"))).count();
    assert_eq!(bounds("time_per_output_token_seconds"), 3, "{}", text(&metrics));
    assert!(bounds("time_to_first_token_seconds") > 20, "built in");
}

#[test]
fn beyond_the_cap_of_models_a_confirmed_name_is_other() {
    let metrics = metrics_with(settings(), Catalogue::new(1));
    complete(&metrics, "m", &plain(CHAT));
    complete(&metrics, "n", &plain(CHAT));
    complete(&metrics, "evil\nname", &plain(CHAT));
    assert_eq!(
        value(&metrics, r#"usage_missing_total{backend="local",endpoint="/api/chat",model="other"}"#),
        Some(2.0)
    );
}

#[test]
fn the_gauges_move_once_and_go_down_once() {
    let metrics = metrics();
    let requests = |model| value(&metrics, &format!(r#"active_requests{{backend="local",model="{model}"}}"#));
    let generations = |model| value(&metrics, &format!(r#"active_generations{{backend="local",model="{model}"}}"#));
    assert_eq!((requests("unknown"), generations("unknown"), requests("")), (Some(0.0), Some(0.0), Some(0.0)));
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some("m"));
    assert_eq!((requests("unknown"), generations("unknown")), (Some(1.0), Some(0.0)));
    watch.forwarded(Instant::now());
    assert_eq!((requests("unknown"), generations("unknown")), (Some(1.0), Some(1.0)));
    watch.answered("m");
    assert_eq!((requests("unknown"), requests("m:latest")), (Some(0.0), Some(1.0)));
    assert_eq!((generations("unknown"), generations("m:latest")), (Some(0.0), Some(1.0)));
    finish(watch, &full_chat());
    assert_eq!((requests("unknown"), requests("m:latest")), (Some(0.0), Some(0.0)));
    assert_eq!((generations("unknown"), generations("m:latest")), (Some(0.0), Some(0.0)));
}

#[test]
fn the_gauges_stay_where_the_request_put_them_when_the_answer_names_another_model() {
    let metrics = metrics();
    complete(&metrics, "m", &plain(CHAT));
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some("m"));
    watch.answered("n");
    assert_eq!(value(&metrics, &of("active_requests")), Some(1.0));
    assert_eq!(value(&metrics, r#"active_requests{backend="local",model="n:latest"}"#), None);
    finish(watch, &plain(CHAT));
    assert_eq!(value(&metrics, &of("active_requests")), Some(0.0));
}

#[test]
fn a_dropped_watch_gives_its_gauges_back() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(CHAT));
    watch.forwarded(Instant::now());
    drop(watch);
    assert!(
        values(&metrics, "active_requests")
            .iter()
            .chain(&values(&metrics, "active_generations"))
            .all(|gauge| *gauge == 0.0)
    );
}

#[test]
fn a_route_that_generates_nothing_is_no_generation() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(TAGS));
    watch.forwarded(Instant::now());
    assert_eq!(values(&metrics, "active_generations"), [0.0]);
    assert_eq!(value(&metrics, r#"active_requests{backend="local",model=""}"#), Some(1.0));
    finish(watch, &plain(TAGS));
}

#[test]
fn a_frame_of_several_events_gives_as_many_equal_samples() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(CHAT));
    watch.answered("m");
    watch.tokens(frame(2, None, false));
    assert_eq!(value(&metrics, &of("stream_stalls_total")), Some(0.0));
    watch.tokens(frame(3, Some(30), false));
    watch.tokens(frame(1, Some(6000), true));
    assert_eq!(value(&metrics, &of("inter_token_latency_seconds_count")), Some(4.0));
    assert_eq!(value(&metrics, &of("inter_token_latency_seconds_sum")), Some(6.03));
    assert_eq!(
        value(&metrics, r#"inter_token_latency_seconds_bucket{backend="local",model="m:latest",le="0.01"}"#),
        Some(3.0)
    );
    assert_eq!(value(&metrics, &of("stream_chunks_total")), Some(6.0));
    assert_eq!(value(&metrics, &of("stream_stalls_total")), Some(1.0));
}

#[test]
fn the_load_is_observed_only_when_cold_and_taken_off_the_first_token_always() {
    let metrics = metrics();
    let cold = |cause: ColdCause| {
        let series = format!(r#"cold_starts_total{{backend="local",cause="{}",model="m:latest"}}"#, cause.as_str());
        value(&metrics, &series)
    };
    let all = || ColdCause::ALL.iter().map(|cause| cold(*cause)).collect::<Option<Vec<_>>>();
    assert_eq!(all(), None);
    complete(&metrics, "m", &Record { cold: None, ..full_chat() });
    assert_eq!(value(&metrics, &of("model_load_duration_seconds_count")), None);
    assert_eq!(all(), Some(vec![0.0; ColdCause::ALL.len()]), "from 0 on, whatever the cause will be");
    complete(&metrics, "m", &full_chat());
    complete(&metrics, "m", &Record { cold: Some(Cold { cause: ColdCause::OptionsChanged, by: None }), ..full_chat() });
    assert_eq!(value(&metrics, &of("model_load_duration_seconds_sum")), Some(5.0));
    let causes = [ColdCause::First, ColdCause::OptionsChanged, ColdCause::Evicted].map(cold);
    assert_eq!(causes, [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(value(&metrics, &of("time_to_first_token_excluding_load_seconds_sum")), Some(1.5));
}

#[test]
fn an_exchange_in_flight_is_in_one_phase_of_one_model() {
    let metrics = metrics();
    let in_phase = |model: &str, phase: Phase| {
        let labels = format!(r#"{{backend="local",model="{model}",phase="{}"}}"#, phase.as_str());
        value(&metrics, &format!("exchanges_in_phase{labels}"))
    };
    let of = |model: &str| Phase::ALL.iter().map(|phase| in_phase(model, *phase)).collect::<Option<Vec<f64>>>();
    assert_eq!((of("unknown"), of("m:latest")), (Some(vec![0.0; 4]), None), "nothing is in flight, and that is known");
    let mut watch = begin(&metrics, &start(CHAT));
    assert_eq!(of("unknown"), Some(vec![1.0, 0.0, 0.0, 0.0]));
    watch.phase(Phase::Waiting);
    watch.answered("m");
    assert_eq!((of("unknown"), of("m:latest")), (Some(vec![0.0; 4]), Some(vec![0.0, 1.0, 0.0, 0.0])));
    watch.phase(Phase::Decode);
    assert_eq!(of("m:latest"), Some(vec![0.0, 0.0, 0.0, 1.0]));
    assert_eq!(values(&metrics, "active_requests").iter().sum::<f64>(), 1.0);
    finish(watch, &plain(CHAT));
    assert_eq!(of("m:latest"), Some(vec![0.0; 4]));
}

#[test]
fn a_load_longer_than_the_time_to_first_token_gives_no_sample() {
    let metrics = metrics();
    complete(&metrics, "m", &Record { load: Some(ms(3001)), ..full_chat() });
    assert_eq!(value(&metrics, &of("time_to_first_token_excluding_load_seconds_count")), None);
}

#[test]
fn counts_carry_their_source_and_chunks_count_only_where_nothing_better_is_known() {
    let metrics = metrics();
    let generated = |source| {
        value(&metrics, &format!(r#"generated_tokens_total{{backend="local",model="m:latest",source="{source}"}}"#))
    };
    complete(&metrics, "m", &full_chat());
    assert_eq!((generated("reported"), generated("chunks")), (Some(10.0), None));
    complete(&metrics, "m", &Record { generated_tokens: None, token_events: 7, ..full_chat() });
    assert_eq!((generated("reported"), generated("chunks")), (Some(10.0), Some(7.0)));
}

#[test]
fn usage_is_missing_only_from_completed_generations_without_a_report() {
    let running = Some(Count { value: 3, source: Source::Running });
    let embed = Route { operation: Operation::Embeddings, ..CHAT };
    for (record, missing) in [
        (full_chat(), Some(0.0)),
        (Record { generated_tokens: None, ..full_chat() }, Some(1.0)),
        (Record { generated_tokens: running, ..full_chat() }, Some(1.0)),
        (Record { outcome: Outcome::Truncated, generated_tokens: None, ..full_chat() }, None),
        (Record { finish_reason: Some(FinishReason::Load), ..plain(CHAT) }, None),
        (Record { has_no_tokens: true, ..plain(CHAT) }, None),
        (plain(embed), None),
        (plain(TAGS), None),
    ] {
        let metrics = metrics();
        complete(&metrics, "m", &record);
        let total = values(&metrics, "usage_missing_total").first().copied();
        assert_eq!(total, missing, "{record:?}");
    }
}

#[test]
fn tokens_are_wasted_only_in_decode() {
    let metrics = metrics();
    let cancelled = Record { outcome: Outcome::ClientCancelled, generated_tokens: None, ..full_chat() };
    complete(&metrics, "m", &cancelled);
    let counted = Some(Count { value: 9, source: Source::Running });
    complete(&metrics, "m", &Record { phase: Phase::Prefill, generated_tokens: counted, ..cancelled });
    let of_phase =
        |name, phase| value(&metrics, &format!(r#"{name}{{backend="local",model="m:latest",phase="{phase}"}}"#));
    assert_eq!(of_phase("client_cancellations_total", "decode"), Some(1.0));
    assert_eq!(of_phase("client_cancellations_total", "prefill"), Some(1.0));
    assert_eq!(of_phase("wasted_tokens_total", "decode"), Some(5.0));
    assert_eq!(values(&metrics, "wasted_tokens_total").iter().sum::<f64>(), 5.0, "nowhere else");
}

#[test]
fn an_error_names_its_type_and_whose_doing_it_was() {
    let metrics = metrics();
    let refused = r#"errors_total{backend="local",error_type="connect_refused",model="unknown",origin="upstream"}"#;
    assert_eq!(value(&metrics, refused), Some(0.0), "known to be 0 before the first");
    let error = Some(ErrorType::ConnectRefused);
    begin(&metrics, &start(CHAT)).finished(&Record {
        status: 502,
        outcome: Outcome::BackendFailed,
        error,
        ..plain(CHAT)
    });
    assert_eq!(value(&metrics, refused), Some(1.0));
}

#[test]
fn the_first_failure_of_a_model_is_seen_from_zero() {
    let catalogue = Catalogue::default();
    catalogue.admit("m:latest");
    let metrics = metrics_with(settings(), catalogue);
    let errors = || {
        ["truncated", "http_5xx"].map(|kind| {
            let labels = format!(r#"backend="local",error_type="{kind}",model="m:latest",origin="upstream""#);
            value(&metrics, &format!("errors_total{{{labels}}}"))
        })
    };
    assert_eq!(errors(), [None, None], "nobody has asked for it");
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some("m"));
    assert_eq!(errors(), [Some(0.0), Some(0.0)], "while its first exchange is in flight");
    finish(watch, &Record { error: Some(ErrorType::Truncated), outcome: Outcome::Truncated, ..plain(CHAT) });
    assert_eq!(errors(), [Some(1.0), Some(0.0)]);
    let left = r#"client_cancellations_total{backend="local",model="m:latest",phase="decode"}"#;
    assert_eq!(value(&metrics, left), Some(0.0));
    assert_eq!(value(&metrics, &left.replace("client_cancellations", "wasted_tokens")), Some(0.0));
}

#[test]
fn a_tunnel_is_counted_but_not_measured() {
    let metrics = metrics();
    let tunnel = Record { tunnel: true, status: 101, time_to_first_byte: Some(ms(1)), overhead: None, ..plain(TAGS) };
    begin(&metrics, &tunnel.start).finished(&tunnel);
    assert_eq!(counted(&metrics, "requests_total"), [1.0]);
    for name in ["request_duration_seconds", "time_to_first_byte_seconds", "request_size_bytes"] {
        assert_eq!(values(&metrics, &format!("{name}_count")), [0.0; 0], "{name}");
    }
    assert_eq!(value(&metrics, "overhead_seconds_count"), Some(0.0));
}

#[test]
fn sizes_are_those_of_bodies_that_were() {
    let metrics = metrics();
    let error = Some(ErrorType::ConnectRefused);
    let refused = Record { outcome: Outcome::BackendFailed, error, phase: Phase::Waiting, ..plain(CHAT) };
    begin(&metrics, &refused.start).finished(&refused);
    let ours =
        Record { outcome: Outcome::Rejected, error: Some(ErrorType::Limit), phase: Phase::Upload, ..plain(CHAT) };
    begin(&metrics, &ours.start).finished(&ours);
    assert_eq!(values(&metrics, "request_size_bytes_count"), [1.0]);
    assert_eq!(values(&metrics, "response_size_bytes_count"), [0.0; 0]);
    complete(&metrics, "m", &plain(CHAT));
    assert_eq!(values(&metrics, "request_size_bytes_count"), [2.0]);
    assert_eq!(values(&metrics, "response_size_bytes_sum"), [1000.0]);
}

#[test]
fn the_ratio_of_tokens_to_chunks_is_learnt_from_completed_streams_with_a_report() {
    let metrics = metrics();
    let ratio = || value(&metrics, &of("tokens_per_chunk_ratio"));
    for unfit in [
        Record { outcome: Outcome::ClientCancelled, ..full_chat() },
        Record { streamed: false, ..full_chat() },
        Record { generated_tokens: Some(Count { value: 10, source: Source::Running }), ..full_chat() },
        Record { token_events: 0, ..full_chat() },
    ] {
        complete(&metrics, "m", &unfit);
        assert_eq!(ratio(), None);
    }
    complete(&metrics, "m", &full_chat());
    assert_eq!(ratio(), Some(2.0));
    complete(&metrics, "m", &Record { token_events: 10, ..full_chat() });
    assert_eq!(ratio(), Some(1.9));
}

#[test]
fn absurd_numbers_are_dropped_and_the_rest_of_the_record_counts() {
    let metrics = metrics();
    let absurd = Record {
        prompt_tokens: reported(u64::MAX),
        generated_tokens: reported(u64::MAX),
        cached_tokens: Some(u64::MAX),
        tokens_per_second: Some(f64::NAN),
        time_per_output_token: Some(Duration::MAX),
        ..full_chat()
    };
    complete(&metrics, "m", &absurd);
    for name in [
        "prompt_tokens_total",
        "generated_tokens_total",
        "cached_prompt_tokens_total",
        "tokens_per_second_count",
        "time_per_output_token_seconds_count",
        "context_length_tokens_count",
    ] {
        assert_eq!(values(&metrics, name), [0.0; 0], "{name}");
    }
    assert_eq!(value(&metrics, &of("time_to_first_token_seconds_count")), Some(1.0));
    assert_eq!(counted(&metrics, "requests_total"), [1.0]);
}

#[test]
fn strange_names_never_cost_a_scrape() {
    let metrics = metrics();
    for name in ["a\"b", "a\\b", "a\nb", "a\0b", "{le=\"1\"}", "__name__", "模型", "\u{1F999}", ""] {
        complete(&metrics, name, &plain(OPENAI));
    }
    let text = text(&metrics);
    assert!(text.contains(r#"model="a\"b""#) && text.contains(r#"model="a\\b""#) && text.contains("模型"));
    assert!(!text.contains('\0') && !text.contains("a\\nb"));
    assert_eq!(values(&metrics, "requests_total").iter().sum::<f64>(), 9.0);
}

#[test]
fn a_full_family_says_what_it_dropped() {
    let metrics = metrics_with(Settings { max_histograms: 1, ..settings() }, Catalogue::default());
    complete(&metrics, "m", &plain(CHAT));
    complete(&metrics, "m", &plain(OPENAI));
    let dropped = |metric| value(&metrics, &format!(r#"series_dropped_total{{metric="ollama_proxy_{metric}"}}"#));
    assert_eq!((dropped("request_duration_seconds"), dropped("requests_total")), (Some(1.0), Some(0.0)));
    let other = r#"request_duration_seconds_count{backend="other",endpoint="other",method="other",model="other"}"#;
    assert_eq!(value(&metrics, other), Some(1.0));
}

#[test]
fn refused_heads_and_defects_are_counted_from_zero() {
    let metrics = metrics();
    assert_eq!(values(&metrics, "http_malformed_total"), vec![0.0; Malformed::ALL.len()]);
    metrics.refused(Malformed::Host);
    assert_eq!(value(&metrics, r#"http_malformed_total{kind="host"}"#), Some(1.0));
    let mut record = plain(CHAT);
    record.defects.add(Defect::Number);
    record.defects.add(Defect::Number);
    assert_eq!(value(&metrics, r#"parse_defects_total{dialect="ollama",kind="number"}"#), Some(0.0));
    complete(&metrics, "m", &record);
    assert_eq!(value(&metrics, r#"parse_defects_total{dialect="ollama",kind="number"}"#), Some(2.0));
}

#[test]
fn a_backend_is_neither_up_nor_down_before_it_was_asked() {
    let metrics = metrics();
    assert_eq!(values(&metrics, "backend_up"), [0.0; 0]);
    metrics.probed(&"local".into(), true, ms(5));
    assert_eq!(value(&metrics, r#"backend_up{backend="local"}"#), Some(1.0));
    assert_eq!(value(&metrics, r#"backend_probe_duration_seconds{backend="local"}"#), Some(0.005));
    metrics.probed(&"local".into(), false, ms(5000));
    assert_eq!(value(&metrics, r#"backend_up{backend="local"}"#), Some(0.0));
}

#[test]
fn a_failed_reload_keeps_the_time_of_the_last_good_one() {
    let metrics = metrics();
    let time = || value(&metrics, "config_last_reload_success_timestamp_seconds");
    metrics.config_loaded(false, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    assert_eq!((value(&metrics, "config_last_reload_successful"), time()), (Some(0.0), Some(1_700_000_000.0)));
    metrics.config_loaded(true, UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    assert_eq!((value(&metrics, "config_last_reload_successful"), time()), (Some(1.0), Some(1_900_000_000.0)));
}
