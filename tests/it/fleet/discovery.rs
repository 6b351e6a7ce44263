//! Backends that are found in a file: they come and go without a stream that breaks.

use std::path::Path;

use serde_json::Value;

use super::program::server;
use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::dns::NameServer;
use crate::support::program::{Program, command};

/// Lists these targets, each with the labels that it is given.
fn list(file: &Path, targets: &[(&Backend, &str)]) {
    let group = |(backend, labels): &(&Backend, &str)| {
        format!("{{\"targets\":[\"{}\"],\"labels\":{{{labels}}}}}", backend.address)
    };
    let text = format!("[{}]", targets.iter().map(group).collect::<Vec<_>>().join(","));
    let written = file.with_extension("new");
    std::fs::write(&written, text).expect("a file");
    std::fs::rename(written, file).expect("a file");
}

fn chat(model: &str) -> String {
    super::chat(model, 10)
}

#[test]
fn backends_of_a_file_come_drain_and_go_and_a_broken_file_changes_nothing() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    // Streams until it is told to end.
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    let slow = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let is_chat = String::from_utf8_lossy(&request).starts_with("POST /api/chat");
            let listed = r#"{"models":[{"name":"slow:1b","model":"slow:1b"}]}"#;
            if !is_chat {
                connection
                    .write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{listed}", listed.len()).as_bytes());
                continue;
            }
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
            let _told = ends.lock().expect("no panic").recv_timeout(crate::support::PATIENCE);
            connection.write(b"-over");
        }
    });
    let folder = folder();
    let (file, toml) = (folder.join("backends.json"), folder.join("inferometer.toml"));
    list(&file, &[(&one, "\"name\":\"one\""), (&slow, "\"name\":\"slow\"")]);
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[fleet]\nfile_sd = [\"{}\"]\n",
        file.display()
    );
    std::fs::write(&toml, text).expect("a file");
    let program = Program::configured(command(), &toml);
    program.wait_for("model_info", &[], 2.0);
    let mut client = Client::connect(program.clients);
    client.send(chat("here:1b")).until("\"from\":\"one\"}");
    let mut streaming = Client::connect(program.clients);
    streaming.send(chat("slow:1b")).until("begin");

    list(&file, &[(&one, "\"name\":\"one\""), (&other, "\"name\":\"other\"")]);
    program.wait_for("model_info", &["backend=\"other\""], 1.0);
    client.send(chat("there:1b")).until("\"from\":\"other\"}");
    end.send(()).expect("it streams");
    streaming.until("-over");

    std::fs::write(&file, "[{").expect("a file");
    program.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("not discovered")));
    client.send(chat("there:1b")).until("\"from\":\"other\"}");
    list(&file, &[(&one, "\"name\":\"one\""), (&other, "\"name\":\"other\",\"drain\":\"true\"")]);
    program.wait_for("backend_state", &["other", "draining"], 1.0);
}

#[test]
fn what_is_discovered_twice_is_said_and_an_empty_list_leaves_no_backend() {
    let (one, other) = (server("one", "here:1b"), server("other", "there:1b"));
    let folder = folder();
    let (file, toml) = (folder.join("backends.json"), folder.join("inferometer.toml"));
    list(&file, &[(&one, "\"name\":\"one\"")]);
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[fleet]\nfile_sd = [\"{}\"]\n",
        file.display()
    );
    std::fs::write(&toml, text).expect("a file");
    let program = Program::configured(command(), &toml);
    let mut client = Client::connect(program.clients);
    client.send(chat("here:1b")).until("\"from\":\"one\"}");
    list(&file, &[(&one, "\"name\":\"one\""), (&other, "\"name\":\"one\""), (&one, "\"name\":\"one\"")]);
    let next = || {
        program.logged(|line| {
            line["message"].as_str().is_some_and(|text| text.contains("left out") || text.contains("have changed"))
        })
    };
    let says = |line: &Value, what: &str| line["message"].as_str().is_some_and(|text| text.contains(what));
    let line = next();
    assert!(says(&line, "left out") && says(&line, &other.address.to_string()), "{line}");
    let line = next();
    assert!(says(&line, "have changed"), "said once, and not of what is the same: {line}");
    client.send(chat("here:1b")).until("\"from\":\"one\"}");
    list(&file, &[]);
    let line = next();
    assert!(says(&line, "have changed"), "said once: {line}");
    let answer = ask(program.clients, chat("here:1b").replace("Host: a", "Host: a\r\nConnection: close"));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: no_backend"), "{answer}");
}

#[test]
fn backends_of_service_records_come_with_their_priority_as_tier_and_go() {
    let (one, other) = (server("one", "both:1b"), server("other", "both:1b"));
    let [first, second] = [&one, &other].map(|backend| backend.address.port());
    let names = NameServer::start(vec![(10, 1, first), (20, 1, second)]);
    let toml = folder().join("inferometer.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[fleet]\nsrv = [\"_ollama._tcp.example.org\"]\n\
         resolver = \"{}\"\n",
        names.address
    );
    std::fs::write(&toml, text).expect("a file");
    let program = Program::configured(command(), &toml);
    program.wait_for("model_info", &[], 2.0);
    let mut client = Client::connect(program.clients);
    for _ in 0..4 {
        client.send(chat("both:1b")).until("\"from\":\"one\"}");
    }
    let workers: Value = serde_json::from_str(&program.fetch("/dashboard/workers")).expect("JSON");
    let shown = |at: usize| (workers["workers"][at]["id"].clone(), workers["workers"][at]["tier"].clone());
    let expected = |port: u16, tier: u32| (Value::from(format!("127.0.0.1:{port}")), Value::from(tier));
    assert_eq!((shown(0), shown(1)), (expected(first, 0), expected(second, 1)));
    names.set(vec![(20, 1, second)]);
    program.wait_for("backend_up", &[&format!("\"127.0.0.1:{first}\"")], 0.0);
    client.send(chat("both:1b")).until("\"from\":\"other\"}");
    names.set(Vec::new());
    program.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("not discovered")));
    client.send(chat("both:1b")).until("\"from\":\"other\"}");
}
