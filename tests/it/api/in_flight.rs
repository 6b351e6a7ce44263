//! `/dashboard/exchanges/in-flight`: what has begun and not ended, with its progress.

use std::sync::mpsc;

use serde_json::{Value, json};

use super::{get, shape};
use crate::history::rows::CHAT;
use crate::program::{HEAD, chatting, last, word};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::look_until;
use crate::support::program::Program;

const PATH: &str = "/dashboard/exchanges/in-flight";

#[test]
fn an_exchange_is_listed_from_its_start_to_its_end_with_its_progress() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = chatting(move |connection| {
        let next = || steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        next();
        connection.write(format!("{HEAD}{}{}", word("a"), word("b")).as_bytes());
        next();
        connection.write(last(3).as_bytes());
    });
    let program = Program::before(backend.address);
    let none = json!({"timestamp": "", "count": 0, "exchanges": [], "unknown": {}});
    assert_eq!(get(&program, PATH)["count"], 0);

    let mut client = Client::connect(program.clients);
    client.send(CHAT);
    let listed = |phase: &str| -> Value {
        look_until(|| {
            let answer = get(&program, PATH);
            if answer["exchanges"][0]["phase"] == phase { Ok(answer) } else { Err(answer.to_string()) }
        })
    };
    let waiting = listed("waiting");
    assert_eq!(shape::faults(&none, &waiting), Vec::<String>::new(), "{waiting:#}");
    step.send(()).expect("the backend waits");
    let decoding = look_until(|| {
        let answer = listed("decode");
        if answer["exchanges"][0]["pieces"] == 2 { Ok(answer) } else { Err(answer.to_string()) }
    });
    let shown = &decoding["exchanges"][0];
    let expected = json!({
        "id": waiting["exchanges"][0]["id"], "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "backend": "test",
        "model": "llama3:latest", "endpoint": "/api/chat", "method": "POST", "operation": "chat",
    });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert!(shown["age_ms"].as_f64() >= waiting["exchanges"][0]["age_ms"].as_f64(), "{shown}");
    step.send(()).expect("the backend waits");
    look_until(|| {
        let answer = get(&program, PATH);
        if answer["count"] == 0 { Ok(()) } else { Err(answer.to_string()) }
    });
}

/// The executions that a list shows, in its order, with their status.
fn executions(program: &Program) -> Vec<(String, String)> {
    let listing = get(program, "/dashboard/workload/executions");
    let word = |it: &Value, name: &str| it[name].as_str().expect("a word").to_owned();
    let all = listing["executions"].as_array().expect("a list");
    all.iter().map(|it| (word(it, "_id"), word(it, "status"))).collect()
}

#[test]
fn a_generation_has_one_id_while_it_goes_on_and_once_it_is_over() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = chatting(move |connection| {
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(format!("{HEAD}{}{}", word("a"), last(3)).as_bytes());
    });
    let program = Program::with(backend.address, &["--config", &super::unlimited_with("")]);
    program.wait_for_history();
    let mut ids = Vec::new();
    // Of one trace, as of a client that sends the same `traceparent` with every request.
    for _ in 0..2 {
        let mut client = Client::connect(program.clients);
        client.send(CHAT);
        let running = look_until(|| match executions(&program) {
            all if all.first().is_some_and(|(_, status)| status == "running") => Ok(all[0].0.clone()),
            all => Err(format!("{all:?}")),
        });
        let path = format!("/dashboard/workload/executions/{running}");
        assert_eq!(get(&program, &path)["status"], "running");
        step.send(()).expect("the backend waits");
        // It is found at every moment between.
        let over = look_until(|| match get(&program, &path) {
            one if one["status"] == "running" => Err(one.to_string()),
            one => Ok(one),
        });
        assert_eq!((&over["status"], &over["_id"]), (&json!("completed"), &json!(running)), "{over}");
        ids.push(running);
    }
    assert_ne!(ids[0], ids[1]);
    let listed: Vec<_> = executions(&program).into_iter().map(|(id, _)| id).collect();
    assert_eq!(listed, [ids[1].clone(), ids[0].clone()]);
}
