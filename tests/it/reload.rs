//! SIGHUP: the configuration and its files are read again, all or nothing, and no exchange notices.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use inferometer::tls::Identity;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::program::{Program, command};
use crate::support::secure;

const GET: &str = "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The program with a configuration file and a web configuration file that can be rewritten.
struct Configured {
    folder: PathBuf,
    program: Program,
}

impl Configured {
    fn start(backend: &Backend, toml: &str, web: &str) -> Self {
        let folder = folder();
        std::fs::write(folder.join("inferometer.toml"), toml).expect("a file");
        std::fs::write(folder.join("web.yml"), web).expect("a file");
        let (toml, web) = (folder.join("inferometer.toml"), folder.join("web.yml"));
        let arguments =
            ["--config", &toml.display().to_string(), "--admin-web-config-file", &web.display().to_string()];
        let program = Program::with(backend.address, &arguments);
        Self { folder, program }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("a file");
    }

    /// Sends the signal and waits for what is said about it.
    fn reload(&self) -> Value {
        self.program.signal(Signal::HUP);
        self.program.logged(|line| said(line).contains("configuration was "))
    }

    fn reload_well(&self) {
        let line = self.reload();
        assert!(said(&line).contains("was reloaded"), "{line}");
    }
}

fn said(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic {pair}\r\n\r\n")
}

fn users(user: &str) -> String {
    format!("basic_auth_users:\n  {user}: {}\n", bcrypt::hash("right", 4).expect("a hash"))
}

#[test]
fn a_good_file_changes_what_can_change_and_names_what_needs_a_restart() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let host = String::from_utf8_lossy(&request).lines().any(|line| line == "Host: asked.example");
            let body = if host { "as it was" } else { "rewritten" };
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{body}").as_bytes());
        }
    });
    let toml = "access_log = \"on\"\nlog_level = \"info\"\nmax_models = 7\n";
    let configured = Configured::start(&backend, toml, "");
    let (program, get) = (&configured.program, "GET / HTTP/1.1\r\nHost: asked.example\r\nConnection: close\r\n\r\n");
    assert!(ask(program.clients, get).ends_with("as it was"));
    program.logged(|line| line["outcome"] == "completed");
    let at = program.metric("config_last_reload_success_timestamp_seconds", &[]);
    let mut kept = Client::connect(program.clients);
    kept.send("GET / HTTP/1.1\r\nHost: asked.example\r\n\r\n").until("as it was");
    program.logged(|line| line["outcome"] == "completed");

    let changed = "access_log = \"off\"\nlog_level = \"debug\"\nmax_models = 8\nworker_threads = 9\n\
                   host_header = \"upstream\"\n[limits]\nhead = \"10ms\"\n";
    configured.write("inferometer.toml", changed);
    let line = configured.reload();
    assert!(said(&line).contains("was reloaded"), "{line}");
    assert_eq!(line["keys"], "host_header, log_level, access_log, limits.head", "what is in force now");
    let line = program.logged(|line| said(line).contains("until a restart"));
    assert_eq!((&line["keys"], &line["level"]), (&"max_models, worker_threads".into(), &"WARN".into()));
    assert!(ask(program.clients, get).ends_with("rewritten"), "Host is the backend's own now");
    kept.send("GET / HTTP/1.1\r\nHost: asked.example\r\n\r\n").until("rewritten");
    let slow = String::from_utf8_lossy(&Client::connect(program.clients).send("GET / ").rest().0).into_owned();
    assert!(slow.starts_with("HTTP/1.1 408 "), "a head has 10 ms now: {slow}");
    // The level lets debug lines through, and no line was written for an exchange.
    program.logged(|line| {
        assert!(line["outcome"].is_null(), "{line}");
        said(line).starts_with("refused a request")
    });
    assert_eq!(program.metric("config_last_reload_successful", &[]), 1.0);
    assert!(program.metric("config_last_reload_success_timestamp_seconds", &[]) > at);

    // The other way round, too; what needs a restart is named again as long as it is so.
    configured.write("inferometer.toml", "max_models = 8\n");
    configured.reload_well();
    assert_eq!(program.logged(|line| said(line).contains("until a restart"))["keys"], "max_models");
    assert!(ask(program.clients, get).ends_with("as it was"));
    program.logged(|line| line["outcome"] == "completed");
}

#[test]
fn a_broken_file_is_named_changes_nothing_and_is_seen_in_the_metrics() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let configured = Configured::start(&backend, "", &users("prometheus"));
    let (program, right) = (&configured.program, basic("prometheus", "right"));
    let gauge = |name: &str| {
        let answer = ask(program.admin, &right);
        let line =
            answer.lines().find_map(|line| line.strip_prefix(&format!("ollama_proxy_config_last_reload_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
    };
    let at = gauge("success_timestamp_seconds");
    let Identity { cert_file, .. } = authority.identity(&["localhost"]);
    let half = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"gone.pem\"\naccess_log = \"off\"", cert_file.display());
    let broken = [
        ("inferometer.toml", "access_log = \"off\"\nlog_level = ".to_owned(), "inferometer.toml"),
        ("inferometer.toml", "access_log = \"off\"\nlog_level = \"loud\"".to_owned(), "log_level"),
        ("inferometer.toml", "access_log = \"off\"\nlog_levle = \"info\"".to_owned(), "log_levle"),
        (
            "inferometer.toml",
            half.replace("[tls]", "access_log = \"off\"\n[tls]").replace("\naccess_log = \"off\"", ""),
            "gone.pem",
        ),
        ("web.yml", "basic_auth_users:\n  other: SECRET\n".to_owned(), "not a bcrypt hash"),
        ("web.yml", "basic_auth_users: [".to_owned(), "web.yml"),
    ];
    for (file, text, words) in broken {
        let before = std::fs::read_to_string(configured.folder.join(file)).expect("a file");
        configured.write(file, &text);
        let line = configured.reload();
        assert!(said(&line).contains("nothing has changed") && line["level"] == "ERROR", "{line}");
        assert!(line["error"].as_str().is_some_and(|error| error.contains(words)), "{words} in {line}");
        assert!(!line.to_string().contains("SECRET"), "{line}");
        assert_eq!((gauge("successful"), gauge("success_timestamp_seconds")), ("0".into(), at.clone()), "{words}");
        // Not even the part that was well.
        ask(program.clients, GET);
        program.logged(|line| line["outcome"] == "completed");
        configured.write(file, &before);
    }
    std::fs::remove_file(configured.folder.join("inferometer.toml")).expect("a file");
    assert!(said(&configured.reload()).contains("not reloaded"));
    configured.write("inferometer.toml", "");
    configured.reload_well();
    assert_eq!(gauge("successful"), "1");
    assert_ne!(gauge("success_timestamp_seconds"), at);
}

/// Puts a certificate and its key where the configuration looks for them.
fn install(identity: &Identity, folder: &Path) {
    for (from, name) in [(&identity.cert_file, "cert.pem"), (&identity.key_file, "key.pem")] {
        std::fs::copy(from, folder.join(name)).expect("a file");
    }
}

#[test]
fn renewed_certificates_and_users_hold_from_the_next_connection_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let backend = Backend::answering(OK);
    let home = folder();
    install(&old.identity(&["localhost"]), &home);
    let (cert, key) = (home.join("cert.pem"), home.join("key.pem"));
    let toml = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", cert.display(), key.display());
    let section = format!("tls_server_config:\n  cert_file: {}\n  key_file: {}\n", cert.display(), key.display());
    let configured = Configured::start(&backend, &toml, &(section.clone() + &users("prometheus")));
    let program = &configured.program;
    let (of_old, of_new) = (old.client(None, &[]), new.client(None, &[]));
    let status = |client: &_, user: &str| {
        let answer = secure::ask(program.admin, client, &basic(user, "right"))?;
        answer.split(' ').nth(1).map(str::to_owned)
    };
    assert!(secure::ask(program.clients, &of_old, GET).is_some_and(|answer| answer.ends_with("ok")));
    assert_eq!(status(&of_old, "prometheus").as_deref(), Some("200"));
    let mut scraper = secure::connect(program.admin, of_old.clone());
    let mut client = secure::connect(program.clients, of_old.clone());
    let kept = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for stream in [&mut scraper, &mut client] {
        std::io::Write::write_all(stream, kept.as_bytes()).expect("it reads");
        secure::head(stream);
    }

    install(&new.identity(&["localhost"]), &home);
    configured.write("web.yml", &(section.clone() + &users("other")));
    configured.reload_well();
    assert_eq!(secure::ask(program.clients, &of_old, GET), None, "the old one is shown no more");
    assert!(secure::ask(program.clients, &of_new, GET).is_some_and(|answer| answer.ends_with("ok")));
    assert_eq!(status(&of_old, "other"), None);
    assert_eq!(status(&of_new, "other").as_deref(), Some("200"));
    assert_eq!(status(&of_new, "prometheus").as_deref(), Some("401"), "a user who was taken out is out");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut scraper, &mut rest).expect("a kept connection of the second listener is closed");
    std::io::Read::read_exact(&mut client, &mut [0; 2]).expect("the rest of the first answer");
    std::io::Write::write_all(&mut client, kept.as_bytes()).expect("a client keeps its connection");
    assert!(secure::head(&mut client).starts_with("HTTP/1.1 200 "));

    // Without TLS and users, as the file says now.
    configured.write("web.yml", "");
    configured.reload_well();
    assert!(program.fetch_whole("/metrics").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_way_to_a_backend_over_tls_is_renewed() {
    let (old, new) = (Authority::new(), Authority::new());
    let serve = |authority: &Authority| {
        secure::serve(Authority::server(&authority.identity(&["127.0.0.1"]), None), |stream| {
            while !secure::head(stream).is_empty() {
                let _ = std::io::Write::write_all(stream, OK);
            }
        })
    };
    let backend = serve(&new);
    let home = folder();
    let (ca, toml) = (home.join("ca.pem"), home.join("inferometer.toml"));
    std::fs::copy(old.file(), &ca).expect("a file");
    std::fs::write(&toml, format!("backend = \"https://{backend}\"\n[backend_tls]\nca_file = \"{}\"\n", ca.display()))
        .expect("a file");
    let program = Program::configured(command(), &toml);
    let answer = ask(program.clients, GET);
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("x-inferometer-error: tls"), "{answer}");
    std::fs::copy(new.file(), &ca).expect("a file");
    program.signal(Signal::HUP);
    program.logged(|line| said(line).contains("was reloaded"));
    let answer = ask(program.clients, GET);
    assert!(answer.ends_with("ok"), "{answer}");
}

#[test]
fn a_stream_in_flight_and_a_drain_do_not_notice() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        let Some(request) = connection.request() else { return };
        if !request.starts_with(b"GET /stream ") {
            return connection.write(OK);
        }
        connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(b"1\r\nb\r\n0\r\n\r\n");
    });
    let mut configured = Configured::start(&backend, "", "");
    let mut client = Client::connect(configured.program.clients);
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").until("1\r\na\r\n");
    configured.write("inferometer.toml", "[limits]\nwrite_stall = \"1s\"\nfirst_byte = \"1ms\"\n");
    for _ in 0..20 {
        configured.reload_well();
    }
    configured.program.signal(Signal::TERM);
    configured.program.logged(|line| said(line).starts_with("draining"));
    configured.reload_well();
    step.send(()).expect("the backend waits");
    client.until("1\r\nb\r\n0\r\n\r\n");
    assert_eq!(configured.program.ended().code(), Some(0), "a reload neither ends a drain nor is one");
}

/// Closing the window that it was started in ends it, as it ends every program; only without one is it a reload.
#[test]
fn a_terminal_that_goes_away_takes_the_program_with_it() {
    let script = "import os, pty, sys\n\
                  pid, terminal = pty.fork()\n\
                  if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
                  said = b''\n\
                  while b'inferometer is listening' not in said: said += os.read(terminal, 4096)\n\
                  os.close(terminal)\n\
                  print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
    let mut python = Command::new("python3");
    python.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_inferometer"),
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--history",
        "off",
    ]);
    let mut child = python.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("python3 runs");
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < PATIENCE, "it goes on without its terminal");
        std::thread::yield_now();
    }
    let output = child.wait_with_output().expect("it has ended");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
}

#[test]
fn what_is_live_at_once_holds_for_an_exchange_in_flight() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let backend = Backend::start(move |connection| {
        let Some(request) = connection.request() else { return };
        if !request.starts_with(b"GET /stream ") {
            return connection.write(OK);
        }
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
        wait.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(b"two");
    });
    let configured = Configured::start(&backend, "access_log = \"on\"\nlog_level = \"info\"\n", "");
    let program = &configured.program;
    for (toml, is_logged) in [("access_log = \"off\"\nlog_level = \"debug\"\n", false), ("", true)] {
        let mut client = Client::connect(program.clients);
        client.send("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").until("one");
        configured.write("inferometer.toml", toml);
        configured.reload_well();
        go.send(()).expect("the backend waits");
        client.until("two");
        if is_logged {
            program.logged(|line| line["outcome"] == "completed");
        } else {
            let _refused = Client::connect(program.clients).send("GET\r\n\r\n").rest();
            program.logged(|line| {
                assert!(line["outcome"].is_null(), "{line}");
                said(line).starts_with("refused a request")
            });
        }
    }
}
