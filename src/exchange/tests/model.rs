//! Which model an exchange is on, who learns of it, and whether it was cold.

use super::*;

#[test]
fn a_model_is_confirmed_only_by_a_success_of_a_route_that_uses_it() {
    let embeddings = Route { operation: Operation::Embeddings, ..CHAT };
    let show = Route { operation: Operation::Other, ..CHAT };
    for (route, status, confirmed) in
        [(CHAT, 200, true), (CHAT, 404, false), (embeddings, 200, true), (show, 200, false)]
    {
        let mut case = Case::on(route, Recorder::default(), &Arc::default());
        case.observation.request_done(case.zero);
        case.head(Head { status, ..OK }, 10);
        case.reading(true, false);
        case.frame(20, &[Event::Model(""), Event::Model("m"), TEXT]).frame(30, &[Event::Model("n")]);
        let answered: Vec<_> =
            case.recorder.told().into_iter().filter(|told| matches!(told, Told::Answered(_))).collect();
        let expected: &[Told] = if confirmed { &[Told::Answered("m".into())] } else { &[] };
        assert_eq!(answered, expected, "{route:?} {status}");
        let record = case.end(End::Complete, status, 40);
        assert_eq!(record.answered_model.as_deref(), confirmed.then_some("m"), "{route:?} {status}");
    }
}

#[test]
fn the_model_is_told_before_the_tokens_of_its_frame() {
    let mut case = Case::stream();
    case.frame(20, &[TEXT, Event::Model("m")]);
    let told = case.recorder.told();
    let answered = told.iter().position(|told| matches!(told, Told::Answered(_)));
    let tokens = told.iter().position(|told| matches!(told, Told::Tokens(_)));
    assert!(answered.unwrap() < tokens.unwrap());
}

#[test]
fn what_the_request_named_is_told_once_also_where_the_upload_never_ended() {
    for done in [true, false] {
        let mut case = Case::chat();
        case.observation.request_frame(b"{}");
        if done {
            case.observation.request_done(case.zero);
            case.observation.request_done(case.zero);
        }
        let recorder = case.recorder.clone();
        assert_eq!(case.end(End::ClientLeft, 499, 10).request_bytes, 2);
        let told = recorder.told();
        assert_eq!(told.iter().filter(|told| matches!(told, Told::Requested(_))).count(), 1);
    }
}

/// Lists `m` as `m:latest` on the backend that has it.
#[derive(Debug)]
struct Listed;

impl Names for Listed {
    fn requested(&self, backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        if backend == "has-it" { NamedModel::listed(format!("{name}:latest").into()) } else { name.into() }
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        None
    }
}

#[test]
fn a_model_that_is_named_before_a_backend_is_chosen_is_told_by_the_name_that_the_backend_lists() {
    for (backend, name) in [(Some("has-it"), "m:latest"), (None, "m")] {
        let recorder = Recorder::default();
        let zero = Instant::now();
        let start =
            Start { id: 1, method: Method::Post, route: CHAT, trace: TraceId::made_up(1), parent: None, at: zero };
        let settings = Settings { stall: Some(ms(5000)) };
        let shared = Shared { settings, residency: Arc::default(), names: Arc::new(Listed) };
        let mut observation = Observation::start(start, &shared, &Budget::unlimited(), &recorder);
        observation.request_frame(br#"{"model":"m"}"#);
        observation.request_ended();
        assert_eq!(recorder.told(), []);
        if let Some(backend) = backend {
            observation.placed(on(backend), zero);
        }
        observation.finish(End::Rejected(ErrorType::Limit), 503, zero, ms(0));
        let placed = backend.map(|backend| Told::Placed(backend.into()));
        let rest = [Told::Requested(Some(name.into())), Told::Finished(Outcome::Rejected)];
        assert_eq!(recorder.told(), placed.into_iter().chain(rest).collect::<Vec<_>>());
        let record = recorder.record();
        assert_eq!((record.backend(), record.requested_model.as_deref()), (backend.unwrap_or(""), Some(name)));
    }
}

/// Lists every model under the name that a request gives it, and counts the answers that it is asked about.
#[derive(Debug, Default)]
struct Asked(std::sync::atomic::AtomicU32);

impl Names for Asked {
    fn requested(&self, _backend: &str, _dialect: Dialect, name: &str) -> NamedModel {
        NamedModel::listed(name.into())
    }

    fn answered(&self, _backend: &str, _dialect: Dialect, _name: &str) -> Option<NamedModel> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        None
    }
}

#[test]
fn an_answer_in_the_name_that_was_asked_for_is_looked_up_on_another_backend_only() {
    for (attempt, answered, look_ups) in [(1, "m", 0), (1, "n", 1), (2, "m", 1)] {
        let names = Arc::new(Asked::default());
        let mut case = Case::chat();
        case.observation.shared.names = names.clone();
        case.observation.request_frame(br#"{"model":"m"}"#);
        case.observation.request_done(case.zero);
        case.observation.placed(Placement { attempt, ..on("local") }, case.zero);
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &[Event::Model(answered), TEXT]);
        assert_eq!(names.0.load(std::sync::atomic::Ordering::Relaxed), look_ups, "{attempt} {answered}");
        assert!(case.recorder.told().contains(&Told::Answered(answered.into())));
    }
}

#[test]
fn a_route_that_names_no_model_is_not_searched_for_one() {
    let case = Case::on(Route::OTHER, Recorder::default(), &Arc::default());
    let recorder = case.recorder.clone();
    case.complete(10);
    assert_eq!(recorder.told(), [Told::Placed("local".into()), Told::Finished(Outcome::Completed)]);
}

#[test]
fn a_cold_load_is_long_and_alone() {
    for (load, company, cold) in [(100, false, true), (99, false, false), (3000, true, false)] {
        let residency = Arc::new(Residency::default());
        let other = residency.enter(&"local".into(), "m", LoadOptions::default());
        let other = company.then_some(other);
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.observation.scanner = None;
        case.observation.stay = Some(residency.enter(&"local".into(), "m", LoadOptions::default()));
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &[Event::Timings(Timings { load: Some(ms(load)), ..Timings::default() }), Event::Terminal]);
        assert_eq!(case.complete(30).cold.is_some(), cold, "load {load} ms, company {company}");
        drop(other);
        assert!(
            residency.enter(&"local".into(), "m", LoadOptions::default()).cold(Some(ms(100))).is_some(),
            "the exchange gave its place back"
        );
    }
}

#[test]
fn an_exchange_is_on_its_model_once_the_backend_has_its_request() {
    let residency = Arc::new(Residency::default());
    let cold = || residency.enter(&"local".into(), "m", LoadOptions::default()).cold(Some(ms(100))).is_some();
    let mut case = Case::on(CHAT, Recorder::default(), &residency);
    case.observation.request_frame(br#"{"model":"m"}"#);
    case.observation.request_ended();
    case.observation.forwarded(Instant::now());
    assert!(cold(), "the backend is still being dialled: whoever gets through loads the model");
    case.observation.request_done(case.zero);
    assert!(!cold(), "this one loads it");
    case.complete(10);
    assert!(cold());
}

#[test]
fn a_model_that_answers_with_a_load_and_names_no_other_host_runs_here() {
    let residency = Arc::new(Residency::default());
    let backend: Arc<str> = "local".into();
    residency.looked(&backend, [].into_iter(), std::time::SystemTime::UNIX_EPOCH);
    residency.elsewhere(&backend, ["m", "mine"].into_iter());
    let loaded = Event::Timings(Timings { load: Some(ms(300)), ..Timings::default() });
    for (name, events, cold) in [
        ("m", vec![loaded, Event::Terminal], true),
        ("mine", vec![Event::Elsewhere, loaded, Event::Terminal], false),
        // Answers of the cloud itself are handed on as they are.
        ("n-cloud", vec![loaded, Event::Terminal], false),
    ] {
        let mut case = Case::on(CHAT, Recorder::default(), &residency);
        case.observation.scanner = None;
        case.observation.stay = Some(residency.enter(&backend, name, LoadOptions::default()));
        case.head(OK, 10);
        case.reading(true, true);
        case.frame(20, &events);
        assert_eq!(case.complete(30).cold.is_some(), cold, "{name}");
    }
}
