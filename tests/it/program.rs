//! The program as its users run it: what it says, what it counts, how it ends.

use std::process::Output;
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::authority::{Authority, folder};
use crate::support::backend::{Backend, Connection};
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::program::{Program, command};
use crate::support::simulator::Simulator;

pub(crate) const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 41\r\n\r\n{\"model\":\"llama3\",\"messages\":[{\"a\":\"b\"}]}";

fn chunk(line: &str) -> String {
    format!("{:x}\r\n{line}\n\r\n", line.len() + 1)
}

pub(crate) fn word(text: &str) -> String {
    chunk(&format!(r#"{{"model":"llama3","message":{{"role":"assistant","content":"{text}"}},"done":false}}"#))
}

pub(crate) fn last(tokens: u64) -> String {
    let counts = format!(
        r#""prompt_eval_count":5,"prompt_eval_duration":7000000,"eval_count":{tokens},"eval_duration":9000000"#
    );
    chunk(&format!(r#"{{"model":"llama3","message":{{"content":""}},"done":true,"done_reason":"stop",{counts}}}"#))
        + "0\r\n\r\n"
}

/// Serves a scripted chat; probes and listings get an empty answer.
pub(crate) fn chatting(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Backend {
    Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.starts_with(b"POST /api/") {
                script(connection);
            } else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        }
    })
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command().args(arguments).envs(environment.iter().copied()).output().expect("it runs")
}

#[test]
fn checking_a_configuration_says_what_a_start_would_warn_of() {
    let output = run(&["--check-config", "--listen", "0.0.0.0:11435"], &[("INFEROMETER_LISTN", "x")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && output.stdout == b"the configuration is fine\n", "{said}");
    for warning in ["warning: clients are served on 0.0.0.0:11435", "did you mean INFEROMETER_LISTEN?"] {
        assert!(said.contains(warning), "{warning} in {said}");
    }
}

#[test]
fn a_wrong_value_is_named_with_what_is_allowed_and_exits_2() {
    for (arguments, environment, words) in [
        (&["--listen", "nowhere"][..], &[][..], &["--listen", "nowhere"][..]),
        (&[], &[("INFEROMETER_CONNECT_TIMEOUT", "soon")], &["INFEROMETER_CONNECT_TIMEOUT", "soon", "5s"]),
        (
            &["--admin-web-config-file", "no-such-file"],
            &[],
            &["admin_web_config_file", "no-such-file", "cannot be read"],
        ),
        (&["--backend", "127.0.0.1:11435"], &[], &["--backend", "127.0.0.1:11435"]),
        (&["--config", "no-such-file"], &[], &["no-such-file"]),
    ] {
        let output = run(arguments, environment);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
}

#[test]
fn the_printed_configuration_is_the_effective_one() {
    let output = run(&["--print-config", "--max-models", "7"], &[("INFEROMETER_LISTEN", "127.0.0.1:9")]);
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(printed.contains("max_models = 7") && printed.contains("127.0.0.1:9"), "{printed}");
    assert_eq!(run(&["--check-config"], &[]).status.code(), Some(0));
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&["--listen", &address, "--admin-listen", "127.0.0.1:0"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("choose another port"), "{said}");
}

#[test]
fn a_stream_is_measured_as_the_client_sees_it() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = chatting(move |connection| {
        let next = || steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        next();
        connection.write(format!("{HEAD}{}", word("a")).as_bytes());
        next();
        connection.write(format!("{}{}", word("b"), last(3)).as_bytes());
    });
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    let sent = Instant::now();
    client.send(CHAT);
    program.wait_for("active_generations", &[], 1.0);
    step.send(()).expect("the backend waits");
    client.until("}\n\r\n");
    let first = sent.elapsed();
    program.wait_for("stream_chunks_total", &["model=\"llama3:latest\""], 1.0);
    let page = program.fetch("/plain");
    assert!(page.contains("llama3") && page.contains("decode"), "the page shows what is in flight: {page}");
    step.send(()).expect("the backend waits");
    client.until("0\r\n\r\n");
    program.wait_for("requests_total", &["outcome=\"completed\"", "model=\"llama3:latest\"", "status=\"200\""], 1.0);
    let measured = program.metric("time_to_first_token_seconds_sum", &["model=\"llama3:latest\""]);
    println!("TTFT by the client {first:?}, by the histogram {measured:.6} s");
    assert!(measured <= first.as_secs_f64(), "the proxy sees the first token before the client does");
    for (name, value) in [
        ("generated_tokens_total", 3.0),
        ("prompt_tokens_total", 5.0),
        ("time_to_first_token_seconds_count", 1.0),
        ("inter_token_latency_seconds_count", 1.0),
        ("active_requests", 0.0),
        ("active_generations", 0.0),
    ] {
        assert!((program.metric(name, &["model=\"llama3:latest\""]) - value).abs() < 1e-9, "{name}");
    }
    let line = program.logged(|line| line["endpoint"] == "/api/chat");
    assert_eq!(line["outcome"], "completed", "{line}");
    assert!(!line.to_string().contains("127.0.0.1"), "no client address: {line}");
}

#[test]
fn the_second_listener_answers_as_promised() {
    let backend = chatting(|_| {});
    let program = Program::before(backend.address);
    let metrics = program.fetch_whole("/metrics");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    for path in ["/livez", "/readyz", "/-/healthy", "/-/ready", "/health", "/"] {
        assert!(program.fetch_whole(path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    program.wait_for("backend_up", &["backend=\"test\""], 1.0);
    let rebound = ask(program.admin, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(rebound.starts_with("HTTP/1.1 403 "), "{rebound}");
}

/// A backend that answers a chat with one word, and with the rest at each message on the channel.
fn halting() -> (Backend, mpsc::Sender<()>) {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = chatting(move |connection| {
        connection.write(format!("{HEAD}{}", word("a")).as_bytes());
        let _ = steps.lock().expect("one script").recv_timeout(PATIENCE);
        connection.write(last(2).as_bytes());
    });
    (backend, step)
}

#[test]
fn a_signal_drains_and_a_second_one_ends_at_once() {
    let (backend, step) = halting();
    let mut program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("}\n\r\n");
    program.signal(Signal::TERM);
    program.logged(|line| line["message"].as_str().is_some_and(|message| message.starts_with("draining")));
    assert!(program.fetch_whole("/readyz").starts_with("HTTP/1.1 503 "), "not ready while draining");
    step.send(()).expect("the backend waits");
    client.until("0\r\n\r\n");
    assert_eq!(program.ended().code(), Some(0));

    let mut program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("}\n\r\n");
    program.signal(Signal::TERM);
    program.logged(|line| line["message"].as_str().is_some_and(|message| message.starts_with("draining")));
    program.signal(Signal::TERM);
    assert_eq!(program.ended().code(), Some(143));
}

#[test]
fn a_drain_that_takes_too_long_ends_what_is_left_and_says_so() {
    let backend = chatting(|connection| {
        connection.write(format!("{HEAD}{}", word("a")).as_bytes());
        connection.closed();
    });
    let mut program = Program::with(backend.address, &["--drain-timeout", "1ms"]);
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("}\n\r\n");
    let other = http2::Client::connect(program.clients);
    let (response, _) = other.send(http2::request(http::Method::POST, "/api/generate"), true);
    let _body = http2::wait(response).expect("a head");
    program.signal(Signal::INT);
    let line = program.logged(|line| line["message"].as_str().is_some_and(|message| message.contains("time to drain")));
    assert_eq!(line["exchanges"], 2, "{line}");
    let line = program.logged(|line| line["endpoint"] == "/api/chat");
    assert_eq!((&line["outcome"], &line["error"]), (&"truncated".into(), &"draining".into()), "{line}");
    assert_eq!(program.logged(|line| line["message"] == "drained")["cut"], 2);
    assert_eq!(program.ended().code(), Some(0));
    assert!(!client.rest().0.ends_with(b"0\r\n\r\n"));
}

#[test]
fn nothing_of_a_prompt_an_answer_or_a_credential_is_logged_or_exposed() {
    let backend = chatting(|connection| {
        connection.write(format!("{HEAD}{}{}", word("ANSWER-SECRET"), last(2)).as_bytes());
    });
    let program = Program::with(backend.address, &["--log-level", "trace"]);
    let body = r#"{"model":"llama3","messages":[{"content":"PROMPT-SECRET"}]}"#;
    let head = "POST /api/chat?key=QUERY-SECRET HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer KEY-SECRET";
    ask(program.clients, format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let mut log = String::new();
    program.logged(|line| {
        log += &line.to_string();
        line["endpoint"] == "/api/chat"
    });
    log += &program.fetch("/metrics");
    log += &program.fetch("/plain");
    assert!(!log.contains("SECRET"), "{log}");
}

/// The exit code of `inferometer health` with these settings, and its line.
fn health(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(&[&["health"], arguments].concat(), &[]);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).expect("text");
    assert_eq!(line.lines().count(), 1, "{line}");
    (output.status.code(), line)
}

#[test]
fn health_says_whether_clients_are_served_and_exits_0_or_1() {
    let (backend, step) = halting();
    let mut program = Program::before(backend.address);
    let admin = program.admin.to_string();
    let everywhere = format!("0.0.0.0:{}", program.admin.port());
    for address in [&admin, &everywhere] {
        let (code, line) = health(&["--admin-listen", address]);
        assert_eq!(code, Some(0), "{line}");
        assert!(line.starts_with(&format!("serving clients, says http://{admin}/")), "{line}");
    }
    let mut client = Client::connect(program.clients);
    client.send(CHAT).until("}\n\r\n");
    program.signal(Signal::TERM);
    program.logged(|line| line["message"].as_str().is_some_and(|message| message.starts_with("draining")));
    let (code, line) = health(&["--admin-listen", &admin]);
    assert!(code == Some(1) && line.contains("draining"), "{line}");
    step.send(()).expect("the backend waits");
    client.until("0\r\n\r\n");
    assert_eq!(program.ended().code(), Some(0));
    let (code, line) = health(&["--admin-listen", &admin]);
    assert!(code == Some(1) && line.contains("connection refused"), "{line}");
    assert_eq!(run(&["health", "--admin-listen", "nowhere"], &[]).status.code(), Some(2));
}

/// As a container's health check runs it: with the program's own settings, from which it knows that TLS is spoken.
#[test]
fn health_needs_no_password_and_no_authority_where_the_second_listener_has_both() {
    let backend = chatting(|_| {});
    let authority = Authority::new();
    let identity = authority.identity(&["metrics.example"]);
    let file = folder().join("web.yml");
    let (cert, key) = (identity.cert_file.display(), identity.key_file.display());
    let tls = format!("tls_server_config: {{ cert_file: {cert}, key_file: {key} }}\n");
    let hash = bcrypt::hash("right", 4).expect("a hash");
    std::fs::write(&file, format!("{tls}basic_auth_users: {{ prometheus: {hash} }}\n")).expect("a file");
    let settings = ["--admin-web-config-file", &file.display().to_string()];
    let program = Program::with(backend.address, &settings);
    let (code, line) = health(&[&settings[..], &["--admin-listen", &program.admin.to_string()]].concat());
    assert_eq!(code, Some(0), "{line}");
    assert!(line.contains("https://127.0.0.1:"), "{line}");

    let verified =
        format!("client_auth_type: RequireAndVerifyClientCert, client_ca_file: {}", authority.file().display());
    std::fs::write(&file, tls.replace("key_file", &format!("{verified}, key_file"))).expect("a file");
    let program = Program::with(backend.address, &settings);
    let (code, line) = health(&[&settings[..], &["--admin-listen", &program.admin.to_string()]].concat());
    assert!(code == Some(1) && line.contains("wants a client's certificate"), "{line}");
}

#[test]
fn completions_and_the_manual_page_are_printed_and_the_bare_command_stays_the_proxy() {
    for (arguments, words) in [
        (&["completions", "bash"][..], &["complete", "--admin-listen", "health"][..]),
        (&["completions", "zsh"], &["#compdef inferometer", "--admin-listen"]),
        (&["completions", "fish"], &["complete -c inferometer", "admin-listen"]),
        (&["man"], &[".TH inferometer 1", ".SH OPTIONS", ".SH COMMANDS", "EXIT STATUS"]),
    ] {
        let output = run(arguments, &[]);
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{arguments:?}");
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
    assert_eq!(run(&["completions", "csh"], &[]).status.code(), Some(2), "a shell that is not known");
}

/// The lines of a log in text, as on a terminal, up to the one that contains this.
fn first_lines(arguments: &[&str], until: &str) -> Vec<String> {
    use std::io::{BufRead, BufReader};
    let mut child = command()
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok) {
        let is_last = line.contains(until);
        lines.push(line);
        if is_last {
            break;
        }
    }
    child.kill().and_then(|()| child.wait()).expect("it ends");
    lines
}

#[test]
fn a_first_start_says_in_three_lines_where_clients_go_where_to_look_and_what_is_behind() {
    let server = Simulator::start();
    let backend = format!("http://{}", server.address);
    let (there, gone) = (format!("address={backend}"), "reason=\"connection refused\"");
    let nothing =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").to_string();
    for (backend, behind) in [(&backend, &*there), (&nothing, gone)] {
        let lines = first_lines(&["--backend", backend], behind);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        for (line, words) in [
            (&lines[0], &["INFO", "clients=http://127.0.0.1:", "metrics=http://127.0.0.1:", "/metrics"][..]),
            (&lines[1], &["INFO", "look here", "page=http://127.0.0.1:"]),
            (&lines[2], &["the backend", behind]),
        ] {
            assert!(words.iter().all(|word| line.contains(word)), "{words:?} in {line}");
        }
    }
}
