//! A real Prometheus and its real Alertmanager say what is wrong, in the place of the program; and others that do not answer
//! as they do.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::history::timestamp::Timestamp;
use serde_json::{Value, json};

use super::{get, send, settings};
use crate::support::authority::folder;
use crate::support::backend::{Backend, Connection};
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;
use crate::support::servers::{Server, free, written};

/// Rules that fire at once, one by a name of ours and one by another's.
const RULES: &str = "groups: [{ name: g, interval: 1s, rules: [
  { alert: InferometerBackendDown, expr: 'ollama_proxy_backend_up == 0', labels: { severity: critical },
    annotations: { summary: '{{ $labels.backend }} is down, says Prometheus' } },
  { alert: Foreign, expr: 'vector(1)', labels: { severity: page, cause: 'a b' } },
  { alert: Watchdog, expr: 'vector(1)', labels: { severity: none } } ] }]\n";

/// One that scrapes the program every second, and wants a password.
fn prometheus(address: SocketAddr, program: SocketAddr, alertmanager: SocketAddr) -> Server {
    let folder = folder();
    let config = json!({
        "global": { "scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": { "site": "x" } },
        "rule_files": [written(&folder, "rules.yml", RULES)],
        "scrape_configs": [{ "job_name": "ollama_proxy", "static_configs": [{ "targets": [program] }] }],
        "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [alertmanager] }] }] },
    });
    let users = format!("basic_auth_users: {{ anna: {} }}\n", bcrypt::hash("s3cret", 4).expect("a hash"));
    let web = format!("--web.config.file={}", written(&folder, "web.yml", &users).display());
    // It tells an Alertmanager that was away soon.
    Server::prometheus(address, &config.to_string(), &[&web, "--rules.alert.resend-delay=1s"])
}

/// What holds the program's settings to reach them.
fn reaching(prometheus: SocketAddr, alertmanager: SocketAddr) -> String {
    let pair = written(&folder(), "pair", "anna:s3cret\n");
    std::fs::set_permissions(&pair, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let file = settings(&format!("[prometheus]\nbasic_auth_file = \"{}\"\n", pair.display()));
    let text = std::fs::read_to_string(&file).expect("it was written");
    let own = format!("prometheus_url = \"http://{prometheus}\"\nalertmanager_url = \"http://{alertmanager}\"\n");
    std::fs::write(&file, own + &text).expect("it can be written");
    file
}

fn source(answer: &Value) -> &str {
    answer["metadata"]["source"].as_str().expect("a source")
}

/// Alerts, once they fit.
fn alerts_until(program: &Program, fits: impl Fn(&Value) -> bool) -> Value {
    look_until(|| {
        let alerts = get(program, "/dashboard/alerts");
        if fits(&alerts) { Ok(alerts) } else { Err(alerts.to_string()) }
    })
}

fn of<'a>(alerts: &'a Value, rule: &str) -> Option<&'a Value> {
    alerts["data"].as_array().expect("a list").iter().find(|alert| alert["rule"] == rule)
}

/// Silences every alert of this name for an hour.
fn silence(alertmanager: &Server, name: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let at = |millis: u128| Timestamp(i64::try_from(millis).expect("in range")).to_string();
    let body = json!({
        "matchers": [{ "name": "alertname", "value": name, "isRegex": false, "isEqual": true }],
        "startsAt": at(now), "endsAt": at(now + 3_600_000), "createdBy": "otto", "comment": "known",
    });
    let answer = alertmanager.ask("POST", "/api/v2/silences", &body.to_string());
    assert!(answer.contains("200 OK"), "{answer}");
}

#[test]
fn alerts_and_silences_are_those_of_prometheus_and_the_programs_own_while_it_is_away() {
    let ollama = Ollama::listing(&["m"]);
    let (at, manager) = (free(), free());
    let program = Program::with(ollama.address, &["--config", &reaching(at, manager)]);
    program.wait_for_history();
    program.wait_for("backend_up", &["test"], 1.0);
    let alone = alerts_until(&program, |alerts| source(alerts) == "prometheus_unreachable");
    assert!(alone["alert_rules"].as_array().is_some_and(|rules| rules.len() > 40), "the program's own: {alone}");

    let server = prometheus(at, program.admin, manager);
    let theirs = alerts_until(&program, |alerts| of(alerts, "Foreign").is_some());
    assert_eq!(source(&theirs), "prometheus_without_silences", "Alertmanager is away");
    assert_eq!(of(&theirs, "Foreign").expect("it fires")["silence"], Value::Null);
    assert_eq!(theirs["unknown"]["/data/0/silence"], "collector_failed", "{theirs}");
    assert_eq!(theirs["alert_rules"].as_array().map(Vec::len), Some(2), "those of Prometheus: {theirs}");
    assert_eq!(theirs["summary"]["total"], 1, "a sign of life is no alert: {theirs}");
    let alertmanager = Server::alertmanager(manager);
    alerts_until(&program, |alerts| source(alerts) == "prometheus");

    ollama.fall_silent(true);
    let down = alerts_until(&program, |alerts| of(alerts, "InferometerBackendDown").is_some());
    let alert = of(&down, "InferometerBackendDown").expect("it fires").clone();
    assert_eq!(
        (&alert["message"], &alert["category"], &alert["severity"]),
        (&"test is down, says Prometheus".into(), &"backend".into(), &"critical".into())
    );
    let id = alert["_id"].as_str().expect("an id").to_owned();

    silence(&alertmanager, "Foreign");
    let silenced = alerts_until(&program, |alerts| of(alerts, "Foreign").is_some_and(|it| it["silence"].is_object()));
    let foreign = of(&silenced, "Foreign").expect("it goes on");
    assert_eq!((&foreign["acknowledged"], &foreign["acknowledgedBy"]), (&true.into(), &"otto".into()), "{foreign}");
    assert_eq!((&foreign["silence"]["comment"], &foreign["severity"]), (&"known".into(), &"critical".into()));
    assert_eq!(of(&silenced, "InferometerBackendDown").expect("it fires")["acknowledged"], false);
    let (status, answer) = send(program.admin, "POST", &format!("/dashboard/alerts/{id}/ack"), "{}");
    assert_eq!((status, &answer["alert"]["acknowledged"]), (200, &true.into()), "{answer}");
    let health = get(&program, "/dashboard/health");
    assert_eq!((&health["summary"]["alerts"]["critical"], source(&health)), (&2.into(), "prometheus"));

    ollama.fall_silent(false);
    alerts_until(&program, |alerts| of(alerts, "InferometerBackendDown").is_none());
    // Prometheus is asked too, and what both know is there once.
    let history = look_until(|| {
        let history = get(&program, "/dashboard/alerts/history?rule=InferometerBackendDown");
        if history["data"][0]["status"] == "resolved" { Ok(history) } else { Err(history.to_string()) }
    });
    let kept = &history["data"][0];
    assert_eq!((source(&history), &history["pagination"]["total"]), ("prometheus", &1.into()), "{history}");
    assert_eq!((&kept["_id"], &kept["acknowledged"]), (&id.into(), &true.into()));
    let page =
        |number: u64| get(&program, &format!("/dashboard/alerts/history?limit=1&page={number}"))["pagination"].clone();
    let total = page(1)["total"].as_u64().expect("a number");
    assert!(total >= 2, "both alerts: {}", page(1));
    assert_eq!((&page(1)["hasMore"], &page(total)["hasMore"]), (&true.into(), &false.into()), "{}", page(total));

    drop(server);
    let away = alerts_until(&program, |alerts| source(alerts) == "prometheus_unreachable");
    assert_eq!(away["summary"]["total"], 0, "the program itself sees nothing wrong: {away}");
    let history = get(&program, "/dashboard/alerts/history?rule=Foreign");
    assert_eq!((source(&history), &history["data"][0]["status"]), ("prometheus_unreachable", &"firing".into()));
}

#[test]
fn alerts_that_prometheus_saw_before_the_program_began_are_in_the_history() {
    let ollama = Ollama::listing(&["m"]);
    let (at, manager) = (free(), free());
    let first = Program::with(ollama.address, &[]);
    let server = prometheus(at, first.admin, manager);
    look_until(|| {
        let query = "GET /api/v1/query?query=ALERTS%7Balertname%3D%22Foreign%22%7D HTTP/1.0\r\nHost: a\r\n\
                     Authorization: Basic YW5uYTpzM2NyZXQ=\r\n\r\n";
        let answer = crate::support::client::ask(server.address, query);
        if answer.contains("Foreign") { Ok(()) } else { Err(answer) }
    });
    // Nothing is kept here: all of it is what Prometheus has.
    let file = reaching(at, manager);
    let program = Program::with(ollama.address, &["--history", "off", "--config", &file]);
    let history = look_until(|| {
        let history = get(&program, "/dashboard/alerts/history?period=1h&severity=critical");
        if source(&history) == "prometheus" && history["data"][0].is_object() {
            Ok(history)
        } else {
            Err(history.to_string())
        }
    });
    assert_eq!((&history["data"][0]["rule"], &history["pagination"]["total"]), (&"Foreign".into(), &1.into()));
    assert_eq!(history["data"][0]["labels"]["cause"], "a b");
    let none = get(&program, "/dashboard/alerts/history?period=1h&severity=info");
    assert_eq!(none["pagination"]["total"], 0);
}

#[test]
fn a_prometheus_that_does_not_answer_as_one_costs_no_answer() {
    let answer = |status: &str, body: &str| {
        let whole = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        move |connection: &mut Connection| {
            while connection.request().is_some() {
                connection.write(whole.as_bytes());
            }
        }
    };
    let huge = "x".repeat(9 << 20);
    let scripts: Vec<(&str, Backend)> = vec![
        ("answered 401", Backend::start(answer("401 Unauthorized", ""))),
        ("answered 302", Backend::start(answer("302 Found", ""))),
        ("does not answer as Prometheus", Backend::start(answer("200 OK", "<html>"))),
        ("does not answer as Prometheus", Backend::start(answer("200 OK", r#"{"data":{"groups":[{"rules":7}]}}"#))),
        ("too large", Backend::start(answer("200 OK", &huge))),
        ("did not answer in time", Backend::start(|connection| while connection.request().is_some() {})),
        ("as HTTP wants it", Backend::start(|connection| connection.write(b"SSH-2.0-a\r\n"))),
    ];
    let ollama = Ollama::listing(&["m"]);
    for (why, prometheus) in scripts {
        let file = settings("");
        let url = format!("http://{}", prometheus.address);
        let program = Program::with(ollama.address, &["--config", &file, "--prometheus-url", &url]);
        let logged =
            program.logged(|line| line["message"].as_str().is_some_and(|it| it.starts_with("Prometheus does")));
        assert!(logged["why"].as_str().is_some_and(|it| it.contains(why)), "{why}: {logged}");
        let alerts = alerts_until(&program, |alerts| source(alerts) == "prometheus_unreachable");
        assert!(alerts["alert_rules"].as_array().is_some_and(|rules| rules.len() > 40), "{why}: {alerts}");
        for path in ["/dashboard/alerts/history", "/dashboard/health", "/dashboard/overview"] {
            get(&program, path);
        }
        assert_eq!(source(&get(&program, "/dashboard/alerts/history")), "prometheus_unreachable", "{why}");
    }
}

#[test]
fn a_prometheus_without_alerting_rules_leaves_them_to_the_program() {
    let ollama = Ollama::listing(&["m"]);
    let server = Server::prometheus(free(), "{}", &[]);
    let url = format!("http://{}", server.address);
    let program = Program::with(ollama.address, &["--config", &settings(""), "--prometheus-url", &url]);
    program.logged(|line| line["message"].as_str().is_some_and(|it| it.starts_with("Prometheus has no")));
    let alerts = alerts_until(&program, |alerts| source(alerts) == "built_in");
    assert!(alerts["alert_rules"].as_array().is_some_and(|rules| rules.len() > 40), "{alerts}");
}
