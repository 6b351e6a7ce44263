//! Nothing of what people say, and nothing that says who they are, is in any file.

use std::fs;
use std::path::Path;

use inferometer::history::query::lists::{ListFilter, ListQuery, ListedEvent};
use rustix::process::Signal;

use super::{EVER, reading, wait_for_rows};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::look_until;
use crate::support::postgres::{PASSWORD, Postgres};
use crate::support::program::Program;

const PROMPT: &str = "canary-of-the-prompt";
const ANSWER: &str = "canary-of-the-answer";
const KEY: &str = "canary-of-the-key";
const QUERY: &str = "canary-of-the-query";
const PATH: &str = "canary-of-the-path";
const MODEL: &str = "canary-of-a-model-that-nobody-has";
const AGENT: &str = "canary-behind-the-product";
const SESSION: &str = "canary-of-the-session";
const CONVERSATION: &str = "canary-of-the-conversation";
const PERSON: &str = "canary-of-a-person";
/// Products that are none.
const PRODUCTS: [&str; 3] = ["sk-canaryOfAKey", "10.0.0.77", "canary.example.com"];

#[test]
fn no_file_has_a_prompt_an_answer_a_key_a_query_or_an_address() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let known = request.starts_with(b"POST /api/chat");
            let body =
                format!(r#"{{"model":"llama3","message":{{"role":"assistant","content":"{ANSWER}"}},"done":true}}"#);
            let failed = format!("{{\"status\":\"{ANSWER}\",\"digest\":\"{ANSWER}\"}}\n{{\"error\":\"{ANSWER}\"}}\n");
            let (status, body) = if known {
                ("200 OK", body)
            } else if request.starts_with(b"POST /api/pull") || request.starts_with(b"POST /api/create") {
                ("200 OK", failed)
            } else {
                ("404 Not Found", format!(r#"{{"error":"{ANSWER}"}}"#))
            };
            let length = body.len();
            connection.write(
                format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .as_bytes(),
            );
        }
    });
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let web = crate::support::authority::folder().join("web.yml");
    fs::write(&web, format!("basic_auth_users:\n  me: {hash}\n")).expect("a file");
    let web = format!("--admin-web-config-file={}", web.display());
    let copy = Postgres::start();
    // What is logged for developers too.
    let mut program = Program::with(backend.address, &["--log-level=trace", &web, "--history", &copy.url()]);
    let ask = |target: &str, model: &str, product: &str| {
        let method = if target == "/api/delete" { "DELETE" } else { "POST" };
        let body = format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"{PROMPT}"}}],"user":"{PERSON}",
            "conversation":{{"id":"{CONVERSATION}"}},"prompt_cache_key":"{CONVERSATION}",
            "previous_response_id":"{CONVERSATION}","metadata":{{"user_id":"{PERSON}","{CONVERSATION}":"{PERSON}"}}}}"#
        );
        let mut client = Client::connect_from(77, program.clients);
        client.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nCookie: {KEY}\r\n\
             User-Agent: {product}/1.0 ({AGENT})\r\nX-Session-Id: {SESSION}\r\nX-Conversation-Id: {SESSION}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        client.rest();
    };
    ask(&format!("/api/chat?{QUERY}"), "llama3", "tool");
    ask("/api/show", MODEL, "tool");
    ask(&format!("/{PATH}"), MODEL, "tool");
    ask(&format!("/v1/models/{PATH}"), MODEL, "tool");
    for product in PRODUCTS {
        ask("/v1/chat/completions", MODEL, product);
        ask("/v1/messages", MODEL, product);
    }
    for act in ACTIONS {
        ask(act, MODEL, PRODUCTS[0]);
    }
    // `canary-of-a-person:canary-of-the-key`
    sign_in(&program, "Y2FuYXJ5LW9mLWEtcGVyc29uOmNhbmFyeS1vZi10aGUta2V5");
    let exchanges = 4 + 2 * PRODUCTS.len() + ACTIONS.len();
    wait_for_rows(program.state(), exchanges);
    copy.wait_for_rows(exchanges as i64);
    let audit = wait_for_audit(program.state(), ACTIONS.len() as u64 + 1);
    assert!(audit.iter().all(|entry| entry.subject.is_none() && entry.who.is_none()), "{audit:?}");
    let searched = search(program.state());
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let after = search(program.state());
    let copied = copy.text();
    assert!(copied.contains("/api/chat") && copied.contains("llama3"), "{copied}");
    search_in(copied.as_bytes(), "the copy in PostgreSQL");
    println!("searched {searched} bytes while it ran, {after} after, and {} of the copy", copied.len());
}

/// What acts on models, with a name that no backend has confirmed.
const ACTIONS: [&str; 7] =
    ["/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/models/load", "/api/v1/models/download"];

fn sign_in(program: &Program, credentials: &str) {
    // Not from where the clients of the models are: the address of who signs in is kept.
    let mut client = Client::connect_from(78, program.admin);
    client.send(format!(
        "GET /?{QUERY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic {credentials}\r\n\
         User-Agent: {}/1.0 ({AGENT})\r\n\r\n",
        PRODUCTS[0]
    ));
    client.rest();
}

fn wait_for_audit(state: &Path, count: u64) -> Vec<ListedEvent> {
    let query = ListQuery { range: EVER, filter: ListFilter::default(), offset: 0, limit: 100 };
    look_until(|| {
        let found = reading(state).audit(&query).expect("the files are sound");
        if found.total >= count { Ok(found.entries) } else { Err(format!("{found:?}")) }
    })
}

fn search_in(bytes: &[u8], place: &str) {
    let named = [PROMPT, ANSWER, KEY, QUERY, PATH, MODEL, AGENT, SESSION, CONVERSATION, PERSON, PASSWORD, "127.0.0.77"];
    for canary in named.into_iter().chain(PRODUCTS) {
        let found = memchr::memmem::find(bytes, canary.as_bytes());
        assert!(found.is_none(), "{canary} is in {place}");
    }
}

/// Searches every file for what must not be there. Returns the number of bytes.
fn search(state: &Path) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(state.join("history")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        search_in(&bytes, &path.display().to_string());
        searched += bytes.len();
    }
    assert!(searched > 10_000, "{searched} bytes are all");
    searched
}
