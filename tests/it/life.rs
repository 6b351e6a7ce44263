//! What happens to a program that runs for months: the clock is set, the disk is full, nobody reads what it says, a
//! driver hangs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use rustix::process::Signal;

use crate::support::PATIENCE;
use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::nvml::StandIn;
use crate::support::program::{Program, command};
use crate::support::servers::free;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const YEAR: i64 = 366 * 24 * 3600;

/// A library that gives the program's wall clock, and the file that sets it.
fn wall_clock() -> (PathBuf, PathBuf) {
    let folder = folder();
    let (library, file) = (folder.join("wall_clock.so"), folder.join("ahead"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/wall_clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", source, "-o"]).arg(&library).output();
    let built = built.expect("a C compiler (cc) is there: Rust needs one to link");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::write(&file, "0").expect("a file");
    (library, file)
}

#[test]
fn a_wall_clock_that_is_set_changes_no_duration_and_ends_nothing() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        let Some(request) = connection.request() else { return };
        if !request.starts_with(b"POST /api/chat ") {
            return connection.write(OK);
        }
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
        let line = |connection: &mut crate::support::backend::Connection, text: &str| {
            connection.write(format!("{:x}\r\n{text}\n\r\n", text.len() + 1).as_bytes());
        };
        for _ in 0..4 {
            line(connection, r#"{"model":"m","message":{"content":"x"},"done":false}"#);
            steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        }
        line(connection, r#"{"model":"m","message":{"content":""},"done":true,"eval_count":4,"prompt_eval_count":2}"#);
        connection.write(b"0\r\n\r\n");
    });
    let (library, file) = wall_clock();
    let set = |seconds: i64| {
        let new = file.with_extension("new");
        std::fs::write(&new, seconds.to_string()).expect("a file");
        std::fs::rename(&new, &file).expect("a file");
    };
    let mut command = command();
    command.env("LD_PRELOAD", library).env("WALL_CLOCK", &file);
    let program = Program::start(command, backend.address, &[]);
    let loaded = || program.metric("config_last_reload_success_timestamp_seconds", &[]);
    let (begun, at) = (Instant::now(), loaded());
    let mut halfway = Client::connect(program.clients);
    halfway.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut client = Client::connect(program.clients);
    client.send("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}");
    // Ahead, back, before 1970, and as it was.
    for seconds in [10 * YEAR, -10 * YEAR, -100 * YEAR, 0] {
        client.until("}\n\r\n");
        set(seconds);
        program.signal(Signal::HUP);
        program.logged(|line| line["message"] == "the configuration was reloaded");
        let seen = loaded();
        assert!((seen - (at + seconds as f64).max(0.0)).abs() < 60.0, "the clock was set: {seen}");
        step.send(()).expect("the backend waits");
    }
    client.until("0\r\n\r\n");
    halfway.send("\r\n").until("ok");
    let line = program.logged(|line| line["endpoint"] == "/api/chat");
    let most = begun.elapsed().as_secs_f64();
    assert_eq!((line["outcome"].as_str(), line["generated_tokens"].as_u64()), (Some("completed"), Some(4)), "{line}");
    let duration = line["duration_ms"].as_f64().expect("a duration");
    assert!(duration > 0.0 && duration < most * 1e3, "{line}");
    for name in
        ["request_duration_seconds", "time_to_first_token_seconds", "inter_token_latency_seconds", "overhead_seconds"]
    {
        let sum = program.metric(&format!("{name}_sum"), &[]);
        assert!(sum > 0.0 && sum < 2.0 * most, "{name}: {sum}");
    }
    assert_eq!(program.metric("stream_stalls_total", &[]), 0.0);
    assert_eq!(program.metric("active_requests", &[]), 0.0);
    assert_eq!(program.metric("collector_success", &["\"cpu\""]), 1.0);
}

/// The program with its outputs redirected as a shell has it; nobody can hear which addresses it took.
fn unheard(redirect: &str, backend: &Backend) {
    let (listen, admin) = (free(), free());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirect}"), env!("CARGO_BIN_EXE_inferometer")]).env_clear();
    shell.args(["--listen", &listen.to_string(), "--admin-listen", &admin.to_string()]);
    shell.args(["--log-level", "debug", "--backend", &format!("http://{}", backend.address)]);
    let mut child = shell.spawn().expect("a shell");
    let begun = Instant::now();
    while std::net::TcpStream::connect(listen).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{redirect}: it listens");
        std::thread::yield_now();
    }
    for _ in 0..50 {
        let answer = ask(listen, GET);
        assert!(answer.ends_with("ok"), "{redirect}: {answer}");
    }
    let metrics = ask(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(metrics.contains("ollama_proxy_build_info"), "{redirect}: {metrics}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::HUP).expect("it lives");
    assert!(ask(listen, GET).ends_with("ok"), "{redirect}: a reload that nobody hears of");
    rustix::process::kill_process(pid, Signal::TERM).expect("it lives");
    assert_eq!(child.wait().expect("a child").code(), Some(0), "{redirect}");
}

#[test]
fn a_full_disk_and_outputs_that_are_not_there_change_nothing() {
    let backend = Backend::answering(OK);
    for redirect in [">/dev/full 2>/dev/full", "<&- >&- 2>&-", ">/dev/null 2>&1"] {
        unheard(redirect, &backend);
    }
}

#[test]
fn a_port_in_use_is_said_for_either_listener_and_takes_no_other() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (flag, other) in [("--listen", "--admin-listen"), ("--admin-listen", "--listen")] {
        let output = command().args([flag, &address, other, "127.0.0.1:0"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(flag) && said.contains("choose another port"), "{said}");
    }
}

#[test]
fn a_driver_that_hangs_delays_no_request_no_scrape_and_no_end() {
    let stand_in = StandIn::new("life");
    stand_in.play("hang");
    let backend = Backend::answering(OK);
    let mut program = Program::with_libraries(stand_in.folder(), backend.address, &[]);
    for _ in 0..20 {
        assert!(ask(program.clients, GET).ends_with("ok"));
        assert!(program.fetch("/metrics").contains("ollama_proxy_build_info"));
    }
    // The driver hangs to the end: whoever waited for it would never be answered.
    assert!(!program.fetch("/metrics").contains("ollama_proxy_gpu_up"), "what was not read is absent");
    program.signal(Signal::TERM);
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn without_a_driver_there_is_no_card_and_no_fault() {
    let backend = Backend::answering(OK);
    let stand_in = StandIn::new("none");
    stand_in.play("gone");
    let program = Program::with_libraries(stand_in.folder(), backend.address, &["--log-level", "debug"]);
    program.wait_for("collector_success", &["\"cpu\""], 1.0);
    let metrics = program.fetch("/metrics");
    assert!(!metrics.contains("ollama_proxy_gpu_") && !metrics.contains("DCGM_"), "{metrics}");
    assert!(!metrics.contains("collector_success{collector=\"nvidia\"} 0"), "{metrics}");
}
