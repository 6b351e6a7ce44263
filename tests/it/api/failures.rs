//! `/dashboard/exchanges/failures` against what clients were answered, and the lists that its kinds lead to.

use serde_json::{Value, json};

use super::exchanges::wait_for;
use super::{get, send};
use crate::support::client::{Client, ask};
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

fn chat(program: &Program, model: &str) {
    let body = format!("{{\"model\":\"{model}\"}}");
    let head = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: curl/8.5\r\n";
    let request = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    Client::connect(program.clients).send(request).rest();
}

/// A program whose backend has said which models it has: before, none is a model.
fn program(ollama: &Ollama, models: usize) -> Program {
    let program = Program::before(ollama.address);
    look_until(|| match get(&program, "/dashboard/models") {
        answer if answer["models"].as_array().is_some_and(|all| all.len() == models) => Ok(()),
        answer => Err(answer.to_string()),
    });
    program
}

#[test]
fn an_error_is_over_once_the_model_has_worked_again() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = program(&ollama, 1);
    for (count, status) in ["500 Internal Server Error", "200 OK", "500 Internal Server Error"].into_iter().enumerate()
    {
        ollama.answer("POST /api/chat", status, &[r#"{"done":true,"done_reason":"stop"}"#]);
        chat(&program, "llama3");
        wait_for(&program, count + 1);
    }
    let errors = get(&program, "/dashboard/errors");
    let states: Vec<_> =
        errors["recent_errors"].as_array().expect("a list").iter().map(|it| &it["resolution_status"]).collect();
    assert_eq!(states, ["investigating", "auto_resolved"], "the newest first: {errors:#}");
}

#[test]
fn what_became_of_errors_is_that_of_a_day_whatever_is_listed() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = program(&ollama, 1);
    program.wait_for_history();
    ollama.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"no"}"#]);
    (0..2).for_each(|_| chat(&program, "llama3"));
    wait_for(&program, 2);
    ollama.fall_silent(true);
    let listed = |kind: &str| {
        let errors = get(&program, "/dashboard/errors");
        let of_kind = |error: &&Value| error["type"] == kind;
        errors["recent_errors"].as_array().and_then(|all| all.iter().find(of_kind).cloned()).ok_or(errors.to_string())
    };
    look_until(|| listed("backend_down"));
    ollama.fall_silent(false);
    // That the backend answers again is enough: nobody has asked it for anything since.
    look_until(|| match listed("backend_down")? {
        down if down["resolution_status"] == "auto_resolved" => Ok(()),
        down => Err(down.to_string()),
    });
    let stats = |query: &str| {
        let answer = get(&program, &format!("/dashboard/errors?{query}"));
        let summary = &answer["error_summary"];
        (summary["resolution_stats"].clone(), summary["last_24_hours"]["total_errors"].clone())
    };
    let all = json!({ "auto_resolved": 1, "manual_intervention": 0, "investigating": 2 });
    for query in ["limit=50", "limit=1", "type=http_5xx", "backend=other", "since=1s"] {
        assert_eq!(stats(query), (all.clone(), json!(3)), "{query}");
    }

    // Somebody sees an alert of this backend.
    let main = inferometer::history::Directory::within(program.state()).main();
    let main = rusqlite::Connection::open(main).expect("a file");
    main.busy_timeout(std::time::Duration::from_secs(10)).expect("a limit");
    main.execute(
        "INSERT INTO alerts (id, rule, state, severity, category, labels, started, fired, acked_by, acked_at, summary, description) \
         SELECT 'id', 'InferometerErrorRate', 'firing', 'warning', 'backend', '{\"backend\":\"test\"}', at, at, 'anna', at, '', '' \
         FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS at)",
        (),
    )
    .expect("it can be written");
    assert_eq!(stats("limit=1").0, json!({ "auto_resolved": 0, "manual_intervention": 3, "investigating": 0 }));
    assert_eq!(listed("http_5xx").expect("it is listed")["resolution_status"], "manual_intervention");
}

#[test]
fn kinds_are_counted_and_each_leads_to_its_exchanges() {
    let ollama = Ollama::listing(&["llama3:latest", "qwen3:latest"]);
    let program = program(&ollama, 2);
    let times = |count: usize, model: &str| (0..count).for_each(|_| chat(&program, model));
    ollama.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"no"}"#]);
    times(3, "llama3");
    times(1, "qwen3");
    ollama.answer("POST /api/chat", "503 Service Unavailable", &[r#"{"error":"busy"}"#]);
    times(1, "llama3");
    ollama.answer("POST /api/chat", "400 Bad Request", &[r#"{"error":"what"}"#]);
    times(2, "llama3");
    wait_for(&program, 7);

    let found = get(&program, "/dashboard/exchanges/failures");
    assert_eq!(found["summary"], json!({"failed": 5, "refused": 2, "cancelled": 0}), "{found:#}");
    let kinds = found["failures"].as_array().expect("a list");
    let of =
        |kind: &Value| (kind["status"].clone(), kind["error"].clone(), kind["model"].clone(), kind["count"].clone());
    assert_eq!(
        of(&kinds[0]),
        (json!(500), json!("http_5xx"), json!("llama3:latest"), json!(3)),
        "the most frequent first"
    );
    assert_eq!(kinds[0]["message"], "the backend answered with a server error");
    let counted = |status: u64, model: &str| {
        let is_it = |kind: &&Value| kind["status"] == status && kind["model"] == model;
        kinds.iter().find(is_it).map(|kind| (kind["count"].clone(), kind["is_failure"].clone()))
    };
    assert_eq!(counted(500, "qwen3:latest"), Some((json!(1), json!(true))));
    assert_eq!(counted(503, "llama3:latest"), Some((json!(1), json!(true))));
    assert_eq!(counted(400, "llama3:latest"), Some((json!(2), json!(false))), "{found:#}");
    assert_eq!((kinds.len(), &found["kinds_left_out"]), (4, &json!(0)));
    assert_eq!(get(&program, "/dashboard/exchanges?failed=true&limit=100")["pagination"]["total"], 7);
    for kind in kinds {
        let text = |name: &str| kind[name].as_str().map(|text| format!("&{name}={text}")).unwrap_or_default();
        let query = format!(
            "status={}{}{}{}{}",
            kind["status"],
            text("outcome"),
            text("error"),
            text("model"),
            text("backend")
        );
        let list = get(&program, &format!("/dashboard/exchanges?{query}&limit=100"));
        let ids: Vec<_> = list["exchanges"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
        assert_eq!(
            (json!(ids.len()), ids.first().copied()),
            (kind["count"].clone(), Some(&kind["newest_id"])),
            "{query}"
        );
        assert_eq!(list["unknown"]["/pagination/total"], "not_reported", "sums are not divided by it: {query}");
    }

    let of_one = get(&program, "/dashboard/exchanges/failures?model=qwen3:latest");
    assert_eq!(of_one["summary"]["failed"], 1, "{of_one:#}");
    let first = get(&program, "/dashboard/exchanges/failures?limit=1");
    assert_eq!(
        (&first["failures"][0], &first["kinds_left_out"], &first["summary"]),
        (&kinds[0], &json!(3), &found["summary"])
    );
    let csv = "GET /dashboard/exchanges/failures?format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let csv = ask(program.admin, csv);
    assert!(csv.contains("\r\nhttp_error,http_5xx,500,test,llama3:latest,true,3,"), "{csv}");
    for wrong in ["limit=0", "limit=101", "period=2h", "from=yesterday", "page=2"] {
        assert_eq!(
            send(program.admin, "GET", &format!("/dashboard/exchanges/failures?{wrong}"), "").status,
            400,
            "{wrong}"
        );
    }
    for (wrong, parameter) in [("error=bogus", "error"), ("status=99", "status"), ("status=1000", "status")] {
        let refused = send(program.admin, "GET", &format!("/dashboard/exchanges?{wrong}"), "");
        assert_eq!(
            (refused.status, &refused.json["error"]["details"]["parameter"]),
            (400, &json!(parameter)),
            "{wrong}"
        );
    }
}

#[test]
fn lists_that_are_polled_dilute_no_figure_of_what_models_do() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = program(&ollama, 1);
    for status in ["500 Internal Server Error", "200 OK", "200 OK", "200 OK"] {
        ollama.answer("POST /api/chat", status, &[r#"{"done":true,"done_reason":"stop"}"#]);
        chat(&program, "llama3");
    }
    ollama.answer("POST /api/show", "500 Internal Server Error", &[r#"{"error":"no"}"#]);
    let to = |what: &str| {
        ask(
            program.clients,
            format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        )
    };
    (0..5).for_each(|_| drop(to("GET /api/tags")));
    to("POST /api/show");
    wait_for(&program, 10);

    let counts = |filter: &str| {
        let answer = get(&program, &format!("/dashboard/series?metrics=requests,failed{filter}"));
        [0, 1].map(|at: usize| {
            let values = answer["series"][at]["values"].as_array().expect("a list");
            values.iter().filter_map(Value::as_f64).sum::<f64>()
        })
    };
    let failed =
        |filter: &str| get(&program, &format!("/dashboard/exchanges/failures?{filter}"))["summary"]["failed"].clone();
    let listed = |filter: &str| {
        let list = get(&program, &format!("/dashboard/exchanges?limit=100{filter}"));
        let of = |one: &Value| (one["operation"] == "chat", one["inference"].clone());
        let all: Vec<_> = list["exchanges"].as_array().expect("a list").iter().map(of).collect();
        (all, list["pagination"]["total"].clone())
    };
    assert_eq!((counts(""), failed(""), listed("").0.len()), ([10.0, 2.0], json!(2), 10));
    assert_eq!((counts("&inference=true"), failed("inference=true")), ([4.0, 1.0], json!(1)));
    assert_eq!(listed("&inference=true"), (vec![(true, json!(true)); 4], json!(4)));
    assert_eq!(listed("").0.iter().filter(|(_, infers)| *infers == json!(false)).count(), 6);
    assert_eq!(listed("&inference=true&failed=true").1, 1);
    assert_eq!(get(&program, "/dashboard/overview")["activity"]["successRate"], 75.0, "it has the same definition");
}
