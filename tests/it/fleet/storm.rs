//! A storm over three servers, of which one dies, one is slow and one loses its model amid it: every answer is whole or
//! has failed honestly, and every request is counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::backend::{Backend, Connection};
use crate::support::client::Client;
use crate::support::program::{Program, command};

const CLIENTS: usize = 6;
const REQUESTS: usize = 30;
const MODEL: &str = "both:1b";

/// What a server does from now on.
#[derive(Default)]
pub(super) struct Fate {
    /// It resets every connection.
    is_dead: AtomicBool,
    /// It no longer has the model.
    has_lost_its_model: AtomicBool,
    /// Chats that it has answered whole.
    answered: AtomicUsize,
}

/// A server that streams an answer of so many pieces.
pub(super) fn server(fate: &Arc<Fate>, pieces: usize) -> Backend {
    let fate = fate.clone();
    Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if fate.is_dead.load(Ordering::SeqCst) {
                return connection.reset();
            }
            answer(connection, &request, &fate, pieces);
        }
    })
}

fn answer(connection: &mut Connection, request: &[u8], fate: &Fate, pieces: usize) {
    let request = String::from_utf8_lossy(request);
    let has_model = !fate.has_lost_its_model.load(Ordering::SeqCst);
    let models = if has_model { format!(r#"{{"name":"{MODEL}","model":"{MODEL}"}}"#) } else { String::new() };
    let whole = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    match request.split(' ').nth(1).expect("a target") {
        "/api/tags" | "/api/ps" => connection.write(whole("200 OK", &format!(r#"{{"models":[{models}]}}"#)).as_bytes()),
        "/api/version" => connection.write(whole("200 OK", r#"{"version":"0.33.0"}"#).as_bytes()),
        "/api/chat" if !has_model => {
            connection.write(whole("404 Not Found", r#"{"error":"model 'both:1b' not found"}"#).as_bytes());
        }
        "/api/chat" => stream(connection, fate, pieces),
        _ => connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    }
}

fn stream(connection: &mut Connection, fate: &Fate, pieces: usize) {
    let chunk = |line: String| format!("{:x}\r\n{line}\r\n", line.len());
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..pieces {
        if fate.is_dead.load(Ordering::SeqCst) {
            return connection.reset();
        }
        connection.write(
            chunk(format!("{{\"model\":\"{MODEL}\",\"message\":{{\"content\":\"x\"}},\"done\":false}}\n")).as_bytes(),
        );
        std::thread::yield_now();
    }
    let last = format!("{{\"model\":\"{MODEL}\",\"done\":true,\"done_reason\":\"stop\",\"eval_count\":{pieces}}}\n");
    // Before the last bytes: whoever has read them may ask for the number at once.
    fate.answered.fetch_add(1, Ordering::SeqCst);
    connection.write(format!("{}0\r\n\r\n", chunk(last)).as_bytes());
}

/// A chat over a connection of its own, whose model comes after this many bytes.
pub(super) fn chat(bytes: usize) -> String {
    let body = format!(r#"{{"messages":[{{"content":"{}"}}],"model":"{MODEL}"}}"#, "y".repeat(bytes));
    let head = "POST /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// With an error's status and its whole body, or broken off so that it cannot be taken for a whole one.
    Honestly,
}

pub(super) fn ended(answer: &[u8]) -> Ended {
    let text = String::from_utf8_lossy(answer);
    if text.starts_with("HTTP/1.1 200 ") {
        return if text.ends_with("0\r\n\r\n") {
            assert!(text.contains("\"done\":true"), "{text}");
            Ended::Whole
        } else {
            Ended::Honestly
        };
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    assert!(head.starts_with("HTTP/1.1 502 ") || head.starts_with("HTTP/1.1 404 "), "{text}");
    assert!(body.contains("error"), "{text}");
    Ended::Honestly
}

#[test]
fn a_storm_in_which_servers_die_and_lose_models_gives_whole_or_failed_answers_each_counted_once() {
    let fates: [Arc<Fate>; 3] = Default::default();
    let servers = [server(&fates[0], 20), server(&fates[1], 400), server(&fates[2], 20)];
    let mut command = command();
    for (name, server) in ["slow", "fickle"].into_iter().zip(&servers[1..]) {
        command.args(["--backend", &format!("{name}=http://{}", server.address)]);
    }
    let program = Program::start(command, servers[0].address, &["--policy", "least_busy", "--access-log", "off"]);
    program.wait_for("model_info", &[], 3.0);
    let clients = program.clients;
    let sent = Arc::new(AtomicUsize::new(0));
    let storm: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (fates, sent) = (fates.clone(), sent.clone());
            std::thread::spawn(move || {
                let ask = |at: usize| {
                    let request = chat(at * 997);
                    match sent.fetch_add(1, Ordering::SeqCst) {
                        60 => fates[0].is_dead.store(true, Ordering::SeqCst),
                        100 => fates[2].has_lost_its_model.store(true, Ordering::SeqCst),
                        _ => {}
                    }
                    ended(&Client::connect(clients).send(request).rest().0)
                };
                (0..REQUESTS).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let ends: Vec<_> = storm.into_iter().flat_map(|client| client.join().expect("no panic")).collect();
    let whole = ends.iter().filter(|end| **end == Ended::Whole).count();
    let answered = fates.each_ref().map(|fate| fate.answered.load(Ordering::SeqCst));
    println!("{whole} of {} whole; by server: {answered:?}", ends.len());
    assert_eq!((ends.len(), answered.iter().sum::<usize>()), (CLIENTS * REQUESTS, whole), "none twice, none lost");
    assert!(whole * 3 > ends.len() * 2, "a server that fails fast is not the one that is asked");
    assert!(answered.iter().all(|answers| *answers > 0), "each had its part: {answered:?}");
    program.wait_for("requests_total", &["/api/chat"], ends.len() as f64);
    program.wait_for("requests_total", &["/api/chat", "completed"], whole as f64);
    for gauge in ["backend_inflight", "router_held_bytes", "active_requests"] {
        program.wait_for(gauge, &[], 0.0);
    }
}
