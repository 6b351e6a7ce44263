//! The monitoring against real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::Backend;
use super::catalogue::Catalogue;
use super::engine::EngineLoad;
use super::inventory::{Inventory, Runtime};
use super::monitor::{Monitor, Pace};
use super::probe;
use super::quiet::{ReadTraffic, Traffic};
use super::report::Report;
use super::status::{ProbeFailure, ProbeState};
use super::track::Change;

const PACE: Pace = Pace {
    probe_every: Duration::from_millis(5),
    probe_limit: Duration::from_millis(100),
    list_every: Duration::from_millis(5),
    list_limit: Duration::from_secs(5),
    poll_every: Duration::from_millis(5),
    quiet_after: Duration::from_nanos(1),
};

struct ProbeReport(UnboundedSender<bool>);

impl Report for ProbeReport {
    fn probed(&self, backend: &Arc<str>, up: bool, _took: Duration) {
        assert_eq!(&**backend, "gpu1");
        let _ = self.0.send(up);
    }
}

fn monitor(address: &str) -> Arc<Monitor> {
    let backend = Backend { name: "gpu1".into(), address: address.parse().expect("an address") };
    Arc::new(Monitor::new(backend, None, PACE, Instant::now()))
}

/// Reads a request's head; its first line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("ASCII")
}

/// Answers each request by its first line, and sends the request to `heads` afterwards.
async fn serve(listener: TcpListener, heads: UnboundedSender<String>, answer: impl Fn(&str) -> Option<String>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let head = head(&mut stream).await;
        if let Some(answer) = answer(&head) {
            stream.write_all(answer.as_bytes()).await.expect("an open connection");
        } else {
            let _ = stream.read_u8().await; // hangs until the other side gives up
        }
        let _ = heads.send(head);
    }
}

fn json(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn not_found() -> String {
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
}

/// Waits for this state. On a busy machine a probe may be late, or meet a listener that is just closing: that is down
/// for another reason, and the next probe has the right one.
async fn until(events: &mut UnboundedReceiver<bool>, monitor: &Monitor, state: ProbeState) {
    loop {
        events.recv().await.expect("the prober runs");
        if monitor.status.snapshot().state == state {
            return;
        }
    }
}

#[tokio::test]
async fn any_http_answer_is_up_and_a_closed_port_is_down_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    let (heads, mut seen) = unbounded_channel();
    let server =
        tokio::spawn(serve(listener, heads, |_| Some("HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\n".into())));
    let (tell, mut events) = unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let monitor = monitor(&format!("{address}/under/"));
    assert_eq!(monitor.status.snapshot().state, ProbeState::Unknown);
    let prober = tokio::spawn(probe::run(monitor.clone(), Arc::new(ProbeReport(tell)), stopped));

    until(&mut events, &monitor, ProbeState::Up).await;
    let request = seen.recv().await.expect("a probe").to_ascii_lowercase();
    assert!(request.starts_with("head /under/ http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: {address}\r\n")), "{request}");

    server.abort();
    until(&mut events, &monitor, ProbeState::Down(ProbeFailure::Refused)).await;
    stop.send(true).expect("the prober listens");
    prober.await.expect("the prober ends at shutdown");
}

#[tokio::test]
async fn silence_and_noise_are_down_for_their_own_reasons() {
    type Answer = fn(&str) -> Option<String>;
    let cases: [(Answer, ProbeFailure); 2] =
        [(|_| None, ProbeFailure::NoAnswer), (|_| Some("SSH-2.0-OpenSSH_9\r\n\r\n".into()), ProbeFailure::Protocol)];
    for (answer, failure) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let monitor = monitor(&listener.local_addr().expect("address").to_string());
        let (heads, _seen) = unbounded_channel();
        let server = tokio::spawn(serve(listener, heads, answer));
        let (tell, mut events) = unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let prober = tokio::spawn(probe::run(monitor.clone(), Arc::new(ProbeReport(tell)), stopped));
        until(&mut events, &monitor, ProbeState::Down(failure)).await;
        prober.abort();
        server.abort();
    }
}

#[tokio::test]
async fn a_backend_without_ollamas_listing_is_asked_for_openais_as_soon_as_it_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let monitor = monitor(&listener.local_addr().expect("address").to_string());
    let (heads, mut seen) = unbounded_channel();
    tokio::spawn(serve(listener, heads, |head| {
        Some(if head.starts_with("GET /v1/models ") { json(r#"{"data":[{"id":"org/model"}]}"#) } else { not_found() })
    }));
    let (tell, _events) = unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let catalogue = Arc::new(Catalogue::default());
    let report = Arc::new(ProbeReport(tell.clone()));
    tokio::spawn(super::survey::run(monitor.clone(), catalogue.clone(), report, busy(true), stopped.clone()));
    tokio::spawn(probe::run(monitor, Arc::new(ProbeReport(tell)), stopped));

    let mut listings = 0;
    while listings < 2 {
        // The second listing begins after the first has been taken over.
        listings += usize::from(seen.recv().await.expect("requests").starts_with("GET /v1/models "));
    }
    assert_eq!(catalogue.admitted("org/model").as_deref(), Some("org/model"));
    assert_eq!(catalogue.admitted("other"), None);
}

#[tokio::test]
async fn a_listing_without_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let monitor = monitor(&listener.local_addr().expect("address").to_string());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut sent = 0_usize;
        while stream.write_all(&[b' '; 4096]).await.is_ok() {
            sent += 4096;
        }
        sent
    });
    let budget = super::fetch::FetchLimits { time: Duration::from_secs(60), body: 64 * 1024 };
    let answer = super::fetch::fetch(&monitor.dialer, &monitor.host(), (http::Method::GET, "/"), budget).await;
    assert!(matches!(answer, Err(super::fetch::FetchError::TooLarge)), "{answer:?}");
    assert!(server.await.expect("the server ends") < 64 * 1024 * 1024, "the connection is closed early");
}

/// One call of a report.
#[derive(Debug, PartialEq)]
enum SurveyEvent {
    Listed(Inventory),
    Resident(Inventory, Vec<Change>),
    Load(Vec<EngineLoad>),
}

struct SurveyReport(UnboundedSender<SurveyEvent>);

impl Report for SurveyReport {
    fn listed(&self, _backend: &Arc<str>, inventory: &Inventory) {
        let _ = self.0.send(SurveyEvent::Listed(inventory.clone()));
    }
    fn resident(&self, _backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        let _ = self.0.send(SurveyEvent::Resident(inventory.clone(), changes.to_vec()));
    }
    fn load(&self, _backend: &Arc<str>, load: &[EngineLoad]) {
        let _ = self.0.send(SurveyEvent::Load(load.to_vec()));
    }
}

/// A surveyed backend with these answers. Aborting the first task closes it.
async fn surveyed(
    answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> (tokio::task::JoinHandle<()>, Arc<Monitor>, UnboundedReceiver<SurveyEvent>, watch::Sender<bool>) {
    let (heads, _) = unbounded_channel();
    surveyed_under(busy(true), heads, answer).await
}

/// Constant traffic, or none.
fn busy(in_flight: bool) -> ReadTraffic {
    Box::new(move || Traffic { begun: 0, in_flight })
}

/// As [`surveyed`], with this traffic; `heads` receives each request after its answer.
async fn surveyed_under(
    traffic: ReadTraffic,
    heads: UnboundedSender<String>,
    answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> (tokio::task::JoinHandle<()>, Arc<Monitor>, UnboundedReceiver<SurveyEvent>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let monitor = monitor(&listener.local_addr().expect("address").to_string());
    let server = tokio::spawn(serve(listener, heads, answer));
    let (tell, events) = unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let report: Arc<dyn Report> = Arc::new(SurveyReport(tell));
    let catalogue = Arc::new(Catalogue::default());
    tokio::spawn(super::survey::run(monitor.clone(), catalogue, report.clone(), traffic, stopped.clone()));
    tokio::spawn(probe::run(monitor.clone(), report, stopped));
    (server, monitor, events, stop)
}

async fn found<T>(events: &mut UnboundedReceiver<SurveyEvent>, mut wanted: impl FnMut(SurveyEvent) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(events.recv().await.expect("the survey runs")) {
            return found;
        }
    }
}

fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn llama_cpp_says_how_many_requests_it_works_on_at_once() {
    let (_server, _monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"m","owned_by":"llamacpp"}]}"#),
            "/props" => json(r#"{"build_info":"b1","total_slots":3}"#),
            _ => not_found(),
        })
    })
    .await;
    let slots = found(&mut events, |found| match found {
        SurveyEvent::Listed(inventory) => Some(inventory.slots),
        _ => None,
    });
    assert_eq!(slots.await.map(std::num::NonZeroU32::get), Some(3));
}

#[tokio::test]
async fn each_server_is_recognised_by_what_only_it_answers() {
    type Answers = &'static [(&'static str, &'static str)];
    let openai = |owner: &str| format!(r#"{{"data":[{{"id":"org/m","owned_by":"{owner}","max_model_len":4096}}]}}"#);
    let table: [(Runtime, Option<&str>, String, Answers); 7] = [
        (
            Runtime::Ollama,
            Some("0.24.0"),
            openai("library"),
            &[("/api/tags", r#"{"models":[{"name":"org/m"}]}"#), ("/api/version", r#"{"version":"0.24.0"}"#)],
        ),
        (
            Runtime::LlamaCpp,
            Some("b1-0c1e570"),
            openai("llamacpp"),
            &[("/api/tags", r#"{"models":[{"name":"org/m"}]}"#), ("/props", r#"{"build_info":"b1-0c1e570"}"#)],
        ),
        (Runtime::Vllm, Some("0.33.0"), openai("vllm"), &[("/version", r#"{"version":"0.33.0"}"#)]),
        (
            Runtime::Sglang,
            Some("0.5.23"),
            openai("sglang"),
            &[
                ("/api/tags", r#"{"models":[{"name":"org/m"}]}"#),
                ("/api/version", r#"{"version":"0.5.23"}"#),
                ("/server_info", r#"{"version":"0.5.23","api_key":"secret"}"#),
            ],
        ),
        (
            Runtime::Tgi,
            Some("3.3.4"),
            openai("org/m"),
            &[("/info", r#"{"model_id":"org/m","version":"3.3.4","max_concurrent_requests":1,"max_best_of":1}"#)],
        ),
        (
            Runtime::LmStudio,
            None,
            openai("organization_owner"),
            &[("/api/v0/models", r#"{"data":[{"id":"org/m","state":"loaded"}]}"#)],
        ),
        (Runtime::Unknown, None, openai("somebody"), &[]),
    ];
    for (runtime, version, models, answers) in table {
        let (_server, _monitor, mut events, _stop) = surveyed(move |head| {
            let known = answers.iter().find(|(known, _)| *known == path(head)).map(|(_, body)| json(body));
            Some(known.unwrap_or_else(|| if path(head) == "/v1/models" { json(&models) } else { not_found() }))
        })
        .await;
        let listed = found(&mut events, |found| match found {
            SurveyEvent::Listed(inventory) => Some(inventory),
            _ => None,
        })
        .await;
        assert_eq!((listed.runtime, listed.version.as_deref()), (runtime, version));
        assert_eq!(&*listed.models[0].name, "org/m", "{runtime:?}");
    }
}

#[tokio::test]
async fn loads_and_evictions_are_seen_and_forgotten_when_the_backend_closes() {
    use std::sync::atomic::{AtomicU8, Ordering};
    let memory = Arc::new(AtomicU8::new(0));
    let held = memory.clone();
    let (server, monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/api/tags" => json(r#"{"models":[{"name":"a:1"},{"name":"b:1"}]}"#),
            "/api/version" => json(r#"{"version":"0.24.0"}"#),
            "/api/ps" if held.load(Ordering::SeqCst) == 0 => json(r#"{"models":[{"name":"a:1","size_vram":7}]}"#),
            "/api/ps" => json(r#"{"models":[{"name":"b:1"}]}"#),
            _ => not_found(),
        })
    })
    .await;
    let resident = |found| match found {
        SurveyEvent::Resident(inventory, changes) => Some((inventory, changes)),
        _ => None,
    };
    let (inventory, changes) = found(&mut events, resident).await;
    let names: Vec<&str> = inventory.resident_names().expect("it says").map(|(name, _)| name).collect();
    assert_eq!((names, changes), (vec!["a:1"], vec![]));
    memory.store(1, Ordering::SeqCst);
    let changes =
        found(&mut events, |found| resident(found).map(|(_, changes)| changes).filter(|all| !all.is_empty())).await;
    assert_eq!(changes, [Change::Evicted("a:1".into()), Change::Loaded("b:1".into())]);
    server.abort();
    found(&mut events, |found| resident(found).filter(|(inventory, _)| inventory.resident.is_none())).await;
    assert_eq!(monitor.inventory().resident, None);
    assert_eq!(monitor.inventory().models.len(), 2, "what it lists is as it was last seen");
}

#[tokio::test]
async fn the_load_of_engines_is_read_and_withdrawn_when_it_is_no_longer_served() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let serves = Arc::new(AtomicBool::new(true));
    let served = serves.clone();
    let (_server, _monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"m.gguf","owned_by":"llamacpp"}]}"#),
            "/metrics" if served.load(Ordering::SeqCst) => json("llamacpp:requests_processing 2\n"),
            _ => not_found(),
        })
    })
    .await;
    let load = |found| match found {
        SurveyEvent::Load(load) => Some(load),
        _ => None,
    };
    let first = found(&mut events, load).await;
    assert_eq!((first[0].model.as_deref(), first[0].running), (Some("m.gguf"), Some(2.0)));
    serves.store(false, Ordering::SeqCst);
    found(&mut events, |found| load(found).filter(Vec::is_empty)).await;
}

/// The paths requested of a llama.cpp server with these `/props`, until `/props` was requested `polls` times.
async fn requested_of_llama_cpp(props: &'static str, in_flight: bool, polls: usize) -> Vec<String> {
    let (heads, mut asked) = unbounded_channel();
    let (_server, _monitor, _events, _stop) = surveyed_under(busy(in_flight), heads, move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"m.gguf","owned_by":"llamacpp"}]}"#),
            "/props" => json(props),
            "/metrics" => json("llamacpp:requests_processing 0\n"),
            _ => not_found(),
        })
    })
    .await;
    let mut paths = Vec::new();
    while paths.iter().filter(|path| *path == "/props").count() < polls {
        paths.push(path(&asked.recv().await.expect("the survey runs")).to_owned());
    }
    paths
}

/// Before build 10519 `/metrics` resets llama.cpp's idle timer, and loads a model that was unloaded.
#[tokio::test]
async fn the_survey_neither_wakes_llama_cpp_nor_keeps_it_awake() {
    for (props, in_flight, asks) in [
        (r#"{"is_sleeping":true}"#, true, false),
        (r#"{"is_sleeping":true}"#, false, false),
        (r#"{"is_sleeping":false}"#, true, true),
        (r#"{"is_sleeping":false}"#, false, false),
        ("it wants a key", false, false),
        // Before there was a sleep to disturb.
        (r#"{"build_info":"b1"}"#, false, true),
    ] {
        let paths = requested_of_llama_cpp(props, in_flight, 10).await;
        assert_eq!(paths.iter().any(|path| path == "/metrics"), asks, "{props} {in_flight}: {paths:?}");
        let harmless = ["/", "/api/tags", "/v1/models", "/props", "/metrics"];
        assert!(paths.iter().all(|path| harmless.contains(&&**path)), "{paths:?}");
    }
}

#[tokio::test]
async fn a_model_that_llama_cpp_unloaded_to_sleep_is_not_in_memory() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let sleeps = Arc::new(AtomicBool::new(false));
    let asleep = sleeps.clone();
    let (_server, _monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"m.gguf","owned_by":"llamacpp"}]}"#),
            "/props" if asleep.load(Ordering::SeqCst) => json(r#"{"is_sleeping":true}"#),
            "/props" => json(r#"{"is_sleeping":false}"#),
            _ => not_found(),
        })
    })
    .await;
    let changed = |found| match found {
        SurveyEvent::Resident(_, changes) if !changes.is_empty() => Some(changes),
        _ => None,
    };
    found(&mut events, |found| matches!(found, SurveyEvent::Resident(..)).then_some(())).await;
    sleeps.store(true, Ordering::SeqCst);
    assert_eq!(found(&mut events, changed).await, [Change::Evicted("m.gguf".into())]);
    sleeps.store(false, Ordering::SeqCst);
    assert_eq!(found(&mut events, changed).await, [Change::Loaded("m.gguf".into())]);
}

/// The metrics of an unknown server are requested to recognise it, but not while it is idle.
#[tokio::test]
async fn metrics_of_an_idle_server_are_not_requested_to_recognise_it() {
    for in_flight in [true, false] {
        let (heads, mut asked) = unbounded_channel();
        let (_server, _monitor, _events, _stop) = surveyed_under(busy(in_flight), heads, |_| Some(not_found())).await;
        let mut paths = Vec::new();
        while paths.iter().filter(|path| *path == "/info").count() < 3 {
            paths.push(path(&asked.recv().await.expect("the survey runs")).to_owned());
        }
        assert_eq!(paths.iter().any(|path| path == "/metrics"), in_flight, "{paths:?}");
    }
}

/// The inventory of a server with these answers, after the first listing and the first poll.
async fn inventory_of(answers: &'static [(&'static str, &'static str)]) -> Inventory {
    let (_server, monitor, mut events, _stop) = surveyed(move |head| {
        let known = answers.iter().find(|(known, _)| *known == path(head)).map(|(_, body)| json(body));
        Some(known.unwrap_or_else(not_found))
    })
    .await;
    let mut listings = 0;
    found(&mut events, |found| {
        listings += usize::from(matches!(found, SurveyEvent::Listed(_)));
        (listings > 1).then_some(())
    })
    .await;
    (*monitor.inventory()).clone()
}

#[tokio::test]
async fn old_and_similar_servers_yield_fewer_facts_and_no_wrong_ones() {
    // Go's empty lists.
    let empty = inventory_of(&[
        ("/api/tags", r#"{"models":null}"#),
        ("/api/version", r#"{"version":"0.1.33"}"#),
        ("/api/ps", r#"{"models":null}"#),
    ])
    .await;
    assert_eq!((empty.runtime, empty.models.len(), empty.resident), (Runtime::Ollama, 0, Some(vec![])));
    // Before 0.1.33 there was no `/api/ps`, and in no version of a look-alike need there be a version.
    let old = inventory_of(&[("/api/tags", r#"{"models":[{"name":"a:1"}]}"#)]).await;
    assert_eq!((old.runtime, old.models.len(), old.resident), (Runtime::Unknown, 1, None));
    // LM Studio before its own API lists what is on disk, not what is in memory.
    const ON_DISK: &str =
        r#"{"data":[{"id":"a","owned_by":"organization_owner"},{"id":"b","owned_by":"organization_owner"}]}"#;
    let studio = inventory_of(&[("/v1/models", ON_DISK)]).await;
    assert_eq!((studio.runtime, studio.models.len(), studio.resident), (Runtime::LmStudio, 2, None));
    // A gateway in front of several engines is not an engine itself.
    let gateway =
        inventory_of(&[("/v1/models", r#"{"data":[{"id":"a","owned_by":"vllm"},{"id":"b","owned_by":"sglang"}]}"#)])
            .await;
    assert_eq!((gateway.runtime, gateway.models.len(), gateway.resident), (Runtime::Unknown, 2, None));
}

#[tokio::test]
async fn behind_the_router_of_sglang_no_fact_of_one_server_is_taken_for_all() {
    const LISTED: (&str, &str) =
        ("/v1/models", r#"{"data":[{"id":"org/a","owned_by":"sglang","max_model_len":4096}]}"#);
    const VERSION: (&str, &str) = (
        "/get_server_info",
        r#"{"version":"0.5.23","internal_states":[{"effective_max_running_requests_per_dp":48}]}"#,
    );
    let slots = |inventory: &Inventory| inventory.slots.map(std::num::NonZeroU32::get);
    let names = |inventory: &Inventory| inventory.models.iter().map(|model| model.name.to_string()).collect::<Vec<_>>();
    let alone = inventory_of(&[LISTED, VERSION]).await;
    assert_eq!(
        (names(&alone), alone.version.as_deref(), alone.is_partial),
        (vec!["org/a".into()], Some("0.5.23"), false)
    );
    assert_eq!(slots(&alone), Some(48));
    assert_eq!(alone.resident.expect("its own")[0].context, Some(4096));
    // One server behind a router.
    let one =
        inventory_of(&[LISTED, VERSION, ("/workers", r#"{"workers":[{"url":"http://a","model_id":"org/a"}]}"#)]).await;
    assert_eq!((one.version.as_deref(), slots(&one), one.is_partial), (Some("0.5.23"), Some(48), false));
    let two = inventory_of(&[
        LISTED,
        VERSION,
        ("/workers", r#"{"workers":[{"url":"http://b","model_id":"org/b"},{"url":"http://a","model_id":"org/a"}]}"#),
    ])
    .await;
    assert_eq!(
        (names(&two), two.version.as_deref(), two.is_partial),
        (vec!["org/b".into(), "org/a".into()], None, false)
    );
    assert_eq!(slots(&two), None);
    let contexts: Vec<_> = two.resident.expect("both").iter().map(|model| model.context).collect();
    assert_eq!(contexts, [None, None]);
    // An old one tells only how many there are.
    let old = inventory_of(&[LISTED, VERSION, ("/list_workers", r#"{"urls":["http://a","http://b"]}"#)]).await;
    assert_eq!((names(&old), old.version, old.resident, old.is_partial), (vec!["org/a".into()], None, None, true));
}

#[tokio::test]
async fn behind_a_router_the_software_is_that_of_all_servers_or_unknown() {
    const SGLANG: (&str, &str) =
        ("/v1/models", r#"{"data":[{"id":"org/a","owned_by":"sglang","max_model_len":4096}]}"#);
    const VLLM: (&str, &str) = ("/v1/models", r#"{"data":[{"id":"org/a","owned_by":"vllm","max_model_len":4096}]}"#);
    const SERVERS: (&str, &str) = (
        "/workers",
        r#"{"workers":[{"model_id":"org/a","runtime_type":"sglang"},{"model_id":"org/b","runtime_type":"vllm"}]}"#,
    );
    for listed in [SGLANG, VLLM] {
        let mixed = inventory_of(if listed == VLLM { &[VLLM, SERVERS] } else { &[SGLANG, SERVERS] }).await;
        let names: Vec<_> = mixed.models.iter().map(|model| &*model.name).collect();
        assert_eq!((mixed.runtime, mixed.version, &names[..]), (Runtime::Unknown, None, &["org/a", "org/b"][..]));
        assert_eq!(mixed.resident, None);
    }
    const ALIKE: (&str, &str) = (
        "/workers",
        r#"{"workers":[{"model_id":"org/a","runtime_type":"vllm"},{"model_id":"org/b","runtime_type":"vllm"}]}"#,
    );
    let alike = inventory_of(&[VLLM, ALIKE]).await;
    assert_eq!((alike.runtime, alike.version, alike.models.len()), (Runtime::Vllm, None, 2));
}

/// vLLM's production stack (`vllm_router/routers/main_router.py`).
#[tokio::test]
async fn the_version_of_a_router_is_not_that_of_vllm() {
    const VERSION: (&str, &str) = ("/version", r#"{"version":"0.1.8"}"#);
    let stack = inventory_of(&[
        (
            "/v1/models",
            r#"{"data":[{"id":"org/a","owned_by":"vllm","max_model_len":null},{"id":"org/b","owned_by":"vllm"}]}"#,
        ),
        VERSION,
    ])
    .await;
    assert_eq!((stack.runtime, stack.version, stack.models.len()), (Runtime::Vllm, None, 2));
    let alone = inventory_of(&[
        (
            "/v1/models",
            r#"{"data":[{"id":"org/a","owned_by":"vllm","max_model_len":4096},{"id":"adapter","owned_by":"vllm"}]}"#,
        ),
        VERSION,
    ])
    .await;
    assert_eq!(alone.version.as_deref(), Some("0.1.8"));
}

#[tokio::test]
async fn a_router_of_sglang_that_wants_a_key_is_not_taken_for_one_server() {
    let (_server, monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"org/a","owned_by":"sglang","max_model_len":4096}]}"#),
            "/get_server_info" => json(r#"{"version":"0.5.23"}"#),
            "/workers" => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned(),
            _ => not_found(),
        })
    })
    .await;
    found(&mut events, |found| matches!(found, SurveyEvent::Listed(_)).then_some(())).await;
    found(&mut events, |found| matches!(found, SurveyEvent::Listed(_)).then_some(())).await;
    let inventory = monitor.inventory();
    assert_eq!((inventory.version.as_deref(), &inventory.resident, inventory.is_partial), (None, &None, true));
}

#[tokio::test]
async fn a_failed_request_changes_no_runtime_and_withdraws_the_models_in_memory() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fails = Arc::new(AtomicBool::new(false));
    let failing = fails.clone();
    let (_server, monitor, mut events, _stop) = surveyed(move |head| {
        Some(match path(head) {
            "/v1/models" => json(r#"{"data":[{"id":"a:1","owned_by":"library"}]}"#),
            "/api/tags" | "/api/version" | "/api/ps" if failing.load(Ordering::SeqCst) => {
                "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            "/api/tags" => json(r#"{"models":[{"name":"a:1","digest":"1234"}]}"#),
            "/api/version" => json(r#"{"version":"0.24.0"}"#),
            "/api/ps" => json(r#"{"models":[{"name":"a:1","size_vram":7}]}"#),
            _ => not_found(),
        })
    })
    .await;
    let resident = |found| match found {
        SurveyEvent::Resident(inventory, changes) => Some((inventory, changes)),
        _ => None,
    };
    found(&mut events, resident).await;
    fails.store(true, Ordering::SeqCst);
    let (unknown, _) =
        found(&mut events, |found| resident(found).filter(|(inventory, _)| inventory.resident.is_none())).await;
    assert_eq!((unknown.runtime, unknown.models.len()), (Runtime::Ollama, 1));
    fails.store(false, Ordering::SeqCst);
    let (again, changes) =
        found(&mut events, |found| resident(found).filter(|(inventory, _)| inventory.resident.is_some())).await;
    assert_eq!((again.runtime, changes), (Runtime::Ollama, vec![]), "nothing was loaded meanwhile");
    assert_eq!(monitor.inventory().models[0].revision.as_deref(), Some("1234"));
}
