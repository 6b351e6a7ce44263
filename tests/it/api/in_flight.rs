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
