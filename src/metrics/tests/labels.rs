//! What becomes the label of a model, and what the caps refuse.

use super::*;
use crate::backend::inventory::Runtime;
use crate::exchange::names::NamedModel;

#[test]
fn a_name_becomes_a_label_when_a_success_confirms_it() {
    let metrics = metrics();
    let mut asked = begin(&metrics, &start(CHAT));
    asked.requested(Some(&"m".into()));
    finish(asked, &Record { status: 404, outcome: Outcome::HttpError, ..plain(CHAT) });
    assert!(!text(&metrics).contains("m:latest"));
    assert_eq!(counted(&metrics, "requests_total"), [1.0]);
    complete(&metrics, "m", &plain(CHAT));
    let mut asked = begin(&metrics, &start(CHAT));
    asked.requested(Some(&"m".into()));
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

/// The catalogue of these metrics knows neither name.
#[test]
fn a_name_that_the_backend_lists_is_the_label_without_a_look_up() {
    let metrics = metrics();
    let requests = |model| value(&metrics, &format!(r#"active_requests{{backend="local",model="{model}"}}"#));
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some(&NamedModel::listed("m:8b".into())));
    assert_eq!((requests("unknown"), requests("m:8b")), (Some(0.0), Some(1.0)));
    watch.answered(&NamedModel::listed("n:8b".into()));
    finish(watch, &full_chat());
    let prompt =
        |model| value(&metrics, &format!(r#"time_to_first_token_seconds_count{{backend="local",model="{model}"}}"#));
    assert_eq!(
        (prompt("m:8b"), prompt("n:8b")),
        (Some(0.0), Some(1.0)),
        "it began as one stream and ended as the other"
    );
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
        watch.requested(Some(&"m".into()));
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
        catalogue.set_pending(&backend);
        let metrics = Metrics::new(settings(), std::slice::from_ref(&backend), catalogue.clone());
        let record = Record { answered_model: Some("m".into()), ..full_chat() };
        let record = Record { start: start(OPENAI), ..record };
        let mut watch = begin(&metrics, &record.start);
        watch.requested(Some(&"m".into()));
        watch.answered(&"m".into());
        if listed_in_time {
            catalogue.set_runtime(&backend, Runtime::Ollama);
        }
        finish(watch, &record);
        catalogue.set_runtime(&backend, Runtime::Ollama);
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
