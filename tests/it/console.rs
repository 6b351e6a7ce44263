//! `inferometer top` and `inferometer snapshot` before a running program, on this machine and with credentials.

use std::process::Output;

use crate::access::material::{Guarded, key};
use crate::api::unlimited;
use crate::history::rows::{CHAT, ollama};
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::program::{Program, command};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command().args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn top_prints_models_and_the_last_ends_of_a_program_once() {
    let backend = ollama();
    let program = Program::with(backend.address, &["--config", &unlimited()]);
    ask(program.clients, CHAT);
    let url = format!("http://{}", program.admin);
    look_until(|| {
        let (code, frame, complaint) = run(&["top", "--once", "--url", &url]);
        let shown = ["llama3:latest", "completed", "In flight 0", "TTFT p95"];
        let missing: Vec<_> = shown.iter().filter(|text| !frame.contains(**text)).collect();
        if code == Some(0) && missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} {complaint} {frame}")) }
    });
    let settings = program.admin.to_string();
    let (code, frame, _) = run(&["top", "--once", "--admin-listen", &settings]);
    assert!(code == Some(0) && frame.contains("llama3:latest"), "the settings say where it is: {frame}");
}

#[test]
fn a_snapshot_is_one_file_without_scripts_and_addresses() {
    let backend = ollama();
    let program = Program::with(backend.address, &["--config", &unlimited()]);
    ask(program.clients, CHAT);
    let url = format!("http://{}", program.admin);
    let file = look_until(|| {
        let (code, file, complaint) = run(&["snapshot", "--last", "1h", "--url", &url]);
        if code == Some(0) && file.contains("<td>completed") { Ok(file) } else { Err(format!("{complaint} {file}")) }
    });
    for part in ["<svg", "llama3:latest", "4bf92f3577b34da6a3ce929d0e0e4736", "default-src 'none'"] {
        assert!(file.contains(part), "{part}: {file}");
    }
    for never in ["<script", "127.0.0.1", "http://", "https://", "src="] {
        assert!(!file.contains(never), "{never}: {file}");
    }
}

#[test]
fn credentials_come_from_a_file_and_what_does_not_answer_is_said() {
    let guarded = Guarded::start(&[]);
    let url = format!("http://{}", guarded.admin());
    let (code, frame, complaint) = run(&["top", "--once", "--url", &url]);
    assert!(code == Some(1) && frame.is_empty() && complaint.contains("--token-file"), "{complaint}");
    let file = guarded.folder.join("token");
    std::fs::write(&file, format!("{}\n", key("reader"))).expect("a file");
    let file = file.display().to_string();
    let (code, frame, complaint) = run(&["top", "--once", "--url", &url, "--token-file", &file]);
    assert!(code == Some(0) && frame.contains("In flight 0"), "{complaint}{frame}");
    assert!(!frame.contains(&key("reader")) && !complaint.contains(&key("reader")), "the key is shown");
    let (code, _, complaint) = run(&["snapshot", "--url", &url]);
    assert!(code == Some(1) && complaint.contains("--token-file"), "{complaint}");
    for (arguments, why) in [
        (&["top", "--once", "--url", "ftp://x"][..], "--url"),
        (&["top", "--token-file", "/nowhere", "--url", &url], "/nowhere"),
        (&["snapshot", "--last", "soon", "--url", &url], "--last"),
    ] {
        let (code, _, complaint) = run(arguments);
        assert!(code == Some(2) && complaint.contains(why), "{complaint}");
    }
}
