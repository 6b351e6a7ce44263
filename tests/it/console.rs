//! `inferometer top` and `inferometer snapshot` before a running program, on this machine and with credentials.

mod keys;

use std::process::Output;

use crate::access::material::{Guarded, key};
use serde_json::{Value, json};

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
    // Lists that are polled are none of what models do.
    (0..3).for_each(|_| {
        drop(ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    });
    let url = format!("http://{}", program.admin);
    look_until(|| {
        let (code, frame, complaint) = run(&["top", "--once", "--url", &url]);
        let shown = ["llama3:latest", "completed", "In flight 0", "TTFT p95", "failed in 1 h 0 of 1 "];
        let missing: Vec<_> = shown.iter().filter(|text| !frame.contains(**text)).collect();
        let is_one = frame.matches("completed").count() == 1;
        if code == Some(0) && missing.is_empty() && is_one {
            Ok(())
        } else {
            Err(format!("{missing:?} {complaint} {frame}"))
        }
    });
    let settings = program.admin.to_string();
    let (code, frame, _) = run(&["top", "--once", "--admin-listen", &settings]);
    assert!(code == Some(0) && frame.contains("llama3:latest"), "the settings say where it is: {frame}");
}

/// Whether the program was built with the page.
fn has_page(program: &Program) -> bool {
    let page = ask(program.admin, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    page.contains("name=\"kept\"")
}

#[test]
fn a_snapshot_is_one_file_without_addresses() {
    let backend = ollama();
    let program = Program::with(backend.address, &["--config", &unlimited()]);
    ask(program.clients, CHAT);
    let url = format!("http://{}", program.admin);
    let file = look_until(|| {
        let (code, file, complaint) = run(&["snapshot", "--last", "1h", "--url", &url]);
        let is_there = file.contains("<td>completed") || file.contains("\"outcome\":\"completed\"");
        if code == Some(0) && is_there { Ok(file) } else { Err(format!("{complaint} {file}")) }
    });
    for part in ["llama3:latest", "4bf92f3577b34da6a3ce929d0e0e4736", "default-src 'none'"] {
        assert!(file.contains(part), "{part}: {file}");
    }
    if has_page(&program) {
        // The page's own script may name the schemes of addresses; what it was given holds none.
        let (_, kept) = file.split_once("id=\"kept\">").expect("the answers");
        let (kept, script) = kept.split_once("</script>").expect("their end");
        assert!(!kept.contains('<'), "nothing in it ends the element");
        let kept: Value = serde_json::from_str(kept).expect("JSON");
        assert_eq!(kept["range"], json!({"period": "1h"}));
        for path in [
            "/dashboard/stats",
            "/dashboard/exchanges/in-flight",
            "/dashboard/series?metrics=active,generated_rate&by=model&period=1h",
        ] {
            assert!(
                kept["answers"][path].is_object(),
                "{path}: {:?}",
                kept["answers"].as_object().map(|all| all.keys().collect::<Vec<_>>())
            );
        }
        let never = ["127.0.0.1", "http://", "https://"];
        assert!(never.iter().all(|text| !kept.to_string().contains(text)), "{kept:#}");
        assert!(script.len() > 10_000 && !file.contains(" src="), "everything is inside");
    } else {
        assert!(file.contains("<svg"), "{file}");
        for never in ["<script", "127.0.0.1", "http://", "https://", "src="] {
            assert!(!file.contains(never), "{never}: {file}");
        }
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
