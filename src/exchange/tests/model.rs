//! The model of an exchange: when the watch learns it, and whether it was cold.

use super::*;

#[test]
fn a_model_is_confirmed_only_by_a_success_of_a_route_that_uses_it() {
    let embeddings = Route { operation: Operation::Embeddings, ..CHAT };
    let show = Route { operation: Operation::Other, ..CHAT };
    for (route, status, confirmed) in
        [(CHAT, 200, true), (CHAT, 404, false), (embeddings, 200, true), (show, 200, false)]
    {
        let mut case = Case::on(route, Recorder::default(), &Arc::default());
        case.observation.request_uploaded(case.zero);
        case.head(Head { status, ..OK }, 10);
        case.reading(true, false);
        case.frame(20, &[Event::Model(""), Event::Model("m"), TEXT]).frame(30, &[Event::Model("n")]);
        let answered: Vec<_> =
            case.recorder.calls().into_iter().filter(|call| matches!(call, SinkCall::Answered(_))).collect();
        let expected: &[SinkCall] = if confirmed { &[SinkCall::Answered("m".into())] } else { &[] };
        assert_eq!(answered, expected, "{route:?} {status}");
        let record = case.end(End::Complete, status, 40);
        assert_eq!(record.answered_model.as_deref(), confirmed.then_some("m"), "{route:?} {status}");
    }
}

#[test]
fn the_model_is_reported_before_the_tokens_of_its_frame() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT, Event::Model("m")]);
    let calls = case.recorder.calls();
    let answered = calls.iter().position(|call| matches!(call, SinkCall::Answered(_)));
    let tokens = calls.iter().position(|call| matches!(call, SinkCall::Tokens(_)));
    assert!(answered.unwrap() < tokens.unwrap());
}

#[test]
fn the_requested_model_is_reported_once_even_if_the_upload_never_ends() {
    for done in [true, false] {
        let mut case = Case::chat();
        case.request("{}");
        if done {
            case.observation.request_uploaded(case.zero);
            case.observation.requested(&RequestFacts { model: Some("late"), ..RequestFacts::default() });
            case.observation.request_uploaded(case.zero);
        }
        let recorder = case.recorder.clone();
        assert_eq!(case.end(End::ClientLeft, 499, 10).request_bytes, 2);
        let calls = recorder.calls();
        assert_eq!(calls.iter().filter(|call| matches!(call, SinkCall::Requested(_))).count(), 1);
    }
}

/// Lists `m` as `m:latest` on the backend that has it.
#[derive(Debug)]
struct Listed;

impl ModelNames for Listed {
    fn requested(&self, backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        if backend == "has-it" { NamedModel::listed(format!("{name}:latest").into()) } else { name.into() }
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        None
    }
}

#[test]
fn a_model_named_before_a_backend_is_chosen_is_reported_by_its_listed_name() {
    for (backend, name) in [(Some("has-it"), "m:latest"), (None, "m")] {
        let recorder = Recorder::default();
        let zero = Instant::now();
        let start = Start {
            id: 1,
            method: Method::Post,
            route: CHAT,
            trace: TraceId::from_random(1),
            parent: None,
            client: None,
            conversation: None,
            at: zero,
        };
        let settings = Settings { stall: Some(ms(5000)) };
        let context = ObservationContext { settings, residency: Arc::default(), names: Arc::new(Listed) };
        let mut observation = Observation::start(start, &Rc::new(context), &DecodeBudget::unlimited(), &recorder);
        observation.requested(&RequestFacts { model: Some("m"), ..RequestFacts::default() });
        assert_eq!(recorder.calls(), []);
        if let Some(backend) = backend {
            observation.placed(on(backend), zero);
        }
        observation.finish(End::Rejected(ErrorType::Limit), 503, zero, ms(0));
        let placed = backend.map(|backend| SinkCall::Placed(backend.into()));
        let rest = [SinkCall::Requested(Some(name.into())), SinkCall::Finished(Outcome::Rejected)];
        assert_eq!(recorder.calls(), placed.into_iter().chain(rest).collect::<Vec<_>>());
        let record = recorder.record();
        assert_eq!((record.backend(), record.requested_model.as_deref()), (backend.unwrap_or(""), Some(name)));
    }
}

/// Lists every model under its requested name, and counts the look-ups of answered names.
#[derive(Debug, Default)]
struct CountsLookUps(std::sync::atomic::AtomicU32);

impl ModelNames for CountsLookUps {
    fn requested(&self, _backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        NamedModel::listed(name.into())
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        None
    }
}

#[test]
fn an_answered_name_equal_to_the_requested_one_is_looked_up_only_on_another_backend() {
    for (attempt, answered, look_ups) in [(1, "m", 0), (1, "n", 1), (2, "m", 1)] {
        let names = Arc::new(CountsLookUps::default());
        let mut case = Case::chat();
        Rc::get_mut(&mut case.observation.context).expect("shared by nobody").names = names.clone();
        case.request(r#"{"model":"m"}"#);
        case.observation.request_uploaded(case.zero);
        case.observation.placed(Placement { attempt, ..on("local") }, case.zero);
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &[Event::Model(answered), TEXT]);
        assert_eq!(names.0.load(std::sync::atomic::Ordering::Relaxed), look_ups, "{attempt} {answered}");
        assert!(case.recorder.calls().contains(&SinkCall::Answered(answered.into())));
    }
}

#[test]
fn a_route_that_names_no_model_is_not_searched_for_one() {
    let case = Case::on(Route::OTHER, Recorder::default(), &Arc::default());
    let recorder = case.recorder.clone();
    case.complete(10);
    assert_eq!(recorder.calls(), [SinkCall::Placed("local".into()), SinkCall::Finished(Outcome::Completed)]);
}

#[test]
fn a_cold_load_is_long_and_alone() {
    for (load, company, cold) in [(100, false, true), (99, false, false), (3000, true, false)] {
        let residency = Arc::new(Residency::default());
        let other = residency.enter(&"local".into(), "m", LoadOptions::default());
        let other = company.then_some(other);
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.observation.model_use = Some(residency.enter(&"local".into(), "m", LoadOptions::default()));
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &[Event::Timings(Timings { load: Some(ms(load)), ..Timings::default() }), Event::Terminal]);
        assert_eq!(case.complete(30).cold.is_some(), cold, "load {load} ms, company {company}");
        drop(other);
        assert!(
            residency.enter(&"local".into(), "m", LoadOptions::default()).cold_start(Some(ms(100))).is_some(),
            "the exchange gave its place back"
        );
    }
}

#[test]
fn an_exchange_is_on_its_model_once_the_backend_has_its_request() {
    let residency = Arc::new(Residency::default());
    let cold = || residency.enter(&"local".into(), "m", LoadOptions::default()).cold_start(Some(ms(100))).is_some();
    let mut case = Case::on(CHAT, Recorder::default(), &residency);
    case.request(r#"{"model":"m"}"#);
    case.observation.forwarded(Instant::now());
    assert!(cold(), "the backend is still being dialled: whoever gets through loads the model");
    case.observation.request_uploaded(case.zero);
    assert!(!cold(), "this one loads it");
    case.complete(10);
    assert!(cold());
}

/// Ollama hands the request on without the suffix, and the answer back as it is (`server/cloud_proxy.go`).
#[test]
fn an_answer_of_the_cloud_is_that_of_the_requested_model_and_not_of_a_local_one() {
    let residency = Arc::new(Residency::default());
    let chat = |requested: &str, answered: &str, tokens: u64| {
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.request(&format!(r#"{{"model":"{requested}","messages":[{{"content":"{}"}}]}}"#, "x".repeat(4_000)));
        case.observation.request_uploaded(case.zero);
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &[Event::Model(answered), TEXT, usage(true, tokens, 1), Event::Terminal]);
        let record = case.complete(30);
        (record.answered_model.unwrap().to_string(), record.truncation_suspected)
    };
    let named = |requested, answered| chat(requested, answered, 1_000).0;
    assert_eq!(named("n:1b-cloud", "n:1b"), "n:1b-cloud");
    assert_eq!(named("N:cloud", "n"), "N:cloud");
    assert_eq!(named("n:1b-cloud", "other:1b"), "other:1b", "another model");
    assert_eq!(named("n:1b", "n:1b"), "n:1b", "a local one");
    assert!(
        [1_000, 1_000, 1_000, 100].iter().all(|tokens| !chat("n:1b-cloud", "other:1b", *tokens).1),
        "never suspected"
    );
}

#[test]
fn a_model_that_reports_a_load_and_no_remote_host_is_local() {
    let residency = Arc::new(Residency::default());
    let backend: Arc<str> = "local".into();
    residency.end_poll(&backend, [].into_iter(), Some(std::time::SystemTime::UNIX_EPOCH));
    residency.set_remote(&backend, ["m", "mine"].into_iter());
    let loaded = Event::Timings(Timings { load: Some(ms(300)), ..Timings::default() });
    for (name, events, cold) in [
        ("m", vec![loaded, Event::Terminal], true),
        ("mine", vec![Event::Elsewhere, loaded, Event::Terminal], false),
        // Answers of the cloud itself are handed on as they are.
        ("n-cloud", vec![loaded, Event::Terminal], false),
    ] {
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.observation.model_use = Some(residency.enter(&backend, name, LoadOptions::default()));
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &events);
        assert_eq!(case.complete(30).cold.is_some(), cold, "{name}");
    }
}

#[test]
fn a_model_on_another_host_is_reported_as_such_before_it_works_or_with_the_answer_that_says_so() {
    let residency = Arc::new(Residency::default());
    residency.set_remote(&"local".into(), ["listed"].into_iter());
    for (name, says_so, expected) in [
        ("n:1b-cloud", false, &[SinkCall::Elsewhere, SinkCall::Uploaded][..]),
        ("N:cloud", true, &[SinkCall::Elsewhere, SinkCall::Uploaded]),
        ("listed", true, &[SinkCall::Elsewhere, SinkCall::Uploaded]),
        ("mine", true, &[SinkCall::Uploaded, SinkCall::Elsewhere]),
        ("m", false, &[SinkCall::Uploaded]),
    ] {
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.request(&format!(r#"{{"model":"{name}"}}"#));
        case.observation.forwarded(Instant::now());
        case.observation.request_uploaded(case.zero);
        case.head(OK, 10);
        case.reading(true, true);
        let elsewhere = if says_so { &[Event::Elsewhere][..] } else { &[] };
        case.frame(20, elsewhere).frame(30, &[Event::Model(name), TEXT]).frame(40, elsewhere);
        let recorder = case.recorder.clone();
        case.frame(50, &[Event::Terminal]);
        case.complete(60);
        let calls: Vec<_> = recorder
            .calls()
            .into_iter()
            .filter(|call| matches!(call, SinkCall::Elsewhere | SinkCall::Uploaded))
            .collect();
        assert_eq!(calls, expected, "{name}");
    }
}
