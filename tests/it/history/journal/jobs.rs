//! Pulls, pushes and creates: while they run, when they are over, and after the program was killed.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::wait_for;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, STATE, command};

fn request(path: &str, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}"}}"#);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: curl/8.5\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn fields(job: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| ((*name).to_owned(), job[*name].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn every_kind_of_job_and_of_its_end_is_listed() {
    let layer = |done: u64| format!(r#"{{"status":"pulling a","digest":"sha256:a","total":100,"completed":{done}}}"#);
    let (some, all) = (layer(40), layer(100));
    let success = r#"{"status":"success"}"#;
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = Program::before(ollama.address);
    program.wait_for("model_info", &[], 1.0);
    let run = |path: &str, model: &str, lines: &[&str]| {
        ollama.answer(&format!("POST {path}"), "200 OK", lines);
        Client::connect(program.clients).send(request(path, model)).rest();
    };
    #[rustfmt::skip]
    let table: [(&str, &str, &[&str], Value); 5] = [
        ("/api/pull", "new:1b", &[r#"{"status":"pulling manifest"}"#, &some, &all, r#"{"status":"verifying sha256 digest"}"#, success],
            json!({ "kind": "pull", "state": "completed", "resource": "new:1b", "progress": 1.0, "bytes_done": 100, "bytes_total": 100, "bytes_moved": 100, "step": "verifying", "error": null })),
        ("/api/push", "llama3:latest", &[&some, r#"{"error":"no"}"#],
            json!({ "kind": "push", "state": "failed", "resource": "llama3:latest", "progress": 0.4, "bytes_done": 40, "bytes_total": 100, "bytes_moved": 40, "step": "pulling", "error": "stream_error" })),
        ("/api/create", "mine", &[r#"{"status":"creating model layer"}"#, success],
            json!({ "kind": "create", "state": "completed", "resource": "mine", "progress": null, "bytes_done": null, "bytes_total": null, "bytes_moved": null, "step": "creating", "error": null })),
        ("/api/pull", "no-such", &[r#"{"error":"pull model manifest: file does not exist"}"#],
            json!({ "kind": "pull", "state": "failed", "resource": null, "progress": null, "bytes_done": null, "bytes_total": null, "bytes_moved": null, "step": null, "error": "stream_error" })),
        ("/api/pull", "cut:1b", &[&some],
            json!({ "kind": "pull", "state": "failed", "resource": "cut:1b", "progress": 0.4, "bytes_done": 40, "bytes_total": 100, "bytes_moved": 40, "step": "pulling", "error": "truncated" })),
    ];
    let names = ["kind", "state", "resource", "progress", "bytes_done", "bytes_total", "bytes_moved", "step", "error"];
    let mut before = Vec::new();
    for (path, model, lines, expected) in &table {
        run(path, model, lines);
        let is_new = |job: &Value| !before.contains(&job["id"]) && job["state"] != "running";
        let job = wait_for(program.state(), &["jobs"], is_new);
        assert_eq!(fields(&job, &names), *expected, "{path} {model}");
        assert_eq!((&job["backend"], &job["user"], &job["status"]), (&"test".into(), &"curl".into(), &200.into()));
        assert!(job["started"].as_str() <= job["ended"].as_str() && job["ended"].is_string(), "{job}");
        assert_eq!(job["bytes_per_second"].is_u64(), job["bytes_moved"].is_u64(), "{job}");
        before.push(job["id"].clone());
    }
    let completed = super::list(program.state(), &["jobs", "--state=completed", "--kind=pull"]);
    assert_eq!(completed.len(), 1, "{completed:?}");

    // HTTP/2 goes the same way.
    ollama.answer("POST /api/pull", "200 OK", &[&all, success]);
    let client = http2::Client::connect(program.clients);
    let (response, _) = client.ask(http2::request(http::Method::POST, "/api/pull"), r#"{"model":"new:3b"}"#);
    assert_eq!(response.status(), 200);
    let job = wait_for(program.state(), &["jobs", "--resource=new:3b"], |job| job["state"] == "completed");
    assert_eq!((&job["bytes_moved"], &job["user"]), (&100.into(), &Value::Null));
    wait_for(program.state(), &["audit", "--resource=new:3b", "--action=pull"], |it| it["result"] == "success");
}

/// A backend that sends a layer's beginning, and the rest when it is asked to.
fn halting() -> (Backend, mpsc::Sender<()>) {
    let (go_on, goes_on) = mpsc::channel();
    let goes_on = Arc::new(Mutex::new(goes_on));
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if !request.starts_with(b"POST /api/pull") {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let chunk = |line: &str| format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection
                .write(chunk(r#"{"status":"pulling a","digest":"sha256:a","total":1000,"completed":250}"#).as_bytes());
            let _gone = goes_on.lock().expect("no panic").recv();
            connection.write((chunk(r#"{"status":"success"}"#) + "0\r\n\r\n").as_bytes());
        }
    });
    (backend, go_on)
}

#[test]
fn a_job_is_listed_while_it_runs_keeps_its_id_and_is_cancelled_by_its_client() {
    let (backend, go_on) = halting();
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(request("/api/pull", "new:1b"));
    let running = |job: &Value| job["state"] == "running" && job["bytes_done"] == 250;
    let job = wait_for(program.state(), &["jobs"], running);
    let known = ["user", "resource", "progress", "ended", "status", "step", "kind"];
    let expected = json!({ "user": "curl", "resource": "new:1b", "progress": 0.25, "ended": null, "status": null, "step": "pulling", "kind": "pull" });
    assert_eq!(fields(&job, &known), expected);
    go_on.send(()).expect("it waits");
    client.rest();
    let ended = wait_for(program.state(), &["jobs"], |job| job["state"] == "completed");
    assert_eq!((&ended["id"], &ended["started"]), (&job["id"], &job["started"]));

    let mut client = Client::connect(program.clients);
    client.send(request("/api/pull", "new:2b"));
    wait_for(program.state(), &["jobs", "--state=running"], |_| true);
    client.reset();
    let cancelled = wait_for(program.state(), &["jobs", "--state=cancelled"], |_| true);
    assert_eq!(cancelled["error"], Value::Null, "{cancelled}");
    drop(go_on);
}

#[test]
fn a_job_that_a_killed_program_left_behind_is_lost() {
    let (backend, go_on) = halting();
    let mut program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(request("/api/pull", "new:1b"));
    let job = wait_for(program.state(), &["jobs", "--state=running"], |_| true);
    program.signal(Signal::KILL);
    program.ended();
    let mut again = command();
    again.env(STATE, program.state());
    let again = Program::start(again, backend.address, &[]);
    let lost = wait_for(again.state(), &["jobs", "--state=lost"], |_| true);
    assert_eq!((&lost["id"], &lost["ended"]), (&job["id"], &Value::Null));
    drop((client, go_on));
}
