//! Sums of models and of caches: of which time they are, what they leave out, and what is unknown while no backend says it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inferometer::history::Directory;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::exchanges::wait_for;
use super::samples::post;
use super::{get, send, unlimited_with};
use crate::history::rows::{CHAT, ollama};
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::program::{Program, STATE, State, command};
use crate::support::servers::free;
use crate::support::simulator::Simulator;

const LOST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n";

/// Two chats of a model, and a request that is for none.
fn three(program: &Program) {
    (0..2).for_each(|_| drop(ask(program.clients, CHAT)));
    ask(program.clients, LOST);
    wait_for(program, 3);
}

/// Ends a program, and leaves what it has kept.
pub(super) fn ended(mut program: Program) -> State {
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    program.state.take().expect("the command names a directory")
}

/// Another program with what an earlier one has kept.
pub(super) fn again(state: &State, backend: SocketAddr) -> Program {
    let mut command = command();
    command.env(STATE, &state.0);
    Program::start(command, backend, &[])
}

/// Lists no model.
fn empty() -> Backend {
    Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let body = if request.starts_with(b"GET /api/tags") { r#"{"models":[]}"# } else { "{}" };
            let length = body.len();
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        }
    })
}

/// Waits until a value of an answer is as expected.
fn until(program: &Program, target: &str, pointer: &str, expected: &Value) -> Value {
    look_until(|| {
        let answer = get(program, target);
        if answer.pointer(pointer) == Some(expected) { Ok(answer) } else { Err(answer.to_string()) }
    })
}

/// What the models of an answer and its others add up to.
fn sum(answer: &Value, field: &str) -> u64 {
    let models = answer["models"].as_array().expect("a list").iter().map(|model| &model["performance"][field]);
    models.chain([&answer["others"][field]]).filter_map(Value::as_u64).sum()
}

#[test]
fn models_and_what_they_leave_out_add_up_to_the_cache_and_to_all_exchanges() {
    let backend = ollama();
    let program = Program::before(backend.address);
    three(&program);
    let agree = |models: &Value, cache: &Value| {
        assert_eq!(sum(models, "total_requests"), 3, "{models:#}");
        assert_eq!(json!(sum(models, "prompt_tokens")), cache["cache_types"]["prompt"]["prompt_tokens"]);
        assert_eq!(json!(sum(models, "cold_starts")), cache["performance"]["cache_misses"]);
        assert_eq!((&models["from"], &models["to"]), (&cache["from"], &cache["to"]));
    };
    let (models, cache) = (get(&program, "/dashboard/models"), get(&program, "/dashboard/cache"));
    agree(&models, &cache);
    let others = &models["others"];
    assert_eq!((&others["total_requests"], &others["models"]), (&json!(1), &json!([])), "{models:#}");
    assert_eq!(
        (&others["prompt_tokens"], &models["unknown"]["/others/prompt_tokens"]),
        (&Value::Null, &json!("no_samples"))
    );

    // Its model is gone: no backend lists it any more.
    let state = ended(program);
    let empty = empty();
    let program = again(&state, empty.address);
    let models = until(&program, "/dashboard/models", "/summary/total_models", &json!(0));
    agree(&models, &get(&program, "/dashboard/cache"));
    let others = &models["others"];
    assert_eq!((&models["models"], &others["models"]), (&json!([]), &json!(["llama3:latest"])), "{models:#}");
    assert_eq!((&others["total_requests"], &others["prompt_tokens"]), (&json!(3), &json!(10)), "{models:#}");
    assert_eq!((&others["generated_tokens"], &others["failed_requests"]), (&json!(6), &json!(0)), "{models:#}");
}

#[test]
fn loads_of_a_model_that_is_gone_count_among_the_others() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    post(program.clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"hi","stream":false}"#);
    wait_for(&program, 1);
    let loads = get(&program, "/dashboard/cache")["performance"]["cache_misses"].clone();
    assert_eq!(loads, 1);
    let (state, empty) = (ended(program), empty());
    let models = until(&again(&state, empty.address), "/dashboard/models", "/summary/total_models", &json!(0));
    assert_eq!(models["others"]["cold_starts"], loads, "{models:#}");
}

#[test]
fn models_and_caches_are_of_the_time_that_is_asked_for() {
    let backend = ollama();
    let program = Program::before(backend.address);
    three(&program);
    let of = |query: &str| {
        let (models, cache) = (format!("/dashboard/models?{query}"), format!("/dashboard/cache?{query}"));
        let (models, cache) = (get(&program, &models), get(&program, &cache));
        assert_eq!((&models["from"], &models["to"]), (&cache["from"], &cache["to"]), "{query}");
        let tokens = cache["cache_types"]["prompt"]["prompt_tokens"].clone();
        (
            models["models"][0]["performance"]["total_requests"].clone(),
            tokens,
            models["from"].clone(),
            models["to"].clone(),
        )
    };
    for query in ["", "period=5m", "period=24h", "period=30d", "from=2026-01-01"] {
        let (requests, tokens, ..) = of(query);
        assert_eq!((requests, tokens), (json!(2), json!(10)), "{query}");
    }
    let day = of("from=2020-01-01&to=2020-01-02");
    let instants = ["2020-01-01T00:00:00.000Z", "2020-01-02T00:00:00.000Z"].map(|at| json!(at));
    assert_eq!(day, (json!(0), Value::Null, instants[0].clone(), instants[1].clone()));
    assert_eq!(of("period=24h&to=2020-01-02"), day);
    assert_eq!(of("").2, of("period=24h").2, "the last 24 hours without any");
    for (query, parameter) in
        [("period=2h", "period"), ("period=1h&from=2020-01-01", "period"), ("from=x", "from"), ("hours=1", "hours")]
    {
        for path in ["/dashboard/models", "/dashboard/cache"] {
            let refused = send(program.admin, "GET", &format!("{path}?{query}"), "");
            assert_eq!(
                (refused.status, &refused.json["error"]["details"]["parameter"]),
                (400, &json!(parameter)),
                "{query}"
            );
        }
    }
}

#[test]
fn what_no_backend_says_is_unknown_and_no_zero() {
    let program = Program::before(free());
    let models = until(&program, "/dashboard/models", "/unknown/~1summary~1loaded_models", &json!("collector_failed"));
    for field in ["total_models", "loaded_models", "total_size_gb", "memory_usage_gb"] {
        assert_eq!(models["summary"][field], Value::Null, "{field}");
        assert_eq!(models["unknown"][format!("/summary/{field}")], "collector_failed", "{field}");
    }
    for (path, pointers) in [
        (
            "/dashboard/cache",
            &["/cache_types/model/entries", "/cache_types/model/size_mb", "/cache_types/metadata/entries"][..],
        ),
        ("/dashboard/health", &["/components/model_backends/loaded_models"]),
        (
            "/dashboard/workload/models",
            &["/summary/total", "/summary/active", "/summary/byType/llm", "/summary/storage/totalSize"],
        ),
        ("/dashboard/workload/deployments", &["/summary/total", "/summary/running", "/summary/stopped"]),
        (
            "/dashboard/overview",
            &["/workload/models/total", "/workload/models/inactive", "/workload/deployments/running"],
        ),
    ] {
        let answer = get(&program, path);
        for pointer in pointers {
            assert_eq!(answer.pointer(pointer), Some(&Value::Null), "{path} {pointer}");
            assert_eq!(answer["unknown"][*pointer], "collector_failed", "{path}");
        }
    }
}

#[test]
fn what_a_backend_has_listed_stays_known_when_it_answers_no_more_and_what_it_has_in_memory_does_not() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = is_down.clone();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if down.load(Ordering::SeqCst) {
                return;
            }
            let body = if request.starts_with(b"GET /api/tags") {
                r#"{"models":[{"name":"a:latest","size":1073741824},{"name":"b:latest","size":1073741824}]}"#
            } else if request.starts_with(b"GET /api/ps") {
                r#"{"models":[{"name":"a:latest","size":1048576,"size_vram":0}]}"#
            } else {
                "{}"
            };
            let length = body.len();
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        }
    });
    let program = Program::before(backend.address);
    let entries = "/cache_types/model/entries";
    let cache = until(&program, "/dashboard/cache", entries, &json!(1));
    let of = |cache: &Value| {
        ["/cache_types/model/size_mb", "/cache_types/metadata/entries"].map(|at| cache.pointer(at).cloned())
    };
    assert_eq!(of(&cache), [Some(json!(1.0)), Some(json!(2))]);
    assert_eq!(get(&program, "/dashboard/models")["summary"]["loaded_models"], 1);
    is_down.store(true, Ordering::SeqCst);
    let cache = until(&program, "/dashboard/cache", entries, &Value::Null);
    assert_eq!(of(&cache), [Some(Value::Null), Some(json!(2))], "{cache:#}");
    let summary = get(&program, "/dashboard/models")["summary"].clone();
    let expected = json!({"total_models": 2, "loaded_models": null, "total_size_gb": 2.0, "memory_usage_gb": null});
    assert_eq!(summary, expected);
}

#[test]
fn pages_promise_no_exchange_of_which_only_the_sums_are_kept() {
    let backend = ollama();
    let program = Program::before(backend.address);
    three(&program);
    let state = ended(program);
    let main = rusqlite::Connection::open(Directory::within(&state.0).main()).expect("a file");
    let columns: Vec<String> = main
        .prepare("SELECT name FROM pragma_table_info('rollups') WHERE name NOT IN ('at', 'changed')")
        .and_then(|mut select| select.query_map([], |row| row.get(0))?.collect())
        .expect("a table");
    let columns = columns.join(", ");
    for hours in 1..=30 {
        let copy = format!(
            "INSERT INTO rollups (at, {columns}, changed) \
             SELECT at - {hours} * 3600, {columns}, -1000 * {hours} - row_number() OVER () \
             FROM rollups WHERE step = 3600 AND changed > 0"
        );
        main.execute(&copy, []).expect("it can be changed");
    }
    drop(main);
    let program = again(&state, backend.address);
    let series = get(&program, "/dashboard/series?metrics=requests&period=7d");
    let summed: f64 = series["series"][0]["values"].as_array().into_iter().flatten().filter_map(Value::as_f64).sum();
    assert_eq!(summed, 93.0, "the sums of 31 hours: {series}");
    for query in ["period=30d", "period=30d&limit=2", "period=24h", "period=30d&model=llama3:latest"] {
        let page = get(&program, &format!("/dashboard/exchanges?{query}"));
        let (of, shown) = (&page["pagination"], page["exchanges"].as_array().map_or(0, Vec::len));
        let kept = if query.contains("model") { 2 } else { 3 };
        assert_eq!((&of["total"], &of["has_more"]), (&json!(kept), &json!(shown < kept)), "{query}");
    }
}

#[test]
fn a_rule_says_since_when_its_condition_holds() {
    let program = Program::with(free(), &["--config", &unlimited_with("alerts.period = \"1s\"\n")]);
    let answer = look_until(|| {
        let answer = get(&program, "/dashboard/alerts");
        let is_there = |rule: &Value| rule["state"] == "pending" || rule["state"] == "firing";
        if answer["alert_rules"].as_array().is_some_and(|rules| rules.iter().any(is_there)) {
            Ok(answer)
        } else {
            Err(answer.to_string())
        }
    });
    for (at, rule) in answer["alert_rules"].as_array().expect("a list").iter().enumerate() {
        let since = &rule["pending_since"];
        assert_eq!(since.is_string(), rule["state"] == "pending", "{rule}");
        if !since.is_string() {
            assert_eq!(answer["unknown"][format!("/alert_rules/{at}/pending_since")], "not_applicable");
        }
    }
    assert!(
        answer["alert_rules"].as_array().into_iter().flatten().any(|rule| rule["pending_since"].is_string()),
        "{answer:#}"
    );
}
