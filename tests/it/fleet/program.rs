//! The real program before several scripted servers: what a reload changes, and what becomes of a server that dies.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use http::Request;
use rustix::process::Signal;
use serde_json::Value;

use super::chat;
use crate::support::PATIENCE;
use crate::support::authority::folder;
use crate::support::backend::{Backend, Connection};
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::program::{Program, command};

/// A server like Ollama that lists this model, has it in memory, and answers with its own name.
pub(super) fn server(name: &'static str, model: &'static str) -> Backend {
    Backend::start(move |connection| while serve(connection, name, model, "200 OK") {})
}

/// Answers one request; chats with this status. False at the end of the connection.
pub(super) fn serve(connection: &mut Connection, name: &str, model: &str, status: &str) -> bool {
    let Some(request) = connection.request() else { return false };
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).expect("a target");
    let (status, body) = match path {
        "/api/tags" | "/api/ps" => ("200 OK", format!(r#"{{"models":[{{"name":"{model}","model":"{model}"}}]}}"#)),
        "/api/version" => ("200 OK", r#"{"version":"0.33.0"}"#.to_owned()),
        "/api/chat" => (status, format!(r#"{{"model":"{model}","from":"{name}"}}"#)),
        _ => ("200 OK", name.to_owned()),
    };
    let body = if request.starts_with("HEAD ") { String::new() } else { body };
    connection.write(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    true
}

/// The program with a file that can be rewritten.
pub(super) struct Fleet {
    folder: PathBuf,
    pub(super) program: Program,
}

impl Fleet {
    pub(super) fn start(toml: &str) -> Self {
        let folder = folder();
        let file = folder.join("inferometer.toml");
        std::fs::write(&file, toml).expect("a file");
        Self { program: Program::configured(command(), &file), folder }
    }

    pub(super) fn reload(&self, toml: &str) -> Value {
        std::fs::write(self.folder.join("inferometer.toml"), toml).expect("a file");
        self.program.signal(Signal::HUP);
        self.program
            .logged(|line| line["message"].as_str().is_some_and(|message| message.contains("configuration was ")))
    }

    /// Waits until the models of so many backends are listed.
    pub(super) fn listed(&self, backends: usize) {
        self.program.wait_for("model_info", &[], backends as f64);
    }

    pub(super) fn line(&self) -> Value {
        self.program.logged(|line| line["outcome"].is_string())
    }
}

pub(super) fn table(name: &str, address: SocketAddr, more: &str) -> String {
    format!("[[backends]]\nname = \"{name}\"\nurl = \"http://{address}\"\n{more}\n")
}

#[test]
fn two_backends_on_the_command_line_share_the_requests_by_their_models() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let mut command = command();
    command.args(["--backend", &format!("other=http://{}", other.address)]);
    let program = Program::start(command, one.address, &[]);
    program.wait_for("model_info", &[], 2.0);
    let mut client = Client::connect(program.clients);
    client.send(chat("there:1b", 100)).until("\"from\":\"other\"}");
    client.send(chat("here:1b", 100)).until("\"from\":\"one\"}");
    let lines = [0, 1].map(|_| program.logged(|line| line["outcome"].is_string()));
    let placed = lines.each_ref().map(|line| (line["backend"].as_str(), line["placed"].as_str()));
    assert_eq!(placed, [(Some("other"), Some("resident")), (Some("test"), Some("resident"))]);
}

#[test]
fn a_reload_adds_drains_and_removes_backends_for_clients_that_keep_their_connection() {
    let (one, other) = (server("one", "both:1b"), server("other", "both:1b"));
    let (first, second) = (table("one", one.address, ""), table("other", other.address, "zone = \"attic\""));
    let fleet = Fleet::start(&first);
    fleet.listed(1);
    let mut client = Client::connect(fleet.program.clients);
    let mut asked = |from: &str| drop(client.send(chat("both:1b", 10)).until(format!("\"from\":\"{from}\"}}")));
    asked("one");
    assert_eq!(fleet.line()["placed"], Value::Null, "with one backend there is no choice to report");
    let page = fleet.program.fetch("/metrics");
    for family in ["router", "backend_state", "backend_available", "backend_inflight"] {
        assert!(!page.contains(&format!("ollama_proxy_{family}")), "{family}");
    }
    let drained = table("one", one.address, "drain = true");
    let line = fleet.reload(&format!("{drained}{second}"));
    assert_eq!(line["keys"], "backends");
    fleet.listed(2);
    let workers: Value = serde_json::from_str(&fleet.program.fetch("/dashboard/workers")).expect("JSON");
    let shown = |at: usize| ["id", "state", "draining"].map(|key| workers["workers"][at][key].clone());
    assert_eq!(shown(0), [Value::from("one"), Value::from("draining"), Value::from(true)]);
    assert_eq!(shown(1), [Value::from("other"), Value::from("up"), Value::from(false)]);
    (0..4).for_each(|_| asked("other"));
    let workers: Value = serde_json::from_str(&fleet.program.fetch("/dashboard/workers")).expect("JSON");
    let other = &workers["workers"][1];
    let shown = ["weight", "times_slower", "tier", "zone"].map(|key| other[key].clone());
    assert_eq!(Value::from(shown.to_vec()), serde_json::json!([1.0, 1.0, 0, "attic"]), "{other}");
    let placed = other["placed"].as_object().expect("an object").values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(placed, 4, "{other}");
    fleet.reload(&format!("policy = \"round_robin\"\n{first}{second}"));
    for from in ["one", "other", "one", "other"] {
        asked(from);
    }
    fleet.reload(&first);
    (0..3).for_each(|_| asked("one"));
    fleet.program.wait_for("backend_up", &["other"], 0.0);
    fleet.listed(1);
    fleet.reload(&drained);
    let answer = ask(fleet.program.clients, chat("both:1b", 10).replace("Host: a", "Host: a\r\nConnection: close"));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: no_backend"), "{answer}");
}

#[test]
fn a_wrong_file_changes_no_backend() {
    let (one, other) = (server("one", "both:1b"), server("other", "both:1b"));
    let fleet = Fleet::start(&table("one", one.address, ""));
    fleet.listed(1);
    let line = fleet.reload(&format!("{}{}", table("other", other.address, ""), table("other", one.address, "")));
    assert!(line["message"].as_str().expect("text").contains("not reloaded"), "{line}");
    Client::connect(fleet.program.clients).send(chat("both:1b", 10)).until("\"from\":\"one\"}");
    assert_eq!(other.accepted(), 0);
}

#[test]
fn a_request_whose_backend_refuses_connections_goes_to_another_one_that_has_its_model() {
    let other = server("other", "both:1b");
    let (sender, closing) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        // Lists its model and is gone.
        let mut dying = Some(listener);
        while let Some(listener) = &dying {
            let Ok((stream, _)) = listener.accept() else { return };
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut connection = Connection::of(stream);
            while serve(&mut connection, "one", "both:1b", "200 OK") {}
            if closing.try_recv().is_ok() {
                dying = None;
            }
        }
    });
    let toml = format!("policy = \"round_robin\"\n{}{}", table("one", address, ""), table("other", other.address, ""));
    let fleet = Fleet::start(&toml);
    fleet.listed(2);
    sender.send(()).expect("it lives");
    // The next connection is its last.
    fleet.program.wait_for("backend_up", &["backend=\"one\""], 0.0);
    let mut client = Client::connect(fleet.program.clients);
    for _ in 0..6 {
        client.send(chat("both:1b", 10)).until("\"from\":\"other\"}");
        assert_eq!(fleet.line()["outcome"], "completed");
    }
    assert_eq!(fleet.program.metric("requests_total", &["/api/chat", "other"]), 6.0, "each counted once");
    assert_eq!(fleet.program.metric("requests_total", &["/api/chat", "backend=\"one\""]), 0.0);
}

#[test]
fn a_backend_whose_answers_fail_is_left_out_and_a_busy_one_is_not() {
    let (one, other) = (server("one", "both:1b"), server("other", "both:1b"));
    let failing =
        Backend::start(|connection| while serve(connection, "bad", "both:1b", "500 Internal Server Error") {});
    let all = [table("one", one.address, ""), table("other", other.address, ""), table("bad", failing.address, "")];
    let fleet = Fleet::start(&format!("policy = \"round_robin\"\n{}", all.concat()));
    fleet.listed(3);
    let mut client = Client::connect(fleet.program.clients);
    let mut failed = 0;
    for _ in 0..40 {
        client.send(chat("both:1b", 10)).until("\"}");
        failed += u32::from(fleet.line()["status"] == 500);
    }
    assert_eq!(failed, 5, "five in a row, and no more");
    let program = &fleet.program;
    let states = |backend: &str| {
        ["up", "ejected"].map(|state| program.metric("backend_state", &[backend, &format!("state=\"{state}\"")]))
    };
    assert_eq!((states("\"bad\""), states("\"one\"")), ([0.0, 1.0], [1.0, 0.0]));
    assert_eq!(program.metric("backend_available", &[]), 2.0);
    assert_eq!(program.metric("backend_ejections_total", &["bad", "failed"]), 1.0);
    assert_eq!(program.metric("router_decisions_total", &["round_robin"]), 40.0);
    assert_eq!(program.metric("router_hold_seconds_count", &[]), 40.0);
    assert_eq!(program.metric("router_held_bytes", &[]), 0.0);
}

#[test]
fn lists_are_those_of_all_backends_element_by_element_over_both_protocols() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let toml = [table("one", one.address, ""), table("other", other.address, "")].concat();
    let fleet = Fleet::start(&toml);
    fleet.listed(2);
    let both = r#"{"models":[{"name":"here:1b","model":"here:1b"},{"name":"there:1b","model":"there:1b"}]}"#;
    let mut client = Client::connect(fleet.program.clients);
    for path in ["/api/tags", "/api/ps"] {
        let answer =
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")).until(both);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\ncontent-type: "), "{}", String::from_utf8_lossy(&answer));
        let line = fleet.line();
        assert_eq!((line["endpoint"].as_str(), line["outcome"].as_str()), (Some(path), Some("completed")));
    }
    client.send("GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n").until("\r\n\r\n{\"version\":\"0.33.0\"}");
    let http2 = http2::Client::connect(fleet.program.clients);
    let request = Request::builder().uri("http://a/api/tags").body(()).expect("a request");
    let (_, body) = http2.ask(request, "");
    assert_eq!(body, both);
    assert_eq!(
        fleet.program.metric("requests_total", &["/api/tags", "outcome=\"completed\""]),
        2.0,
        "each counted once"
    );
    client
        .send("GET /api/tags HTTP/1.1\r\nHost: a\r\nx-inferometer-backend: other\r\n\r\n")
        .until("{\"name\":\"there:1b\",\"model\":\"there:1b\"}]}");
    fleet.reload(&format!("[fleet]\nmerge = \"off\"\nhome = \"other\"\n{toml}"));
    let answer = client.send("GET /api/tags HTTP/1.1\r\nHost: a\r\n\r\n").until("]}");
    assert!(!String::from_utf8_lossy(&answer).contains("\"here"), "the home's own");
}

#[test]
fn a_list_comes_from_the_backends_that_answer() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let silent = Backend::start(|connection| while connection.request().is_some() {});
    let all = [table("one", one.address, ""), table("other", other.address, ""), table("silent", silent.address, "")];
    let fleet = Fleet::start(&all.concat());
    fleet.listed(2);
    let answer = ask(fleet.program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("here:1b") && answer.contains("there:1b"), "{answer}");
    let alone = [table("one", one.address, ""), table("silent", silent.address, "")];
    fleet.reload(&alone.concat());
    let answer = ask(fleet.program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Length: "), "one alone is forwarded as it is: {answer}");
}

#[test]
fn a_backend_that_is_late_is_listed_as_it_was_before() {
    let (one, late) = (server("one", "here:1b"), Arc::new(AtomicBool::new(false)));
    let is_late = late.clone();
    let other = Backend::start(move |connection| {
        while !is_late.load(Ordering::SeqCst) && serve(connection, "other", "there:1b", "200 OK") {}
        connection.closed();
    });
    let fleet = Fleet::start(&[table("one", one.address, ""), table("other", other.address, "")].concat());
    fleet.listed(2);
    let both = r#"{"models":[{"name":"here:1b","model":"here:1b"},{"name":"there:1b","model":"there:1b"}]}"#;
    let request = "GET /api/tags HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = Client::connect(fleet.program.clients);
    client.send(request).until(both);
    let age = |backend: &str| fleet.program.metric("fleet_listing_age_seconds", &[backend, "/api/tags"]);
    assert_eq!((age("\"one\""), age("\"other\"")), (0.0, 0.0));
    late.store(true, Ordering::SeqCst);
    client.send(request).until(both);
    assert!(age("\"one\"") == 0.0 && age("\"other\"") > 0.0, "{} {}", age("\"one\""), age("\"other\""));
}

#[test]
fn a_model_named_in_a_path_is_asked_of_a_backend_that_has_it() {
    let (one, other) = (server("one", "here:1b"), server("other", "org/there:1b"));
    let fleet = Fleet::start(&[table("one", one.address, ""), table("other", other.address, "")].concat());
    fleet.listed(2);
    let mut client = Client::connect(fleet.program.clients);
    for (path, from) in [("org/there:1b", "other"), ("org%2Fthere%3a1b", "other"), ("here:1b", "one"), ("x", "one")] {
        client.send(format!("GET /v1/models/{path} HTTP/1.1\r\nHost: a\r\n\r\n")).until(format!("\r\n\r\n{from}"));
    }
}
