//! A whole day: exchanges of every kind over 23 hours, by the real writer, and every figure of the reports of the real program
//! held against sums that are computed here from the same list.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use inferometer::exchange::names::AsSpelled;
use inferometer::exchange::outcome::End;
use inferometer::exchange::placement::{Placement, PlacementReason};
use inferometer::exchange::record::{Method, Start};
use inferometer::exchange::trace::TraceId;
use inferometer::exchange::{Observation, ObservationContext, Settings};
use inferometer::history::recorder::Recorder;
use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::conversation::Conversation;
use inferometer::wire::reader::{Head, Reported};
use inferometer::wire::request::ModelScanner;
use inferometer::wire::route::Route;
use serde_json::{Value, json};

use super::faults::{fresh, settings, with_clock};
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, STATE, command};

const MODELS: [&str; 2] = ["llama3:8b", "qwen3:4b"];

/// One that was used more than a day ago.
const OLD: &str = "phi3:mini";

const CLIENTS: [&str; 3] = ["chatbot", "code", "cron"];

const CONVERSATIONS: [Option<&str>; 7] = [Some("a"), Some("b"), None, Some("c"), Some("d"), Some("e"), None];

/// Milliseconds.
const HOUR: i64 = 3_600_000;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chat,
    Embedding,
    List,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Completed,
    Refused,
    Failed,
    Truncated,
    Cancelled,
}

/// One exchange of the plan.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The hour in which it ended, counted from the one before this one.
    hours_ago: i64,
    kind: Kind,
    how: How,
    model: &'static str,
    client: &'static str,
    millis: u64,
    prompt: u64,
    generated: u64,
    /// In the body of a chat.
    messages: u64,
    /// What the client calls it.
    conversation: Option<&'static str>,
    /// Backends that were tried.
    attempt: u32,
}

impl Asked {
    fn model(&self) -> Option<&'static str> {
        (self.kind != Kind::List).then_some(self.model)
    }

    fn completed(&self) -> bool {
        self.how == How::Completed
    }

    fn failed(&self) -> bool {
        matches!(self.how, How::Failed | How::Truncated)
    }

    /// Latencies are of what was not answered with an error.
    fn timed(&self) -> bool {
        !matches!(self.how, How::Failed | How::Refused)
    }
}

/// Of every kind, end, model and client, in every hour another number of them.
fn plan() -> Vec<Asked> {
    let mut all = Vec::new();
    for hours_ago in 0..23_i64 {
        let hour = usize::try_from(hours_ago).expect("few");
        for at in 0..4 + hour * 5 % 7 {
            let turn = at * 7 + hour * 3;
            let kind = [Kind::Chat, Kind::Chat, Kind::Embedding, Kind::Chat, Kind::List][turn % 5];
            let how = match turn % 11 {
                0 => How::Failed,
                1 => How::Refused,
                2 => How::Cancelled,
                3 if kind == Kind::Chat => How::Truncated,
                _ => How::Completed,
            };
            all.push(Asked {
                hours_ago,
                kind,
                how,
                model: MODELS[(at + hour) % 2],
                client: CLIENTS[(at + hour * 2) % 3],
                millis: 200 + 37 * (turn as u64 * turn as u64 % 53),
                prompt: 3 + turn as u64 % 5,
                generated: 2 + turn as u64 % 7,
                messages: if kind == Kind::Chat { 1 + turn as u64 % 4 } else { 0 },
                // Timed jobs name none.
                conversation: CONVERSATIONS[(turn * 5 + hour) % 7].filter(|_| (at + hour * 2) % 3 != 2),
                attempt: if turn % 9 == 4 { 2 } else { 1 },
            });
        }
    }
    all
}

/// Observes exchanges as the proxy does, at instants of its own.
struct Player {
    recorder: Recorder,
    context: Rc<ObservationContext>,
    budget: Rc<DecodeBudget>,
    count: u64,
}

impl Player {
    fn play(&mut self, asked: &Asked) {
        self.count += 1;
        let (begun, millis) = (Instant::now(), Duration::from_millis);
        let (method, path) = match asked.kind {
            Kind::Chat => (Method::Post, "/api/chat"),
            Kind::Embedding => (Method::Post, "/api/embed"),
            Kind::List => (Method::Get, "/api/tags"),
        };
        let route = Route::of(method.as_str(), path);
        let start = Start {
            id: self.count,
            method,
            route,
            trace: TraceId::from_random(self.count.into()),
            parent: None,
            client: Some(asked.client.into()),
            conversation: asked.conversation.and_then(|name| Conversation::named(name.as_bytes())),
            at: begun,
        };
        let mut observation = Observation::start(start, &self.context, &self.budget, &self.recorder);
        let placement = Placement {
            backend: "test".into(),
            reason: PlacementReason::Only,
            attempt: asked.attempt,
            queued: Duration::ZERO,
            held: None,
        };
        observation.placed(placement, begun);
        let messages = vec![r#"{"role":"user","content":"a"}"#; usize::try_from(asked.messages).expect("few")];
        let body = format!(r#"{{"model":"{}","messages":[{}]}}"#, asked.model, messages.join(","));
        if asked.kind != Kind::List {
            let mut scanner = Box::<ModelScanner>::default();
            observation.request_piece(body.len());
            scanner.read(body.as_bytes());
            observation.requested(&scanner.facts());
        }
        observation.forwarded(begun);
        observation.request_uploaded(begun);
        let status = match asked.how {
            How::Refused => 404,
            How::Failed => 500,
            How::Completed | How::Truncated | How::Cancelled => 200,
        };
        let content_type: Option<&[u8]> =
            Some(if asked.kind == Kind::Chat { b"application/x-ndjson" } else { b"application/json" });
        let head = Head { status, content_type, content_encoding: None, reported: Reported::default() };
        observation.responded(&head, begun + millis(asked.millis / 4));
        for piece in pieces(asked) {
            observation.response_frame(piece.as_bytes(), begun + millis(asked.millis / 2));
        }
        let end = if asked.how == How::Cancelled { End::ClientLeft } else { End::Complete };
        observation.finish(end, status, begun + millis(asked.millis), Duration::from_micros(50));
    }
}

/// What the server sends.
fn pieces(asked: &Asked) -> Vec<String> {
    let Asked { model, prompt, generated, .. } = asked;
    let part = format!("{{\"model\":\"{model}\",\"message\":{{\"content\":\"a\"}},\"done\":false}}\n");
    let counts = format!("\"prompt_eval_count\":{prompt},\"eval_count\":{generated}");
    match (asked.how, asked.kind) {
        (How::Failed | How::Refused, _) => vec![r#"{"error":"no"}"#.to_owned()],
        (How::Truncated | How::Cancelled, Kind::Chat) => vec![part],
        (How::Cancelled, _) => Vec::new(),
        (_, Kind::Chat) => {
            let done = "\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"";
            vec![part, format!("{{\"model\":\"{model}\",{done},{counts}}}\n")]
        }
        (_, Kind::Embedding) => {
            vec![format!(r#"{{"model":"{model}","embeddings":[[0.1]],"prompt_eval_count":{prompt}}}"#)]
        }
        (_, Kind::List) => vec![r#"{"models":[]}"#.to_owned()],
    }
}

/// Sums that are computed from the plan.
struct Expected<'a>(Vec<&'a Asked>);

impl<'a> Expected<'a> {
    fn of(all: &'a [Asked], fits: impl Fn(&Asked) -> bool) -> Self {
        Self(all.iter().filter(|asked| fits(asked)).collect())
    }

    fn count(&self, fits: impl Fn(&Asked) -> bool) -> u64 {
        self.0.iter().filter(|asked| fits(asked)).count() as u64
    }

    fn latencies(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.0.iter().filter(|it| it.timed()).map(|it| it.millis as f64).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn mean(&self) -> f64 {
        let all = self.latencies();
        all.iter().sum::<f64>() / all.len() as f64
    }

    /// The smallest latency that so many are at or below.
    fn quantile(&self, share: f64) -> f64 {
        let all = self.latencies();
        all[(all.len() as f64 * share).ceil() as usize - 1]
    }

    fn success_rate(&self) -> f64 {
        let completed = self.count(Asked::completed);
        completed as f64 / (completed + self.count(Asked::failed)) as f64 * 100.0
    }

    /// Different ones; as the API has it.
    fn conversations(&self) -> Value {
        let all: BTreeSet<_> = self.0.iter().filter_map(|it| it.conversation).collect();
        if all.is_empty() { Value::Null } else { all.len().into() }
    }

    fn messages(&self) -> u64 {
        self.0.iter().map(|it| it.messages).sum()
    }

    fn tokens(&self) -> (u64, u64) {
        let told = || self.0.iter().filter(|it| it.completed());
        let prompt = told().filter(|it| it.kind != Kind::List).map(|it| it.prompt).sum();
        // Of what broke off, the one piece that came.
        let broken = |it: &Asked| it.kind == Kind::Chat && matches!(it.how, How::Truncated | How::Cancelled);
        let generated: u64 = told().filter(|it| it.kind == Kind::Chat).map(|it| it.generated).sum();
        (prompt, generated + self.count(broken))
    }
}

/// Two numbers that are the same but for what was rounded; percentiles are of sketches with an error of 1 %.
fn close(found: &Value, expected: f64, error: f64, what: &str) {
    let near = found.as_f64().is_some_and(|found| (found - expected).abs() <= expected.abs() * error + 1e-6);
    assert!(near, "{what}: {found}, and it is {expected}");
}

const EXACT: f64 = 1e-4;
const SKETCHED: f64 = 0.011;

/// Every exchange of the plan, written in its hour, and one that is too old to count. Returns the beginning of this hour.
fn write(state: &std::path::Path, plan: &[Asked]) -> i64 {
    let now =
        || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("a date").as_millis()).expect("a date");
    let this_hour = now().div_euclid(HOUR) * HOUR;
    let offset = Arc::new(AtomicI64::new(0));
    // It stays the middle of an hour for as long as a test may take.
    let set = |hours_ago: i64| offset.store(this_hour - HOUR / 2 - hours_ago * HOUR - now(), Ordering::SeqCst);
    set(27);
    let mut settings = settings(state, 1 << 30);
    settings.retention.minutes = Duration::from_secs(7 * 86_400);
    settings.retention.hours = Duration::from_secs(7 * 86_400);
    let history = with_clock(settings, Box::new(|_, _, name| Some(name.into())), offset.clone());
    let context = ObservationContext {
        settings: Settings { stall: None },
        residency: Arc::default(),
        names: Arc::new(AsSpelled),
    };
    let mut player =
        Player { recorder: history.recorder(), context: Rc::new(context), budget: DecodeBudget::unlimited(), count: 0 };
    let mut play = |hours_ago: i64, asked: &[&Asked]| {
        set(hours_ago);
        asked.iter().for_each(|asked| player.play(asked));
        let wanted = player.count;
        look_until(|| match history.state().health().written {
            written if written == wanted => Ok(()),
            written => Err(format!("{written} of {wanted} are written")),
        });
    };
    play(27, &[&Asked { model: OLD, ..plan[0] }]);
    for hours_ago in (0..23).rev() {
        play(hours_ago, &plan.iter().filter(|it| it.hours_ago == hours_ago).collect::<Vec<_>>());
    }
    history.close();
    assert_eq!(history.state().health().lost(), 0);
    this_hour
}

fn get(program: &Program, path: &str) -> Value {
    serde_json::from_str(&program.fetch(path)).unwrap_or_else(|_| panic!("{path}: {}", program.fetch(path)))
}

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let found = list.as_array().expect("a list").iter().find(|it| it[key] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {list}"))
}

#[test]
fn the_reports_of_a_day_are_the_sums_of_its_exchanges() {
    let (state, plan) = (fresh("day"), plan());
    let ends: BTreeSet<_> = plan.iter().map(|it| (it.kind as u8, it.how as u8)).collect();
    assert!(ends.len() >= 12 && plan.len() > 130, "the plan has everything: {} of {} kinds", plan.len(), ends.len());
    let this_hour = write(&state.0, &plan);

    let ollama = Ollama::listing(&[MODELS[0], MODELS[1], OLD]);
    let mut command = command();
    command.env(STATE, &state.0);
    let program = Program::start(command, ollama.address, &[]);
    program.wait_for("backend_up", &["test"], 1.0);
    program.wait_for_history();
    // Its directory goes with `state`.
    let all = Expected::of(&plan, |_| true);

    overview(&program, &all);
    deployments(&program, &plan);
    for model in MODELS {
        deployment(&program, &Expected::of(&plan, |it| it.model() == Some(model)), model, this_hour);
    }
    agents(&program, &plan, this_hour);
    executions(&program, &Expected::of(&plan, |it| it.kind != Kind::List));
    let models = get(&program, "/dashboard/workload/models?limit=100");
    for model in MODELS {
        assert_eq!(named(&models["models"], "name", model)["status"], "active", "{models}");
    }
    let old = named(&models["models"], "name", OLD);
    assert_eq!((&old["status"], &old["deployments"]), (&json!("inactive"), &json!(0)), "{models}");
    assert!(old["lastUsed"].is_string(), "{old}");
    let listed = get(&program, "/dashboard/exchanges?period=24h&limit=100");
    assert_eq!(listed["pagination"]["total"], plan.len(), "{}", listed["pagination"]);
}

fn overview(program: &Program, all: &Expected<'_>) {
    let overview = get(program, "/dashboard/overview");
    let activity = &overview["activity"];
    let chats = all.count(|it| it.kind == Kind::Chat);
    assert_eq!(activity["period"], "24h");
    assert_eq!(activity["apiRequests"], all.0.len(), "{activity}");
    assert_eq!(activity["inferenceRequests"], chats + all.count(|it| it.kind == Kind::Embedding), "{activity}");
    // Each of them names its client.
    assert_eq!(activity["agentTasks"], activity["inferenceRequests"], "{activity}");
    let of = |kinds: &[Kind]| Expected(all.0.iter().copied().filter(|it| kinds.contains(&it.kind)).collect());
    close(&activity["avgResponseTime"], of(&[Kind::Chat]).mean(), EXACT, "avgResponseTime");
    close(&activity["successRate"], of(&[Kind::Chat, Kind::Embedding]).success_rate(), EXACT, "successRate");
    let workload = &overview["workload"];
    assert_eq!(workload["agents"], json!({"total": 3, "active": 0, "busy": 0, "inactive": 3}), "{workload}");
    assert_eq!((&workload["deployments"]["total"], &workload["models"]["active"]), (&json!(2), &json!(2)));
    assert_eq!((&workload["models"]["total"], &workload["models"]["inactive"]), (&json!(3), &json!(1)), "{workload}");
    let inference = all.count(|it| it.kind != Kind::List);
    assert_eq!(workload["executions"]["total"], inference, "{workload}");
}

fn deployments(program: &Program, plan: &[Asked]) {
    let answer = get(program, "/dashboard/workload/deployments");
    let usage = &answer["summary"]["usage"];
    let all = Expected::of(plan, |it| it.model().is_some());
    assert_eq!(usage["totalRequests"], all.0.len(), "{usage}");
    close(&usage["avgLatency"], all.mean(), EXACT, "avgLatency");
    close(&usage["p95Latency"], all.quantile(0.95), SKETCHED, "p95Latency");
    close(&usage["successRate"], all.success_rate(), EXACT, "successRate");
    let (prompt, generated) = all.tokens();
    assert_eq!(usage["tokenUsage"], prompt + generated, "{usage}");
    for model in MODELS {
        let found = named(&answer["deployments"], "modelName", model);
        let own = Expected::of(plan, |it| it.model() == Some(model));
        assert_eq!((&found["requests24h"], &found["status"]), (&json!(own.0.len()), &json!("stopped")), "{found}");
        close(&found["avgLatency"], own.mean(), EXACT, model);
        close(&found["p95Latency"], own.quantile(0.95), SKETCHED, model);
    }
}

fn mean(of: &Expected<'_>) -> f64 {
    of.mean()
}

/// The values of a list by the hour that each is of, without those that are unknown.
fn by_hour(values: &Value, timestamps: &Value) -> BTreeMap<String, f64> {
    let times = timestamps.as_array().expect("a list").iter().map(|at| at.as_str().expect("a time").to_owned());
    let values = values.as_array().expect("a list");
    assert_eq!(values.len(), times.len());
    times.zip(values).filter_map(|(at, value)| Some((at, value.as_f64()?))).collect()
}

/// A value of each hour in which something ended.
fn expected_by_hour(own: &Expected<'_>, this_hour: i64, value: impl Fn(&Expected<'_>) -> f64) -> BTreeMap<String, f64> {
    let of = |hours_ago: i64| {
        let hour = Expected(own.0.iter().copied().filter(|it| it.hours_ago == hours_ago).collect());
        let begin = inferometer::history::timestamp::Timestamp(this_hour - (hours_ago + 1) * HOUR).to_string();
        (!hour.0.is_empty()).then(|| (begin, value(&hour)))
    };
    (0..23).filter_map(of).filter(|(_, value)| !value.is_nan()).collect()
}

/// The same value in each hour, and none but zero in the others.
fn same_by_hour(found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>, what: &str) {
    for (hour, value) in expected {
        close(&found.get(hour).copied().into(), *value, EXACT, &format!("{what} at {hour}"));
    }
    let others = found.iter().filter(|(hour, value)| !expected.contains_key(*hour) && **value != 0.0);
    assert_eq!(others.count(), 0, "{what}: {found:?}");
}

fn deployment(program: &Program, own: &Expected<'_>, model: &str, this_hour: i64) {
    let path = format!("/dashboard/workload/deployments/test%2F{model}/metrics?period=24h&interval=1h");
    let answer = get(program, &path);
    let metrics = &answer["metrics"];
    let requests = &metrics["requests"];
    assert_eq!(
        (&requests["total"], &requests["successful"], &requests["failed"], &requests["cancelled"]),
        (
            &json!(own.0.len()),
            &json!(own.count(Asked::completed)),
            &json!(own.count(Asked::failed)),
            &json!(own.count(|it| it.how == How::Cancelled))
        ),
        "{model}: {requests}"
    );
    let times = &answer["timestamps"];
    let counts = expected_by_hour(own, this_hour, |hour| hour.0.len() as f64);
    same_by_hour(&by_hour(&requests["history"], times), &counts, "requests");
    let latency = &metrics["latency"];
    close(&latency["avg"], own.mean(), EXACT, "avg");
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        close(&latency[name], own.quantile(share), SKETCHED, name);
    }
    same_by_hour(&by_hour(&latency["history"], times), &expected_by_hour(own, this_hour, mean), "latency");
    close(&metrics["throughput"]["requestsPerSecond"], own.0.len() as f64 / 86_400.0, EXACT, "requests a second");
    close(&metrics["throughput"]["tokensPerSecond"], own.tokens().1 as f64 / 86_400.0, EXACT, "tokens a second");
    let errors = metrics["errors"].as_array().expect("a list");
    let count =
        |kind: &str| errors.iter().filter(|it| it["type"] == kind).filter_map(|it| it["count"].as_u64()).sum::<u64>();
    assert_eq!(count("http_5xx"), own.count(|it| it.how == How::Failed), "{model}: {errors:?}");
    assert_eq!(count("truncated"), own.count(|it| it.how == How::Truncated), "{model}: {errors:?}");
}

fn agents(program: &Program, plan: &[Asked], this_hour: i64) {
    let answer = get(program, "/dashboard/workload/agents?limit=100");
    let all = Expected::of(plan, |_| true);
    // Lists of models are no tasks. The one of three days ago counts among those of all time.
    let tasks = all.count(|it| it.kind != Kind::List);
    assert_eq!(answer["summary"]["performance"]["totalTasks"], tasks + 1, "{}", answer["summary"]);
    assert_eq!(answer["summary"]["activity24h"]["tasksExecuted"], tasks, "{}", answer["summary"]);
    let activity = &answer["summary"]["activity24h"];
    assert_eq!(
        (&activity["conversations"], &activity["messages"]),
        (&all.conversations(), &all.messages().into()),
        "{activity}"
    );
    for client in CLIENTS {
        let conversations = Expected::of(plan, |it| it.client == client).conversations();
        let own = Expected::of(plan, |it| it.client == client && it.kind != Kind::List);
        let (completed, failed) = (own.count(Asked::completed), own.count(Asked::failed));
        let more = u64::from(plan[0].client == client);
        let agent = named(&answer["agents"], "name", client);
        assert_eq!(agent["totalTasks"], own.0.len() as u64 + more, "{agent}");
        assert_eq!(
            (&agent["cancelledTasks"], &agent["refusedTasks"]),
            (&json!(own.count(|it| it.how == How::Cancelled)), &json!(own.count(|it| it.how == How::Refused))),
            "{agent}"
        );
        let one = get(program, &format!("/dashboard/workload/agents/{client}/performance?period=24h&interval=1h"));
        let day = &one["performance"]["last24h"];
        assert_eq!(
            (&day["tasks"], &day["completed"], &day["failed"]),
            (&json!(own.0.len()), &json!(completed), &json!(failed)),
            "{client}: {day}"
        );
        close(&day["avgResponseTime"], own.mean(), EXACT, client);
        assert_eq!(
            (&day["conversations"], &day["messages"]),
            (&conversations, &own.messages().into()),
            "{client}: {day}"
        );
        let older = if more == 1 { plan[0].messages } else { 0 };
        assert_eq!(one["performance"]["last7d"]["messages"], own.messages() + older, "{one}");
        if client == "cron" {
            assert_eq!(one["unknown"]["/performance/last24h/conversations"], "not_reported", "{one}");
        }
        assert_eq!(one["performance"]["last7d"]["tasks"], own.0.len() as u64 + more, "{one}");
        let timeline = &one["timeline"];
        let counts = expected_by_hour(&own, this_hour, |hour| hour.0.len() as f64);
        same_by_hour(&by_hour(&timeline["tasks"], &timeline["timestamps"]), &counts, "tasks");
        let means = expected_by_hour(&own, this_hour, mean);
        same_by_hour(&by_hour(&timeline["responseTime"], &timeline["timestamps"]), &means, "responseTime");
    }
}

fn executions(program: &Program, all: &Expected<'_>) {
    let summary = &get(program, "/dashboard/workload/executions")["summary"];
    let completed = all.count(Asked::completed);
    assert_eq!(
        (&summary["total"], &summary["completed"], &summary["failed"]),
        (&json!(all.0.len()), &json!(completed), &json!(all.0.len() as u64 - completed)),
        "{summary}"
    );
    assert_eq!(summary["byType"]["inference"], all.0.len(), "{summary}");
    close(&summary["performance"]["successRate"], completed as f64 / all.0.len() as f64 * 100.0, EXACT, "successRate");
    let retried = all.count(|it| it.attempt > 1);
    assert!(retried > 0);
    close(&summary["performance"]["retryRate"], retried as f64 / all.0.len() as f64 * 100.0, EXACT, "retryRate");
    close(&summary["performance"]["avgDuration"], all.mean() / 1e3, EXACT, "avgDuration");
}
