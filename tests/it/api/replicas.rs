//! Three replicas of the program with one PostgreSQL and one VictoriaMetrics: each of them answers for all.

use serde_json::{Value, json};

use crate::support::client::ask;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::postgres::Postgres;
use crate::support::program::Program;
use crate::support::servers::Server;

const DONE: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","total_duration":5,"prompt_eval_count":3,"eval_count":2}"#;

fn get(program: &Program, path: &str) -> Value {
    serde_json::from_str(&program.fetch(path)).unwrap_or_else(|_| panic!("{path}: {}", program.fetch(path)))
}

/// Chats as a client of this product.
fn chat(program: &Program, product: &str) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let head = format!("POST /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: {product}/1.0");
    let answer = ask(program.clients, format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn three_replicas_answer_for_all_with_one_postgresql_and_one_victoria_metrics() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[DONE]);
    let (postgres, names) = (Postgres::start(), ["left", "middle", "right"]);
    // VictoriaMetrics has to know the replicas, and they it: it reads its targets from a file as they come.
    let folder = crate::support::authority::folder();
    let targets = folder.join("targets.json");
    std::fs::write(&targets, "[]").expect("a file");
    let scrape = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "ollama_proxy", "file_sd_configs": [{ "files": [targets] }] }],
    });
    let victoria = Server::victoria_metrics(&scrape.to_string());
    let url = format!("http://{}", victoria.address);
    let start = |name: &&str| {
        let more = ["--history", &postgres.url(), "--instance", name, "--prometheus-url", &url];
        Program::with(ollama.address, &more)
    };
    let replicas: Vec<Program> = names.iter().map(start).collect();
    let list: Vec<_> = replicas.iter().map(|program| program.admin.to_string()).collect();
    std::fs::write(&targets, json!([{ "targets": list }]).to_string()).expect("a file");
    // It reads them again.
    victoria.ask("POST", "/-/reload", "");
    replicas.iter().for_each(|program| program.wait_for("backend_up", &["test"], 1.0));
    replicas.iter().for_each(Program::wait_for_history);

    let counts = [3, 5, 7];
    for (program, (name, count)) in replicas.iter().zip(names.iter().zip(counts)) {
        (0..count).for_each(|_| chat(program, name));
        chat(program, "everywhere");
    }
    let sum = u64::from(counts.iter().sum::<u32>()) + 3;
    for program in &replicas {
        look_until(|| {
            let overview = get(program, "/dashboard/overview");
            let (activity, seen) = (&overview["activity"], &overview["replicas"]);
            let is_whole = activity["apiRequests"] == sum
                && activity["inferenceRequests"] == sum
                && overview["metadata"]["source"] == "postgres"
                && seen["requests"] == sum
                && seen["total"] == 3
                && overview["workload"]["agents"]["total"] == 4;
            if is_whole { Ok(()) } else { Err(format!("{sum}: {overview}")) }
        });
        let agents = get(program, "/dashboard/workload/agents?limit=100");
        let tasks = |name: &str| {
            let agents = agents["agents"].as_array().expect("a list");
            agents.iter().find(|agent| agent["name"] == name).map(|agent| agent["totalTasks"].clone())
        };
        for (name, count) in names.iter().zip(counts) {
            assert_eq!(tasks(name), Some(count.into()), "{agents}");
        }
        assert_eq!(tasks("everywhere"), Some(3.into()), "{agents}");
        assert_eq!(agents["metadata"]["source"], "postgres");
        let deployments = get(program, "/dashboard/workload/deployments");
        assert_eq!(deployments["deployments"][0]["requests24h"], sum, "{deployments}");
    }

    // Without them it is about itself.
    let alone = Program::with(ollama.address, &[]);
    alone.wait_for("backend_up", &["test"], 1.0);
    alone.wait_for_history();
    chat(&alone, "alone");
    let overview = look_until(|| match get(&alone, "/dashboard/overview") {
        overview if overview["activity"]["apiRequests"] == 1 => Ok(overview),
        overview => Err(overview.to_string()),
    });
    assert_eq!((&overview["metadata"]["source"], &overview["replicas"]), (&"files".into(), &Value::Null));
}

#[test]
fn alerts_of_every_replica_are_in_the_copy_and_one_that_two_have_seen_is_there_once() {
    let (one, other) = (Ollama::listing(&["m"]), Ollama::listing(&["m"]));
    let postgres = Postgres::start();
    let file = crate::support::servers::written(
        &crate::support::authority::folder(),
        "often.toml",
        "[access]\nrequests_per_minute = 1000000\nrequests_per_10s = 1000000\n[alerts]\nperiod = \"1s\"\n",
    );
    // Its one rule fires at once, and both replicas hear of it.
    let rules = "groups: [{ name: g, interval: 1s, rules: [{ alert: Foreign, expr: 'vector(1)' }] }]\n";
    let rules = crate::support::servers::written(&crate::support::authority::folder(), "rules.yml", rules);
    let config = json!({ "global": { "evaluation_interval": "1s" }, "rule_files": [rules] });
    let prometheus = Server::prometheus(crate::support::servers::free(), &config.to_string(), &[]);
    let url = format!("http://{}", prometheus.address);
    let start = |ollama: &Ollama, name: &str, more: &[&str]| {
        let all = ["--config", file.to_str().expect("text"), "--history", &postgres.url(), "--instance", name];
        let all: Vec<&str> = all.into_iter().chain(more.iter().copied()).collect();
        Program::with(ollama.address, &all)
    };
    let asking = ["--prometheus-url", url.as_str()];
    let replicas = [start(&one, "left", &asking), start(&other, "right", &asking)];
    let count = |query: &str| {
        let exists = "SELECT count(*) FROM pg_tables WHERE schemaname = 'inferometer' AND tablename = 'alerts'";
        if postgres.number(exists) == 0 { 0 } else { postgres.number(query) }
    };
    look_until(|| match count("SELECT count(*) FROM inferometer.alerts") {
        2 => Ok(()),
        found => Err(format!("{found} of 2 alerts were copied")),
    });
    for program in &replicas {
        let history = look_until(|| match get(program, "/dashboard/alerts/history") {
            history if history["pagination"]["total"] == 1 => Ok(history),
            history => Err(history.to_string()),
        });
        assert_eq!(history["data"][0]["rule"], "Foreign");
    }
    // A third one that asks no Prometheus reads what they have kept.
    let third = start(&one, "third", &[]);
    let history = look_until(|| match get(&third, "/dashboard/alerts/history") {
        history if history["pagination"]["total"] == 1 && history["metadata"]["source"] == "postgres" => Ok(history),
        history => Err(history.to_string()),
    });
    assert_eq!((&history["data"][0]["rule"], &history["data"][0]["status"]), (&"Foreign".into(), &"firing".into()));
}

#[test]
fn an_alert_that_one_replica_has_seen_the_end_of_is_over_for_all_and_sums_are_of_each_once() {
    let ollama = Ollama::listing(&["m"]);
    let postgres = Postgres::start();
    let program = Program::with(ollama.address, &["--history", &postgres.url()]);
    let exists = "SELECT count(*) FROM pg_tables WHERE schemaname = 'inferometer' AND tablename = 'alerts'";
    look_until(|| if postgres.number(exists) == 1 { Ok(()) } else { Err("the tables are not there".to_owned()) });
    // The first replica ended before the alert of both did.
    for (replica, id, severity, state, started, resolved) in [
        (70, "both", "warning", "firing", 120, "NULL"),
        (71, "both", "warning", "resolved", 120, "now() - interval '60 minutes'"),
        (71, "goes_on", "critical", "firing", 30, "NULL"),
        (71, "short", "info", "resolved", 9, "now() - interval '5 minutes'"),
    ] {
        postgres.execute(&format!(
            "INSERT INTO inferometer.alerts (replica, id, rule, state, severity, category, labels, started, fired, resolved, summary, description) \
             SELECT {replica}, '{id}', '{id}', '{state}', '{severity}', 'backend', '{{}}', at, at, {resolved}, '', '' \
             FROM (SELECT now() - interval '{started} minutes' AS at) AS began"
        ));
    }
    let history = |query: &str| {
        look_until(|| match get(&program, &format!("/dashboard/alerts/history?{query}")) {
            history if history["metadata"]["source"] == "postgres" => Ok(history),
            history => Err(history.to_string()),
        })
    };
    let ids = |history: &Value| {
        let all = history["data"].as_array().expect("a list").iter();
        all.map(|alert| alert["_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let recent = history("period=15m&limit=1");
    assert_eq!((ids(&recent), &recent["summary"]["total"]), (vec!["short".to_owned()], &2.into()), "{recent}");
    let summary = &recent["summary"];
    assert_eq!((&summary["critical"], &summary["warning"], &summary["info"]), (&1.into(), &0.into(), &1.into()));
    assert_eq!(ids(&history("period=15m&limit=1&page=2")), ["goes_on"]);
    assert_eq!(history("period=15m&limit=1&page=3")["summary"]["total"], 2, "also of an empty page");
    let day = history("period=24h");
    assert_eq!(ids(&day), ["short", "goes_on", "both"]);
    assert_eq!(day["data"][2]["status"], "resolved", "one of the replicas has seen its end: {day}");
    assert_eq!((&day["summary"]["warning"], &day["summary"]["avgDurationMinutes"]), (&1.into(), &32.0.into()));
}
