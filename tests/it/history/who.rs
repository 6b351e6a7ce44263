//! Who asks: the client's product, its conversation and its messages, in the record, the row, the sums and the log.

use http::Method;
use inferometer::exchange::record::Record;
use inferometer::exchange::vocabulary::Conversation;
use inferometer::history::conversation::ConversationId;
use inferometer::history::query::series::{DurationsOf, Interval, SeriesQuery};
use inferometer::history::query::{Filter, NoTotal, PageQuery};
use rustix::process::Signal;

use super::rows::ollama;
use super::{EVER, page, reading, wait_for_rows};
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::program::{Program, STATE, command};
use crate::support::rig::Rig;

/// A request with these fields, each with its end, and this body.
fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn named(name: &str) -> Option<Conversation> {
    Conversation::named(name.as_bytes())
}

fn who(record: &Record) -> (Option<&str>, Option<Conversation>, Option<u64>) {
    (record.start.client.as_deref(), record.start.conversation, record.messages)
}

const TWO: &str = r#""messages":[{"content":"a"},{"content":"b"}]"#;

#[test]
fn each_dialect_names_the_conversation_by_its_own_field_and_a_header_field_wins() {
    let backend = ollama();
    let rig = Rig::before(backend.address);
    let body = |more: &str| format!("{{{TWO},{more}}}");
    let openai = r#""conversation":{"id":"c"},"prompt_cache_key":"k","metadata":{"user_id":"u"},"previous_response_id":"r","user":"p""#;
    for (path, fields, body, conversation, messages) in [
        ("/v1/chat/completions", "", body(openai), named("c"), Some(2)),
        ("/v1/chat/completions", "", body(r#""prompt_cache_key":"k","metadata":{"user_id":"u"}"#), named("k"), Some(2)),
        ("/v1/chat/completions", "", body(r#""metadata":{"user_id":"u"},"user":"p""#), None, Some(2)),
        ("/v1/responses", "", r#"{"input":"a","previous_response_id":"r"}"#.into(), None, Some(1)),
        ("/v1/responses", "", r#"{"input":[{},{},{}],"conversation":"c"}"#.into(), named("c"), Some(3)),
        ("/v1/messages", "", body(openai), named("u"), Some(2)),
        ("/api/chat", "", body(openai), None, Some(2)),
        ("/api/chat", "X-Session-Id: s\r\n", body(""), named("s"), None),
        ("/v1/messages", "x-session-id: s\r\nX-Session-ID: t\r\n", body(openai), named("s"), Some(2)),
        ("/v1/chat/completions", "X-Conversation-Id: v\r\n", body(openai), named("v"), Some(2)),
        ("/v1/chat/completions", "X-Conversation-Id: v\r\nX-Session-Id: s\r\n", body(openai), named("s"), Some(2)),
        ("/v1/embeddings", "X-Session-Id: \r\n", r#"{"input":["a","b"]}"#.into(), None, None),
        ("/api/tags", "X-Session-Id: s\r\n", String::new(), named("s"), None),
    ] {
        ask(rig.address, post(path, fields, &body));
        assert_eq!(who(&rig.record()), (None, conversation, messages), "{path} {fields:?} {body}");
    }
}

#[test]
fn the_product_is_the_first_of_the_user_agent_over_either_protocol() {
    let backend = ollama();
    let rig = Rig::before(backend.address);
    for (agent, product) in [
        ("ollama/0.33.0 (amd64 linux) Go/go1.24.1", Some("ollama")),
        ("OpenAI/Python 2.7.1", Some("OpenAI")),
        ("10.0.0.77/1.0", None),
        ("sk-proj-0123456789abcdef", None),
        ("", None),
    ] {
        ask(rig.address, post("/api/chat", &format!("User-Agent: {agent}\r\nUser-Agent: second\r\n"), "{}"));
        assert_eq!(who(&rig.record()).0, product, "{agent}");
        let mut request = http2::request(Method::POST, "/v1/chat/completions");
        request.headers_mut().insert("user-agent", agent.parse().expect("a value"));
        request.headers_mut().insert("x-session-id", "s".parse().expect("a value"));
        http2::Client::connect(rig.address).ask(request, r#"{"messages":[{"content":"a"}]}"#);
        assert_eq!(who(&rig.record()), (product, named("s"), Some(1)), "{agent}");
    }
    ask(rig.address, post("/api/chat", "", "{}"));
    assert_eq!(who(&rig.record()).0, None);
}

#[test]
fn messages_of_a_request_that_broke_off_are_unknown() {
    let backend = ollama();
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send(format!("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{{TWO}"));
    client.half_close();
    client.rest();
    assert_eq!(rig.record().messages, None);
}

/// Asks with this product and session, and ends the program.
fn one_run(mut program: Program, product: &str, session: &str) -> Program {
    let fields = format!("User-Agent: {product}/1.0\r\nX-Session-Id: {session}\r\n");
    ask(program.clients, post("/api/chat", &fields, &format!(r#"{{"model":"llama3",{TWO}}}"#)));
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    program
}

#[test]
fn a_conversation_is_the_same_after_a_restart_and_another_in_another_directory() {
    let backend = ollama();
    let first = one_run(Program::before(backend.address), "tool", "session-1");
    let state = first.state().to_owned();
    for session in ["session-1", "session-2"] {
        let mut again = command();
        again.env(STATE, &state);
        let mut again = one_run(Program::start(again, backend.address, &[]), "curl", session);
        // The directory is still needed.
        std::mem::forget(again.state.take());
    }
    let rows = page(&state, Filter::default()).exchanges;
    let [third, second, first_row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    let id = first_row.row.conversation().expect("it names one");
    assert_eq!((second.row.conversation(), first_row.row.messages.value()), (Some(id), Some(2)));
    assert_ne!(third.row.conversation(), Some(id));
    let clients = [first_row, second].map(|it| it.client.as_deref());
    assert_eq!(clients, [Some("tool"), Some("curl")]);

    let asked = reading(&state);
    assert_eq!(asked.conversation("session-1").expect("sound"), Some(id));
    let count = |filter| page(&state, filter).exchanges.len();
    assert_eq!(count(Filter { conversation: Some(id), ..Filter::default() }), 2);
    assert_eq!(count(Filter { conversation: Some(id), client: Some("tool".into()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { conversation: Some(ConversationId([0; 8])), ..Filter::default() }), 0);
    let filter = Filter { conversation: Some(id), ..Filter::default() };
    assert_eq!(page(&state, filter).total, Err(NoTotal::NotSummed));

    let other = one_run(Program::before(backend.address), "tool", "session-1");
    let elsewhere = page(other.state(), Filter::default()).exchanges[0].row.conversation();
    assert!(elsewhere.is_some() && elsewhere != Some(id), "nothing links the two");
}

#[test]
fn exchanges_without_a_tenant_are_summed_by_client() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    for agent in ["tool/1", "tool/2", "curl/8"] {
        ask(program.clients, post("/api/chat", &format!("User-Agent: {agent}\r\n"), "{}"));
    }
    ask(program.clients, post("/api/chat", "", "{}"));
    wait_for_rows(program.state(), 4);
    let state = program.state().to_owned();
    let check = || {
        let of = |client: &str| Filter { client: Some(client.into()), ..Filter::default() };
        let total = |filter| page(&state, filter).total;
        assert_eq!((total(of("tool")), total(of("curl")), total(of("none"))), (Ok(2), Ok(1), Ok(0)));
        assert_eq!(total(Filter { tenant: Some("tool".into()), ..Filter::default() }), Ok(0), "it is no tenant");
        let interval = Interval::of_seconds(86_400 * 365).expect("whole");
        let query = SeriesQuery { range: EVER, interval, filter: of("tool"), durations: DurationsOf::All };
        let series = reading(&state).series(&query).expect("sound").expect("few points");
        assert_eq!(series.points.iter().flatten().map(|sums| sums.requests).sum::<u64>(), 2);
    };
    check();
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    check();
}

#[test]
fn clients_beyond_the_limit_are_summed_as_other_and_counted() {
    const MORE: usize = 7;
    let backend = ollama();
    let mut program = Program::with(backend.address, &["--access-log", "off"]);
    let mut client = Client::connect(program.clients);
    let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).expect("small"));
    for at in 0..inferometer::history::names::MAX_CALLERS + MORE {
        let agent = format!("tool-{}{}", letter(at / 26), letter(at));
        client.send(format!("GET /api/tags HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}/1.0\r\n\r\n")).until("]}");
    }
    program.wait_for("history_rows_other_client_total", &[], MORE as f64);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let total = |client: &str| {
        let filter = Filter { client: Some(client.into()), ..Filter::default() };
        let query = PageQuery { range: EVER, filter, offset: 0, limit: 1 };
        reading(program.state()).page(&query).expect("sound").total
    };
    assert_eq!((total("other"), total("tool-aa"), total("tool-tm")), (Ok(MORE as u64), Ok(1), Ok(0)));
}

#[test]
fn the_access_log_names_the_product_and_no_conversation() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let fields = "User-Agent: tool/1.0 (secret)\r\nX-Session-Id: session-canary\r\n";
    ask(program.clients, post("/v1/chat/completions", fields, r#"{"prompt_cache_key":"session-canary"}"#));
    let line = program.logged(|line| line["message"] == "exchange finished");
    assert_eq!(line["client"], "tool");
    let text = line.to_string();
    assert!(!text.contains("canary") && !text.contains("secret"), "{text}");
    ask(program.clients, post("/v1/chat/completions", "", "{}"));
    let line = program.logged(|line| line["message"] == "exchange finished");
    assert_eq!(line.get("client"), None, "unknown is absent");
}
