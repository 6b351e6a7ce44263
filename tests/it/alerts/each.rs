//! Every rule provoked once on the real program, and over again: something goes wrong in it or around it, and what it
//! exposes then is evaluated in time-lapse.
//!
//! A rule that is added fails here until it is provoked, or listed with why it cannot be.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inferometer::alert::engine::{Change, Engine};
use inferometer::alert::labels::Labels;
use inferometer::alert::rule::{Evaluated, Rule};
use inferometer::alert::rules;

use super::provoked::{DONE, M, PART, chat, exchanges_of};
use super::settings;
use crate::support::authority::folder;
use crate::support::client::{Client, ask};
use crate::support::look_until;
use crate::support::nvml::StandIn;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, STATE, command};
use crate::support::servers::{free, written};
use crate::support::simulator::Simulator;

/// What the program exposes, and for how many seconds.
pub(super) type Page = (String, i64);

/// Longer than every window of the rules with the time that they hold.
pub(super) const LONG: i64 = 5_500;

/// Rules that are not provoked here, and why. The others are played by promtool and by the evaluator on synthetic histories.
const NOT: &[(&str, &str)] = &[
    ("InferometerProcessorHot", "a machine for tests has no sensor"),
    ("InferometerThermalPressure", "only macOS tells it"),
    ("InferometerHighOverhead", "it takes a machine without a free processor for ten minutes"),
    ("InferometerSeriesDropped", "it takes ten thousand series of one family"),
    ("InferometerHistoryDropping", "it takes more exchanges than a disk can write"),
];

/// Rules with the function that provokes each: the pages of the program, of which the last is of one that is well again.
macro_rules! provoked {
    ($($rule:ident: $how:expr;)*) => {
        const BY_TEST: &[&str] = &[$(stringify!($rule)),*];
        $(
            #[test]
            #[allow(non_snake_case, reason = "the name of the rule")]
            fn $rule() {
                let name = concat!("Inferometer", stringify!($rule));
                let rule = rules::find(name).unwrap_or_else(|| panic!("there is no rule {name}"));
                begins_and_ends(rule, $how);
            }
        )*
    };
}

provoked! {
    BackendDown: backend_down();
    ErrorRate: failing();
    GenerationWithoutTokens: silent_generation();
    SlowFirstToken: slow_first_tokens();
    Stalls: stalls();
    Cancellations: cancellations();
    TruncatedStreams: truncated();
    UsageMissing: usage_missing();
    RequestsWaiting: waiting();
    PromptTruncation: cut_prompts();
    ColdStarts: thrash();
    ModelThrash: thrash();
    ModelLabelCap: too_many_models();
    CollectorFailing: hanging_driver();
    GpuCollectorStale: hanging_driver();
    HistoryPaused: paused_history();
    HistoryReplicaBehind: copy_behind();
    GpuLost: gpu(&["", "lost=1", ""]);
    GpuXidCritical: gpu(&["", "xid=1,0,79", "xid=1,0,79"]);
    GpuXidHardware: gpu(&["", "xid=1,0,48", "xid=1,0,48"]);
    GpuXidApplication: gpu(&["", "xid=1,0,31", "xid=1,0,31"]);
    GpuEccUncorrected: gpu(&["errors=0", "errors=500", "errors=500"]);
    GpuEccCorrected: gpu(&["errors=0", "errors=500", "errors=500"]);
    GpuRowRemapPending: gpu(&["", "hot", ""]);
    GpuRowRemapFailed: gpu(&["", "worn", ""]);
    GpuThermalThrottling: gpu(&["errors=0", "hot errors=0", "errors=0"]);
    GpuPowerBrake: gpu(&["errors=0", "brake errors=0", "errors=0"]);
    GpuPowerCapped: gpu(&["errors=0", "hot errors=0", "errors=0"]);
    GpuMemoryNearlyFull: gpu(&["", "full", ""]);
    GpuNvLinkErrors: gpu(&["errors=0", "errors=1", "errors=2", "errors=3", "errors=4", "errors=5", "errors=5"]);
    ModelWithoutBackend: two_backends_down();
    BackendEjected: ejected();
    FleetImbalance: one_sided();
    ModelRevisionConflict: revisions();
    HelperDown: helper_down();
}

/// Conditions of the machine that no test may bring about: its real figures, beyond a threshold that they exceed. A disk that
/// is full is provoked by `disk` as well, where there is root.
const MOVED: &[(&str, &str, &str)] = &[
    ("InferometerMemoryPressure", "> 0.2", ">= 0"),
    ("InferometerMemoryNearlyFull", "> 0.95", "> 0"),
    ("InferometerDiskNearlyFull", "< 0.05", "< 2"),
];

#[test]
fn every_rule_is_provoked_or_says_why_not() {
    let by_test = BY_TEST.iter().map(|rule| format!("Inferometer{rule}"));
    let moved = MOVED.iter().map(|(rule, ..)| (*rule).to_owned());
    let not = NOT.iter().map(|(rule, _)| (*rule).to_owned());
    let listed: Vec<_> = by_test.chain(moved).chain(not).collect();
    let known: BTreeSet<_> = listed.iter().map(String::as_str).collect();
    assert_eq!(known.len(), listed.len(), "a rule is there twice");
    let here = rules::all().filter(|rule| rule.evaluated == Evaluated::Here).map(|rule| rule.name);
    assert_eq!(known, here.collect::<BTreeSet<_>>());
}

#[test]
fn conditions_of_the_machine_hold_on_its_real_figures_where_the_threshold_is_another() {
    let ollama = Ollama::listing(&["m"]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    let page = look_until(|| match program.fetch("/metrics") {
        page if page.contains("_filesystem_size_bytes") && page.contains("_memory_usage_bytes") => Ok(page),
        page => Err(page),
    });
    for (name, before, after) in MOVED {
        let rule = rules::find(name).expect("a rule");
        let expr = rule.expr.replace(before, after);
        assert_ne!(expr, rule.expr, "{name}");
        let moved: &'static Rule = Box::leak(Box::new(Rule { expr: Box::leak(expr.into_boxed_str()), ..*rule }));
        if *name == "InferometerMemoryPressure" && !page.contains("_pressure_stalled") {
            // A kernel without PSI.
            continue;
        }
        assert_eq!(play(moved, &[(page.clone(), LONG)]).0, [*name], "{name} begins");
        assert_eq!(play(rule, &[(page.clone(), 60)]).0, [""; 0], "{name}: this machine is well");
    }
}

/// The rule must fire on the pages before the last, and be over at the end of the last.
fn begins_and_ends(rule: &'static Rule, pages: Vec<Page>) {
    let (fired, over) = play(rule, &pages);
    let last = &pages.last().expect("a page").0;
    assert_eq!(fired.first().map(String::as_str), Some(rule.name), "{} does not begin:\n{last}", rule.name);
    assert_eq!(over.len(), fired.len(), "{} does not end:\n{last}", rule.name);
}

/// Plays pages, each every ten seconds. Returns the alerts that fired, and those that ended. The clock is the real one at the
/// beginning: some rules compare it with times that the program exposes.
pub(super) fn play(rule: &'static Rule, pages: &[Page]) -> (Vec<String>, Vec<String>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let (mut engine, mut at) = (Engine::new([rule]), i64::try_from(now).expect("in range"));
    let target = Labels::default().with("job", "ollama_proxy").with("instance", "test");
    let (mut fired, mut over) = (Vec::new(), Vec::new());
    for (place, (page, seconds)) in pages.iter().enumerate() {
        let page = seen_by(rule, page);
        for _ in (0..*seconds).step_by(10) {
            let is_over = !fired.is_empty() && over.len() == fired.len();
            if is_over && place + 1 == pages.len() {
                return (fired, over);
            }
            engine.samples().scrape(&page, &target, at);
            for change in engine.step(at) {
                match change {
                    Change::Fired(alert) => fired.push(alert.rule.to_string()),
                    Change::Resolved(alert) => over.push(alert.rule.to_string()),
                }
            }
            at += 10_000;
        }
    }
    (fired, over)
}

/// The lines of the families that the rule names: the others would only be read over and over.
fn seen_by(rule: &Rule, page: &str) -> String {
    let name = |line: &str| line.split(['{', ' ']).next().is_some_and(|name| rule.expr.contains(name));
    page.lines().filter(|line| name(line)).map(|line| format!("{line}\n")).collect()
}

fn before(ollama: &Ollama, arguments: &[&str]) -> Program {
    let file = settings("");
    let mut all = vec!["--config", &file];
    all.extend(arguments);
    let program = Program::with(ollama.address, &all);
    program.wait_for("backend_up", &["test"], 1.0);
    program
}

/// Before and after something was counted, and long enough for it to be past.
fn counted(before: String, after: String) -> Vec<Page> {
    vec![(before, 30), (after.clone(), 1_500), (after, LONG)]
}

fn backend_down() -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    let program = before(&ollama, &[]);
    ollama.fall_silent(true);
    program.wait_for("backend_up", &["test"], 0.0);
    let down = program.fetch("/metrics");
    ollama.fall_silent(false);
    program.wait_for("backend_up", &["test"], 1.0);
    vec![(down, 120), (program.fetch("/metrics"), 30)]
}

fn exchanges(status: &'static str, lines: &[&str], count: usize) -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", status, lines);
    let program = before(&ollama, &[]);
    let (before, after) = exchanges_of(&program, count, || chat(&program));
    counted(before, after)
}

fn failing() -> Vec<Page> {
    exchanges("500 Internal Server Error", &[r#"{"error":"out of memory"}"#], 25)
}

fn truncated() -> Vec<Page> {
    exchanges("200 OK", &[PART, PART], 4)
}

fn usage_missing() -> Vec<Page> {
    exchanges("200 OK", &[PART, r#"{"model":"m","message":{"content":""},"done":true,"done_reason":"stop"}"#], 25)
}

fn stalls() -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, PART, DONE]);
    ollama.slow("POST /api/chat", Duration::ZERO, Duration::from_millis(60));
    let file = settings("[limits]\nstall = \"20ms\"\n");
    let program = Program::with(ollama.address, &["--config", &file]);
    let (before, after) = exchanges_of(&program, 12, || chat(&program));
    counted(before, after)
}

/// A request that is sent; its client waits.
fn sent(program: &Program, body: &str) -> Client {
    let mut client = Client::connect(program.clients);
    let head = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json";
    client.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    client
}

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// An Ollama that needs some time for each answer, and a program that has seen its model.
fn slow(head: Duration, between: Duration) -> (Ollama, Program) {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, DONE]);
    let program = before(&ollama, &[]);
    exchanges_of(&program, 0, || chat(&program));
    ollama.slow("POST /api/chat", head, between);
    (ollama, program)
}

fn silent_generation() -> Vec<Page> {
    let (_ollama, program) = slow(Duration::from_secs(60), Duration::ZERO);
    let client = sent(&program, CHAT);
    program.wait_for("active_generations", &[M], 1.0);
    let silent = program.fetch("/metrics");
    drop(client);
    program.wait_for("active_generations", &[M], 0.0);
    vec![(silent, 1_000), (program.fetch("/metrics"), 300)]
}

fn slow_first_tokens() -> Vec<Page> {
    let (_ollama, program) = slow(Duration::from_secs(11), Duration::ZERO);
    let page = program.fetch("/metrics");
    let before = program.metric("requests_total", &[M]);
    let clients: Vec<_> = (0..16).map(|_| sent(&program, CHAT)).collect();
    program.wait_for("requests_total", &[M], before + 16.0);
    drop(clients);
    counted(page, program.fetch("/metrics"))
}

fn cancellations() -> Vec<Page> {
    let (_ollama, program) = slow(Duration::from_secs(60), Duration::ZERO);
    // The series is there before it is looked at.
    let leave = || drop(sent(&program, CHAT));
    leave();
    program.wait_for("client_cancellations_total", &[M], 1.0);
    let page = program.fetch("/metrics");
    (0..25).for_each(|_| leave());
    program.wait_for("client_cancellations_total", &[M], 26.0);
    counted(page, program.fetch("/metrics"))
}

fn waiting() -> Vec<Page> {
    let (ollama, program) = slow(Duration::ZERO, Duration::from_secs(60));
    let mut decoding = sent(&program, CHAT);
    decoding.until("\"content\":\"x\"");
    ollama.slow("POST /api/chat", Duration::from_secs(60), Duration::ZERO);
    let clients: Vec<_> = (0..6).map(|_| sent(&program, CHAT)).collect();
    let phase = |name: &str| program.metric("exchanges_in_phase", &[M, &format!("phase=\"{name}\"")]);
    look_until(|| match (phase("waiting"), phase("decode")) {
        (waiting, decode) if waiting >= 6.0 && decode >= 1.0 => Ok(()),
        other => Err(format!("{other:?} wait and decode: {}", program.fetch("/metrics"))),
    });
    let page = program.fetch("/metrics");
    drop((clients, decoding));
    program.wait_for("active_generations", &[M], 0.0);
    vec![(page, 1_000), (program.fetch("/metrics"), 1_000)]
}

/// Prompts of which the server reads exactly as much as its context holds.
fn cut_prompts() -> Vec<Page> {
    let done = DONE.replace("\"prompt_eval_count\":3", "\"prompt_eval_count\":2048");
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, &done]);
    let program = before(&ollama, &[]);
    let text = "word ".repeat(3_000);
    let body =
        format!(r#"{{"model":"m","options":{{"num_ctx":2048}},"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let (before, after) = exchanges_of(&program, 8, || drop(sent(&program, &body).until("0\r\n\r\n")));
    counted(before, after)
}

/// Two models that a server with room for one is asked for in turn.
fn thrash() -> Vec<Page> {
    let server = Simulator::with(&["--max-loaded", "1"]);
    let program = Program::with(server.address, &["--config", &settings("")]);
    let models = ["llama3.2:3b", "qwen3:8b"];
    let switch = |at: usize| {
        let model = models[at % 2];
        let body = format!(r#"{{"model":"{model}","prompt":"x","options":{{"num_predict":1}}}}"#);
        let head = "POST /api/generate HTTP/1.1\r\nHost: a\r\nConnection: close";
        ask(program.clients, format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        program.wait_for("model_loaded", &[&format!("model=\"{model}\"")], 1.0);
    };
    (0..4).for_each(switch);
    let before = program.fetch("/metrics");
    (4..48).for_each(switch);
    counted(before, program.fetch("/metrics"))
}

fn too_many_models() -> Vec<Page> {
    let ollama = Ollama::listing(&["a", "m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, DONE]);
    let program = before(&ollama, &["--max-models", "1"]);
    let other = "model=\"other\"";
    // The first that is listed has the only label.
    look_until(|| match program.fetch("/metrics") {
        page if page.contains("requests_ended_total{backend=\"test\",model=\"a\"}") => Ok(()),
        page => Err(page),
    });
    look_until(|| {
        chat(&program);
        if program.metric("requests_total", &[other]) >= 1.0 { Ok(()) } else { Err(program.fetch("/metrics")) }
    });
    let (page, seen) = (program.fetch("/metrics"), program.metric("requests_total", &[other]));
    chat(&program);
    program.wait_for("requests_total", &[other], seen + 1.0);
    counted(page, program.fetch("/metrics"))
}

/// What the stand-in for the driver plays, in turn: well, ill for an hour or so, and well again.
fn gpu(words: &[&str]) -> Vec<Page> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let name = format!("alert-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let (stand_in, ollama) = (StandIn::new(&name), Ollama::listing(&["m"]));
    stand_in.play(words[0]);
    let program = Program::with_libraries(stand_in.folder(), ollama.address, &["--config", &settings("")]);
    let page = |word: &str| {
        stand_in.play(word);
        let readings = || program.metric("collector_last_success_timestamp_seconds", &["collector=\"nvidia\""]);
        // Three whole readings later it is seen, whichever of them had begun before.
        for _ in 0..3 {
            let before = look_until(|| Some(readings()).filter(|at| *at > 0.0).ok_or(program.fetch("/metrics")));
            look_until(|| if readings() > before { Ok(()) } else { Err(program.fetch("/metrics")) });
        }
        program.fetch("/metrics")
    };
    let last = words.len() - 1;
    // What grows is looked at more often than it is forgotten.
    let ill = if words.len() > 3 { 240 } else { 4_000 };
    let seconds = |at: usize| {
        if at == 0 {
            60
        } else if at == last {
            LONG
        } else {
            ill
        }
    };
    words.iter().enumerate().map(|(at, word)| (page(word), seconds(at))).collect()
}

/// A driver that answers nothing any more, and then does.
fn hanging_driver() -> Vec<Page> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let name = format!("alert-hang-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let (stand_in, ollama) = (StandIn::new(&name), Ollama::listing(&["m"]));
    let program = Program::with_libraries(stand_in.folder(), ollama.address, &["--config", &settings("")]);
    let collector = "collector=\"nvidia\"";
    program.wait_for("collector_success", &[collector], 1.0);
    let well = program.fetch("/metrics");
    stand_in.play("hang");
    program.wait_for("collector_success", &[collector], 0.0);
    let ill = program.fetch("/metrics");
    stand_in.play("");
    program.wait_for("collector_success", &[collector], 1.0);
    let again = later(&program.fetch("/metrics"), "collector_last_success_timestamp_seconds", 660.0);
    vec![(well, 60), (ill, 600), (again, 60)]
}

/// A page with times of this family that are so many seconds later: the clock of the time-lapse is ahead of the program's.
fn later(page: &str, family: &str, seconds: f64) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((series, value)) if series.contains(family) && !series.starts_with('#') => {
            let value: f64 = value.parse().expect("a number");
            format!("{series} {}\n", value + seconds)
        }
        _ => format!("{line}\n"),
    };
    page.lines().map(line).collect()
}

fn paused_history() -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    let place = folder().join("state");
    std::fs::write(&place, "a file where the directory is to be").expect("a file");
    let mut command = command();
    command.env(STATE, &place);
    let program = Program::start(command, ollama.address, &["--config", &settings("")]);
    program.wait_for("history_paused", &[], 1.0);
    let well = before(&ollama, &[]);
    well.wait_for_history();
    vec![(program.fetch("/metrics"), 300), (well.fetch("/metrics"), 60)]
}

/// A copy to a PostgreSQL that is not there, and one that is whole in time.
fn copy_behind() -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    let url = format!("postgres://inferometer@{}/postgres", free());
    let program = before(&ollama, &["--history", &url]);
    let family = "history_replica_synced_timestamp_seconds";
    let page = look_until(|| match program.metric(family, &[]) {
        at if at > 0.0 => Ok(program.fetch("/metrics")),
        _ => Err(program.fetch("/metrics")),
    });
    let again = later(&page, family, 900.0);
    vec![(page, 900), (again, 60)]
}

fn helper_down() -> Vec<Page> {
    let ollama = Ollama::listing(&["m"]);
    let file = settings("");
    let text = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, format!("helper_url = \"http://{}\"\n{text}", free())).expect("it can be written");
    let program = Program::with(ollama.address, &["--config", &file]);
    look_until(|| match program.fetch("/metrics") {
        page if page.contains("ollama_proxy_helper_up 0") => Ok(()),
        page => Err(page),
    });
    // It ends as well where the helper is not wanted any more.
    vec![(program.fetch("/metrics"), 600), (before(&ollama, &[]).fetch("/metrics"), 60)]
}

/// A program before two servers, of which the second has other models, and the servers.
fn two(others: &[&str], prepare: impl Fn(&Ollama, &Ollama)) -> (Ollama, Ollama, Program) {
    let (one, other) = (Ollama::listing(&["m"]), Ollama::listing(others));
    prepare(&one, &other);
    let each = |name: &str, ollama: &Ollama| {
        format!("[[backends]]\nname = \"{name}\"\nurl = \"http://{}\"\nslots = 2\n", ollama.address)
    };
    let text = format!("{}{}", each("test", &one), each("other", &other));
    let program = Program::configured(command(), &written(&folder(), "two.toml", &text));
    for name in ["test", "other"] {
        program.wait_for("backend_up", &[&format!("backend=\"{name}\"")], 1.0);
    }
    (one, other, program)
}

fn two_backends_down() -> Vec<Page> {
    let (one, other, program) = two(&["m"], |_, _| {});
    look_until(|| match program.fetch("/metrics") {
        page if page.matches("ollama_proxy_model_info{").count() >= 2 => Ok(()),
        page => Err(page),
    });
    let well = program.fetch("/metrics");
    one.fall_silent(true);
    other.fall_silent(true);
    program.wait_for("backend_available", &[], 0.0);
    let down = program.fetch("/metrics");
    vec![(well.clone(), 60), (down, 600), (well, 60)]
}

fn ejected() -> Vec<Page> {
    let (one, _other, program) = two(&["b"], |_, _| {});
    one.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"x"}"#]);
    let well = program.fetch("/metrics");
    let is_out = ["backend=\"test\"", "state=\"ejected\""];
    look_until(|| {
        chat(&program);
        if program.metric("backend_state", &is_out) >= 1.0 { Ok(()) } else { Err(program.fetch("/metrics")) }
    });
    vec![(well.clone(), 30), (program.fetch("/metrics"), 600), (well, 60)]
}

/// All work is on one of two servers, because the other has not got the model.
fn one_sided() -> Vec<Page> {
    let (one, _other, program) = two(&["b"], |_, _| {});
    one.answer("POST /api/chat", "200 OK", &[PART, DONE]);
    one.slow("POST /api/chat", Duration::from_secs(60), Duration::ZERO);
    let mut clients = Vec::new();
    look_until(|| {
        clients.push(sent(&program, CHAT));
        let busy = program.metric("backend_inflight", &["backend=\"test\""]);
        let aside = program.metric("backend_inflight", &["backend=\"other\""]);
        if busy >= 3.0 && aside == 0.0 { Ok(()) } else { Err(program.fetch("/metrics")) }
    });
    let page = program.fetch("/metrics");
    drop(clients);
    program.wait_for("backend_inflight", &["backend=\"test\""], 0.0);
    vec![(page, 2_400), (program.fetch("/metrics"), 1_200)]
}

fn revisions() -> Vec<Page> {
    let list = |digest: &str| format!(r#"{{"models":[{{"name":"m","model":"m","digest":"{}"}}]}}"#, digest.repeat(32));
    let page = |digests: [&str; 2]| {
        let (_one, _other, program) = two(&["m"], |one, other| {
            for (ollama, digest) in [(one, digests[0]), (other, digests[1])] {
                ollama.answer("GET /api/tags", "200 OK", &[&list(digest)]);
            }
        });
        look_until(|| {
            let page = program.fetch("/metrics");
            let own = page.lines().filter(|line| line.starts_with("ollama_proxy_model_info{"));
            let known = own.filter(|line| !line.contains("revision=\"\"")).count();
            if known == 2 { Ok(page) } else { Err(page) }
        })
    };
    vec![(page(["ab", "cd"]), 2_400), (page(["ab", "ab"]), 60)]
}
