//! `inferometer doctor` before prepared faults: each is named, with what to do about it, and nothing else is.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::program::{Program, command};
use crate::support::secure;
use crate::support::servers::free;
use crate::support::simulator::Simulator;

/// What was said, and the exit code.
struct Diagnosis {
    code: Option<i32>,
    text: String,
}

impl Diagnosis {
    /// The faults: what was found and, on the next line, what to do.
    fn faults(&self) -> Vec<String> {
        let mut lines = self.text.lines().peekable();
        let mut faults = Vec::new();
        while let Some(line) = lines.next() {
            if line.starts_with("FAULT") {
                let remedy = lines.next_if(|line| line.trim_start().starts_with('→')).unwrap_or_default();
                faults.push(format!("{line}\n{remedy}"));
            }
        }
        faults
    }

    /// This is the only fault: its words, then those of the remedy.
    #[track_caller]
    fn is_only(&self, what: &[&str], remedy: &str) {
        let faults = self.faults();
        assert_eq!((self.code, faults.len()), (Some(1), 1), "{}", self.text);
        self.is_among(what, remedy);
    }

    #[track_caller]
    fn is_among(&self, what: &[&str], remedy: &str) {
        let fits = |fault: &String| what.iter().all(|word| fault.contains(word)) && fault.contains(remedy);
        assert!(self.faults().iter().any(fits), "{what:?} and {remedy:?} in {}", self.text);
        assert!(self.text.ends_with("found\n"), "{}", self.text);
    }
}

fn doctor(arguments: &[&str]) -> Diagnosis {
    let output = command().arg("doctor").args(arguments).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.stderr.is_empty(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Diagnosis { code: output.status.code(), text }
}

/// Asked with the settings that the program runs with, and these.
fn doctor_of(program: &Program, backend: SocketAddr, more: &[&str]) -> Diagnosis {
    let (clients, admin) = (program.clients.to_string(), program.admin.to_string());
    let backend = format!("test=http://{backend}");
    doctor(&[&["--listen", &clients, "--admin-listen", &admin, "--backend", &backend], more].concat())
}

/// With this file, and ports that are free.
fn configured(toml: &str) -> Diagnosis {
    let file = folder().join("inferometer.toml");
    std::fs::write(&file, toml).expect("a file");
    let (clients, admin) = (free().to_string(), free().to_string());
    doctor(&["--config", &file.display().to_string(), "--listen", &clients, "--admin-listen", &admin])
}

#[test]
fn where_all_is_well_every_line_says_so() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    program.fetch("/metrics");
    let diagnosis = doctor_of(&program, server.address, &[]);
    let text = &diagnosis.text;
    assert_eq!((diagnosis.code, diagnosis.faults().len()), (Some(0), 0), "{text}");
    for (about, words) in [
        ("configuration", "every key is known"),
        ("program", "serves clients"),
        ("backend", "answers: ollama"),
        ("requests", "/api/version comes through: 200"),
        ("scrapes", "metrics were scraped 0 s ago"),
        ("helper", "none is configured"),
    ] {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(about));
        assert!(
            line.is_some_and(|line| line.starts_with("fine") && line.contains(words)),
            "{about}: {words} in {text}"
        );
    }
    #[cfg(target_os = "linux")]
    assert_eq!(text.matches("is taken by inferometer (process").count(), 2, "{text}");
    assert!(text.ends_with("no fault was found\n"), "{text}");
    let count = |labels: &[&str]| program.metric("requests_total", labels);
    assert_eq!((count(&[]), count(&["endpoint=\"/api/version\""])), (1.0, 1.0), "all that was asked through the proxy");
}

#[test]
fn a_misspelt_key_is_named_with_the_nearest() {
    configured("admin_lsten = \"127.0.0.1:1\"\n")
        .is_only(&["unknown key `admin_lsten`", ":1:"], "write `admin_listen`");
    configured("teleport = \"on\"\n").is_only(&["unknown key `teleport`"], "a newer version");
    configured("max_models = 0\n").is_only(&["max_models", "`0` is not allowed"], "a value that is allowed");
    configured("listen\n").is_only(&["not TOML"], "--print-config shows a whole file");
}

/// It is not in force, and may be another program's: no fault, but a line with the name that is meant.
#[test]
fn a_misspelt_variable_is_named_with_the_nearest() {
    let output = command().env("INFEROMETER_BAKEND", "http://gpu-box").arg("doctor").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let line = text.lines().find(|line| line.contains("INFEROMETER_BAKEND")).unwrap_or_default();
    assert!(line.starts_with("note") && line.contains("did you mean INFEROMETER_BACKEND?"), "{text}");
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let toml = "[tls]\ncert_file = \"/nowhere/cert.pem\"\nkey_file = \"/nowhere/key.pem\"\n";
    configured(toml).is_among(&["tls.cert_file", "/nowhere/cert.pem"], "put a file there that this user can read");
}

#[test]
fn a_program_that_does_not_run_is_to_be_started() {
    let server = Simulator::start();
    let (clients, admin, backend) = (free().to_string(), free().to_string(), server.address.to_string());
    doctor(&["--listen", &clients, "--admin-listen", &admin, "--backend", &backend])
        .is_only(&["inferometer does not run", &clients, &admin], "start it");
}

#[test]
fn a_port_is_taken_by_a_process_with_a_name() {
    let server = Simulator::start();
    let (admin, backend) = (free().to_string(), server.address.to_string());
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address");
    let diagnosis = doctor(&["--listen", &taken.to_string(), "--admin-listen", &admin, "--backend", &backend]);
    let next = format!("--listen 127.0.0.1:{}", taken.port().saturating_add(1));
    let who = format!("(process {})", std::process::id());
    let words = [&taken.to_string()[..], "is taken by", if cfg!(target_os = "linux") { &who } else { "lsof" }];
    diagnosis.is_only(&words, &next);
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_of_another_program_is_seen_while_the_program_runs_elsewhere() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    let other = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (clients, admin) = (other.address.to_string(), program.admin.to_string());
    let who = format!("(process {})", std::process::id());
    doctor(&["--listen", &clients, "--admin-listen", &admin, "--backend", &server.address.to_string()])
        .is_only(&[&clients, "is taken by", &who, "and not by inferometer"], "choose another port");
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    let server = Simulator::start();
    let (admin, backend) = (free().to_string(), server.address.to_string());
    // For documentation (RFC 5737): no machine has it.
    doctor(&["--listen", "192.0.2.1:11435", "--admin-listen", &admin, "--backend", &backend])
        .is_only(&["192.0.2.1:11435", "cannot be listened on"], "an address that this machine has");
}

#[test]
fn a_backend_that_is_not_there_is_to_be_started() {
    let backend = free();
    let program = Program::before(backend);
    let diagnosis = doctor_of(&program, backend, &[]);
    diagnosis.is_among(&["backend", &backend.to_string(), "connection refused"], "systemctl start ollama");
    diagnosis.is_among(&["requests", "502 by the proxy", "refused"], "stands above");
    assert_eq!((diagnosis.code, diagnosis.faults().len()), (Some(1), 2), "{}", diagnosis.text);
}

#[test]
fn a_backend_that_speaks_no_http_is_named() {
    let backend = Backend::start(|connection| {
        connection.head();
        connection.write(b"220 mail.example ESMTP\r\n");
    });
    let program = Program::before(backend.address);
    doctor_of(&program, backend.address, &[]).is_among(&["no HTTP answer"], "check the port, or write https://");
}

#[test]
fn a_backend_whose_certificate_is_not_trusted_is_named_with_the_key_to_set() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Authority::server(&authority.identity(&["localhost"]), None);
    let address = secure::serve(server, |stream| drop(secure::head(stream)));
    let ca = other.file();
    configured(&format!(
        "backend = \"https://localhost:{}\"\n[backend_tls]\nca_file = \"{}\"\n",
        address.port(),
        ca.display()
    ))
    .is_among(&["backend", "not signed by a trusted authority"], "set backend_tls.ca_file");
}

#[test]
fn a_name_that_ollama_does_not_know_is_to_be_replaced() {
    let backend = Backend::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let program = Program::before(backend.address);
    doctor_of(&program, backend.address, &[]).is_only(&["requests", "are answered 403"], "--host-header upstream");
}

#[test]
fn a_helper_that_does_not_answer_is_to_be_started() {
    let helper = free();
    let server = Simulator::start();
    let file = folder().join("inferometer.toml");
    std::fs::write(&file, format!("helper_url = \"http://{helper}\"\n")).expect("a file");
    let program = Program::before(server.address);
    doctor_of(&program, server.address, &["--config", &file.display().to_string()])
        .is_only(&["helper", &helper.to_string()], "systemctl start inferometer-helper");
}

#[test]
fn a_program_that_runs_with_another_backend_is_to_be_reloaded() {
    let (one, other) = (Simulator::start(), Simulator::start());
    let program = Program::before(one.address);
    let words = [&one.address.to_string()[..], &other.address.to_string(), "it forwards to"];
    doctor_of(&program, other.address, &[]).is_only(&words, "send it SIGHUP");
}

/// Asks what answers with this as the program's second listener.
fn admin_answering(body: &str) -> Diagnosis {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let admin = Backend::answering(head + body);
    let (proxy, server) = (Simulator::start(), Simulator::start());
    let [clients, admin, backend] = [proxy.address, admin.address, server.address].map(|it| it.to_string());
    doctor(&["--listen", &clients, "--admin-listen", &admin, "--backend", &backend])
}

#[test]
fn scrapes_that_ended_are_a_fault_and_a_drain_is_one_too() {
    let health = |status: &str, last: Option<f64>| {
        json!({"status": status, "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": 3600, "in_flight": 0,
               "last_scrape_seconds": last, "backends": []})
        .to_string()
    };
    let diagnosis = admin_answering(&health("serving", Some(900.0)));
    diagnosis.is_among(&["scrapes", "900 s ago, and not since"], "see whether Prometheus runs");
    admin_answering(&health("draining", None)).is_among(&["inferometer is draining"], "start it again");
    admin_answering("<html>").is_among(&["is not inferometer's second listener"], "choose another --admin-listen");
    let never = admin_answering(&health("serving", None)).text;
    assert!(never.contains("note   scrapes") && never.contains("add http://127.0.0.1:"), "{never}");
}

#[test]
fn a_program_that_asks_for_a_password_is_examined_without_it() {
    let server = Simulator::start();
    let file = folder().join("web.yml");
    let hash = bcrypt::hash("right", 4).expect("a hash");
    std::fs::write(&file, format!("basic_auth_users: {{ prometheus: {hash} }}\n")).expect("a file");
    let guard = ["--admin-web-config-file", &file.display().to_string()];
    let program = Program::with(server.address, &guard);
    let diagnosis = doctor_of(&program, server.address, &guard);
    assert_eq!((diagnosis.code, diagnosis.faults().len()), (Some(0), 0), "{}", diagnosis.text);
    for words in ["wants a password", "/api/version comes through: 200"] {
        assert!(diagnosis.text.contains(words), "{words} in {}", diagnosis.text);
    }
}
