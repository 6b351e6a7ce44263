//! Requests, failures, backends and the program itself.

use super::*;
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::exchange::vocabulary::Defect;
use crate::exchange::vocabulary::Progress;
use crate::metrics::Buckets;

#[test]
fn the_bytes_of_a_transfer_count_while_they_move() {
    let metrics = metrics();
    let pull = Route { endpoint: "/api/pull", operation: Operation::Pull, ..CHAT };
    let mut watch = begin(&metrics, &start(pull));
    for (bytes, counted) in [(0, 0.0), (100, 100.0), (40, 100.0), (90, 100.0), (250, 250.0), (u64::MAX, 250.0)] {
        watch.progress(Progress { completed: bytes, ..Progress::default() });
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
    watch.requested(Some(&"m".into()));
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
