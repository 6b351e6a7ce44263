//! Tokens, rates and latencies of generations.

use super::*;
use crate::exchange::vocabulary::FinishReason;

#[test]
fn a_frame_of_several_events_gives_as_many_equal_samples() {
    let metrics = metrics();
    let mut watch = begin(&metrics, &start(CHAT));
    watch.answered(&"m".into());
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
    let mut watch = begin(&metrics, &start(CHAT));
    watch.answered(&"m".into());
    assert_eq!(all(), Some(vec![0.0; ColdCause::ALL.len()]), "from 0 on, whatever the cause will be");
    drop(watch);
    complete(&metrics, "m", &Record { cold: None, ..full_chat() });
    assert_eq!(value(&metrics, &of("model_load_duration_seconds_count")), None);
    complete(&metrics, "m", &full_chat());
    complete(&metrics, "m", &Record { cold: Some(ColdCause::OptionsChanged.into()), ..full_chat() });
    assert_eq!(value(&metrics, &of("model_load_duration_seconds_sum")), Some(5.0));
    let causes = [ColdCause::First, ColdCause::OptionsChanged, ColdCause::Evicted].map(cold);
    assert_eq!(causes, [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(value(&metrics, &of("time_to_first_token_excluding_load_seconds_sum")), Some(1.5));
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
    let running = Some(TokenCount { value: 3, source: Source::Running });
    let embed = Route { operation: Operation::Embeddings, ..CHAT };
    for (record, missing) in [
        (full_chat(), Some(0.0)),
        (Record { generated_tokens: None, ..full_chat() }, Some(1.0)),
        (Record { generated_tokens: running, ..full_chat() }, Some(1.0)),
        (Record { outcome: Outcome::Truncated, generated_tokens: None, ..full_chat() }, Some(0.0)),
        (Record { finish_reason: Some(FinishReason::Load), ..plain(CHAT) }, Some(0.0)),
        (Record { has_no_tokens: true, ..plain(CHAT) }, Some(0.0)),
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
    let counted = Some(TokenCount { value: 9, source: Source::Running });
    complete(&metrics, "m", &Record { phase: Phase::Prefill, generated_tokens: counted, ..cancelled });
    let of_phase =
        |name, phase| value(&metrics, &format!(r#"{name}{{backend="local",model="m:latest",phase="{phase}"}}"#));
    assert_eq!(of_phase("client_cancellations_total", "decode"), Some(1.0));
    assert_eq!(of_phase("client_cancellations_total", "prefill"), Some(1.0));
    assert_eq!(of_phase("wasted_tokens_total", "decode"), Some(5.0));
    assert_eq!(values(&metrics, "wasted_tokens_total").iter().sum::<f64>(), 5.0, "nowhere else");
}

#[test]
fn the_ratio_of_tokens_to_chunks_is_learnt_from_completed_streams_with_a_report() {
    let metrics = metrics();
    let ratio = || value(&metrics, &of("tokens_per_chunk_ratio"));
    for unfit in [
        Record { outcome: Outcome::ClientCancelled, ..full_chat() },
        Record { streamed: false, ..full_chat() },
        Record { generated_tokens: Some(TokenCount { value: 10, source: Source::Running }), ..full_chat() },
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
        assert_eq!(counted(&metrics, name), [0.0; 0], "{name}");
    }
    assert_eq!(value(&metrics, &of("time_to_first_token_seconds_count")), Some(1.0));
    assert_eq!(counted(&metrics, "requests_total"), [1.0]);
}
