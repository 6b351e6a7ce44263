//! One alert from its beginning to its end, at real speed.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{get, send, send_from, settings};
use crate::support::backend::Backend;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

/// Bodies.
type Bodies = Arc<Mutex<Vec<Value>>>;

/// A webhook that refuses the first notification, and keeps the bodies of all that it accepts.
fn webhook() -> (Backend, Bodies) {
    let (accepted, count) = (Bodies::default(), Mutex::new(0));
    let kept = accepted.clone();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let mut asked = count.lock().expect("no panic");
            *asked += 1;
            if *asked == 1 {
                connection.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            assert!(
                text.starts_with("POST /hook HTTP/1.1\r\n") && text.contains("authorization: Bearer s3cret\r\n"),
                "{text}"
            );
            let body = text.split_once("\r\n\r\n").expect("a head").1;
            kept.lock().expect("no panic").push(serde_json::from_str(body).expect("JSON"));
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (backend, accepted)
}

/// Looks until there is something, for as long as an alert takes to fire.
fn in_a_while<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(missing) => assert!(begun.elapsed() < Duration::from_secs(180), "{missing}"),
        }
        // It sets a pace: the API is asked for a minute, and without a rest that would take a processor from other tests.
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn active(program: &Program) -> Result<Value, String> {
    let alerts = get(program, "/dashboard/alerts?rule=InferometerBackendDown");
    if alerts["active_alerts"].as_array().is_some_and(|list| list.len() == 1) {
        Ok(alerts)
    } else {
        Err(alerts.to_string())
    }
}

#[test]
fn a_backend_that_falls_silent_raises_an_alert_that_is_acknowledged_told_kept_and_ends() {
    let (ollama, (hook, told)) = (Ollama::listing(&["llama3.2:3b"]), webhook());
    let token = crate::support::authority::folder().join("token");
    let mut file = std::fs::File::create(&token).expect("a file");
    file.write_all(b"s3cret\n").expect("a file");
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let hook =
        format!("webhook_url = \"http://{}/hook\"\nwebhook_token_file = \"{}\"\n", hook.address, token.display());
    let program = Program::with(ollama.address, &["--config", &settings(&hook)]);
    program.wait_for_history();
    program.wait_for("backend_up", &["test"], 1.0);
    // Since the first look at them.
    let quiet = look_until(|| match get(&program, "/dashboard/alerts") {
        quiet if quiet["metadata"]["source"] == "built_in" => Ok(quiet),
        other => Err(other.to_string()),
    });
    assert_eq!(quiet["active_alerts"], serde_json::json!([]));
    assert!(quiet["alert_rules"].as_array().is_some_and(|rules| rules.len() > 40), "{quiet}");

    ollama.fall_silent(true);
    program.wait_for("backend_up", &["test"], 0.0);
    let alerts = in_a_while(|| active(&program));
    let alert = &alerts["active_alerts"][0];
    assert_eq!(
        (&alert["level"], &alert["title"], &alert["acknowledged"]),
        (&"critical".into(), &"Backend down".into(), &false.into())
    );
    assert_eq!(alerts["data"][0]["startedAt"], alert["timestamp"]);
    assert!(alerts["data"][0]["firedAt"].as_str() >= Some("2026"), "{alerts}");
    let again = active(&program).expect("it goes on");
    assert_eq!(again["active_alerts"][0]["timestamp"], alert["timestamp"], "when it began, not when one asks");
    let health = get(&program, "/dashboard/health");
    assert_eq!((&health["systemHealth"], &health["issues"][0]["type"]), (&60.into(), &"backend.backend_down".into()));

    let id = alert["id"].as_str().expect("an id");
    let ack = format!("/dashboard/alerts/{id}/ack");
    assert_eq!(send(program.admin, "POST", "/dashboard/alerts/nothing/ack", "{}").0, 404);
    let (status, answer) = send_from(7, program.admin, "POST", &ack, "{}");
    assert_eq!((status, &answer["alert"]["acknowledged"]), (200, &true.into()), "{answer}");
    let audit = look_until(|| match get(&program, "/dashboard/audit?action=alert_ack") {
        audit if audit["entries"][0]["resource"] == "InferometerBackendDown" => Ok(audit),
        audit => Err(audit.to_string()),
    });
    assert_eq!(audit["entries"][0]["source_ip"], "127.0.0.7", "whoever acknowledged: {audit}");
    assert_eq!(active(&program).expect("it goes on")["summary"]["acknowledged"], 1);

    ollama.fall_silent(false);
    in_a_while(|| active(&program).map_or(Ok(()), |alerts| Err(alerts.to_string())));
    let history = in_a_while(|| {
        let history = get(&program, "/dashboard/alerts/history?rule=InferometerBackendDown");
        if history["data"][0]["status"] == "resolved" { Ok(history) } else { Err(history.to_string()) }
    });
    let kept = &history["data"][0];
    assert_eq!(
        (&kept["_id"], &kept["acknowledged"], &history["pagination"]["total"]),
        (&id.into(), &true.into(), &1.into())
    );
    assert_eq!(kept["startedAt"], alert["timestamp"]);
    let over = get(&program, "/dashboard/alerts");
    assert_eq!(over["resolved_alerts"][0]["id"], id, "{over}");

    let told = in_a_while(|| {
        let told = told.lock().expect("no panic").clone();
        if told.len() >= 2 { Ok(told) } else { Err(format!("{told:?}")) }
    });
    let of = |body: &Value| {
        (body["status"].clone(), body["alerts"][0]["labels"]["alertname"].clone(), body["version"].clone())
    };
    let name = || Value::from("InferometerBackendDown");
    assert_eq!(
        told.iter().map(of).collect::<Vec<_>>(),
        [("firing".into(), name(), "4".into()), ("resolved".into(), name(), "4".into())]
    );
    assert_eq!(told[0]["alerts"][0]["startsAt"], alert["timestamp"]);
}

#[test]
fn an_alert_that_fires_while_the_program_restarts_goes_on() {
    let ollama = Ollama::listing(&["llama3.2:3b"]);
    let place = crate::support::authority::folder().join("state");
    let start = || {
        let mut command = crate::support::program::command();
        command.env(crate::support::program::STATE, &place);
        // The same name, as an alert has it among its labels.
        command.args(["--instance", "test"]);
        Program::start(command, ollama.address, &["--config", &settings("")])
    };
    let first = start();
    first.wait_for_history();
    ollama.fall_silent(true);
    let before = in_a_while(|| active(&first));
    let state = first.state().to_owned();
    look_until(|| {
        let history = get(&first, "/dashboard/alerts/history");
        if history["data"][0]["_id"] == before["data"][0]["_id"] { Ok(()) } else { Err(history.to_string()) }
    });
    drop_keeping(first, &state);
    let second = start();
    let after = look_until(|| active(&second));
    assert_eq!(after["data"][0]["_id"], before["data"][0]["_id"], "{after}");
}

/// Kills a program and keeps its directory.
fn drop_keeping(mut program: Program, _state: &std::path::Path) {
    std::mem::forget(program.state.take());
}

/// A webhook that answers 503 until the flag is set, then 200, and keeps the bodies that it answered with 200.
fn switched_webhook() -> (Backend, Arc<AtomicBool>, Bodies) {
    let (accepts, accepted) = (Arc::<AtomicBool>::default(), Bodies::default());
    let (is_on, kept) = (accepts.clone(), accepted.clone());
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if !is_on.load(Ordering::Relaxed) {
                connection.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let body = text.split_once("\r\n\r\n").expect("a head").1;
            kept.lock().expect("no panic").push(serde_json::from_str(body).expect("JSON"));
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (backend, accepts, accepted)
}

#[test]
fn what_a_webhook_has_not_accepted_is_told_after_a_restart_and_nothing_twice() {
    let (ollama, (hook, accepts, accepted)) = (Ollama::listing(&["llama3.2:3b"]), switched_webhook());
    let place = crate::support::authority::folder().join("state");
    let file = settings(&format!("webhook_url = \"http://{}/hook\"\n", hook.address));
    let start = || {
        let mut command = crate::support::program::command();
        command.env(crate::support::program::STATE, &place).args(["--instance", "box:1"]);
        let mut program = Program::start(command, ollama.address, &["--config", &file]);
        // What it keeps is for the next one.
        std::mem::forget(program.state.take());
        program
    };
    let told = || accepted.lock().expect("no panic").iter().map(|body| body["status"].clone()).collect::<Vec<_>>();
    let told_so_far = |expected: &[&str]| {
        in_a_while(|| if told() == expected { Ok(()) } else { Err(format!("{:?}, not {expected:?}", told())) });
    };
    let waiting = place.join("history/notifications-box_3a1.jsonl");

    let mut first = start();
    first.wait_for_history();
    ollama.fall_silent(true);
    let before = in_a_while(|| active(&first));
    first.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("cannot be told")));
    look_until(|| {
        let history = get(&first, "/dashboard/alerts/history");
        if history["data"][0]["_id"] == before["data"][0]["_id"] { Ok(()) } else { Err(history.to_string()) }
    });
    first.rest_of_log();
    assert_eq!((told().len(), waiting.is_file()), (0, true), "it waits in a file");

    accepts.store(true, Ordering::Relaxed);
    let mut second = start();
    told_so_far(&["firing"]);
    assert_eq!(accepted.lock().expect("no panic")[0]["alerts"][0]["startsAt"], before["data"][0]["startedAt"]);
    look_until(|| if waiting.exists() { Err("it waits still".to_owned()) } else { Ok(()) });
    second.wait_for("backend_up", &["test"], 0.0);
    accepts.store(false, Ordering::Relaxed);
    ollama.fall_silent(false);
    in_a_while(|| active(&second).map_or(Ok(()), |alerts| Err(alerts.to_string())));
    look_until(|| if waiting.exists() { Ok(()) } else { Err("it does not wait yet".to_owned()) });
    second.rest_of_log();

    accepts.store(true, Ordering::Relaxed);
    let third = start();
    told_so_far(&["firing", "resolved"]);
    look_until(|| if waiting.exists() { Err("it waits still".to_owned()) } else { Ok(()) });
    assert_eq!(active(&third).err().map(|_| told()), Some(vec!["firing".into(), "resolved".into()]), "each once");
    drop(third);
    std::fs::remove_dir_all(&place).expect("it was made");
}
