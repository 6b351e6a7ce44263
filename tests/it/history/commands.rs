//! `inferometer history …`, run as people run it.

use std::path::Path;
use std::process::{Command, Output};

use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::client::ask;
use crate::support::program::{Program, STATE, command};

/// Runs a command on the files in this directory. `more` follows its name.
fn history(state: &Path, more: &[&str]) -> Output {
    let mut history = command();
    history.env(STATE, state).arg("history").args(more);
    // Of another program, on the port that is the default.
    if !more.iter().any(|argument| argument.starts_with("--admin-listen")) {
        history.args(["--admin-listen", "127.0.0.1:1"]);
    }
    run(history)
}

fn run(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

/// What it printed, where it found nothing wrong.
fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What it said of a fault, and its exit code.
fn refused(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn status_says_what_is_kept_and_how_the_running_program_does() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    let rows = wait_for_rows(program.state(), 1);
    let admin = format!("--admin-listen={}", program.admin);
    let said = printed(history(program.state(), &["status", &admin]));
    println!("{said}");
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).expect("a line");
    assert_eq!(line("directory"), program.state().join("history").display().to_string());
    let ended = inferometer::history::timestamp::Timestamp(rows.exchanges[0].id.millis());
    assert_eq!(line("exchanges"), format!("from {ended} to {ended}, in 1 file"));
    assert!(line("program").starts_with("writing, 0 exchanges lost"), "{said}");
    assert!(line("size").ends_with("iB"), "{said}");

    let alone = printed(history(program.state(), &["status"]));
    assert!(alone.contains("none answers at http://127.0.0.1:1"), "{alone}");
}

#[test]
fn what_is_not_there_is_a_fault_and_what_is_mistyped_a_usage_error() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-history-here");
    let (code, said) = refused(&history(&nowhere, &["status"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no history at") && said.contains("--data-dir"), "{said}");
    assert!(!nowhere.exists(), "nothing is created");
    let (code, said) = refused(&history(&nowhere, &["status", "--history=off"]));
    assert!(code == Some(1) && said.contains("nothing is kept"), "{said}");
    assert_eq!(refused(&history(&nowhere, &["stauts"])).0, Some(2));
    assert_eq!(refused(&history(&nowhere, &[])).0, Some(2));
}

#[test]
fn the_running_program_shows_what_its_files_have() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    let rows = wait_for_rows(program.state(), 1);
    let kept = || {
        let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
        health["history"]["kept"].clone()
    };
    let ended = rows.exchanges[0].id.millis() as f64 / 1e3;
    let kept = kept();
    assert_eq!((&kept["days"], &kept["oldest"], &kept["newest"]), (&1.into(), &ended.into(), &ended.into()));
    assert!(kept["minutes_from"].as_f64() <= Some(ended), "{kept}");
}

#[test]
fn an_export_has_every_exchange_that_fits_with_its_words() {
    let backend = ollama();
    let program = Program::before(backend.address);
    (0..3).for_each(|_| drop(ask(program.clients, CHAT)));
    ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let rows = wait_for_rows(program.state(), 4);
    let json = printed(history(program.state(), &["export", "--format", "json"]));
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().map(str::to_owned)).collect();
    let expected: Vec<_> = rows.exchanges.iter().rev().map(|it| Some(it.id.0.to_string())).collect();
    assert_eq!(ids, expected, "the oldest first");
    let chat = lines.iter().find(|line| line["endpoint"] == "/api/chat").expect("a chat");
    assert_eq!(
        (&chat["outcome"], &chat["operation"], &chat["method"]),
        (&"completed".into(), &"chat".into(), &"POST".into())
    );
    assert_eq!((&chat["model"], &chat["status"], &chat["error"]), (&"llama3:latest".into(), &200.into(), &().into()));
    assert_eq!(chat["trace"].as_str().map(str::len), Some(32));

    let csv = printed(history(program.state(), &["export", "--endpoint", "/api/chat", "--since", "1h"]));
    let lines: Vec<_> = csv.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{csv}");
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    let file = program.state().join("exported.csv");
    let to_file = ["export", "--outcome", "truncated", "--output", file.to_str().expect("text")];
    assert_eq!(printed(history(program.state(), &to_file)), "");
    assert_eq!(std::fs::read_to_string(&file).expect("a file").lines().count(), 1, "the header alone");
    let (code, said) = refused(&history(program.state(), &to_file));
    assert!(code == Some(1) && said.contains("exported.csv"), "what is there is not overwritten: {said}");

    for (wrong, word) in
        [(["--since", "yesterday"], "12:30"), (["--outcome", "fine"], "completed"), (["--operation", "x"], "chat")]
    {
        let (code, said) = refused(&history(program.state(), &[&["export"], &wrong[..]].concat()));
        assert!(code == Some(2) && said.contains(word), "{said}");
    }
}

#[test]
fn a_backup_beside_a_running_program_is_whole_and_a_program_runs_on_it() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let copy = crate::support::program::State(program.state().with_extension("backup"));
    let written = std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let traffic = scope.spawn(move || {
            let mut count = 0;
            while stopped.try_recv().is_err() {
                ask(program.clients, CHAT);
                count += 1;
            }
            (count, program)
        });
        let state = copy.0.with_extension("");
        wait_for_rows(&state, 5);
        let said = printed(history(&state, &["backup", copy.0.to_str().expect("text")]));
        assert!(said.contains("2 files were copied and checked"), "{said}");
        stop.send(()).expect("it goes on");
        traffic.join().expect("it serves")
    });
    let kept = super::page(&copy.0, Default::default());
    println!("{:?} of {} exchanges are in the backup", kept.total, written.0);
    assert!(matches!(kept.total, Ok(total) if total >= 5 && total <= written.0));
    let again = history(written.1.state(), &["backup", copy.0.to_str().expect("text")]);
    assert_eq!(refused(&again).0, Some(1), "an existing one is left alone");

    // A program completes its sums, and goes on.
    let mut on_copy = command();
    on_copy.env(STATE, &copy.0);
    let restored = Program::start(on_copy, backend.address, &[]);
    restored.wait_for_history();
    let said = printed(history(&copy.0, &["check"]));
    assert!(said.contains("2 files are sound") && !said.contains("sums lack"), "{said}");
}

#[test]
fn a_forgotten_name_is_in_no_file_and_the_rest_stays() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    let as_product = |product: &str| CHAT.replacen("\r\n", &format!("\r\nUser-Agent: {product}/1.0\r\n"), 1);
    (0..3).for_each(|_| drop(ask(program.clients, as_product("vanishing-canary"))));
    (0..2).for_each(|_| drop(ask(program.clients, as_product("staying-canary"))));
    wait_for_rows(program.state(), 5);
    // Beside the running program: what it holds in memory goes to the files first.
    program.signal(rustix::process::Signal::TERM);
    assert!(program.ended().success());
    let state = program.state().to_owned();
    assert!(holds(&state, b"vanishing-canary"), "it is there before");
    let said = printed(history(&state, &["forget", "--client", "vanishing-canary"]));
    assert!(said.starts_with("removed 3 exchanges, "), "{said}");
    assert!(!holds(&state, b"vanishing-canary") && holds(&state, b"staying-canary"));
    let page = super::page(&state, Default::default());
    assert_eq!((page.exchanges.len(), page.total), (2, Ok(2)), "rows and sums agree");
    let said = printed(history(&state, &["check"]));
    assert!(!said.contains("sums lack") && !said.contains("lost"), "{said}");
    let said = printed(history(&state, &["forget", "--model", "llama3:latest"]));
    assert!(said.starts_with("removed 2 exchanges"), "{said}");
    assert_eq!(refused(&history(&state, &["forget"])).0, Some(2), "whom?");
    drop(program);
}

#[test]
fn a_running_program_gives_a_forgotten_number_to_nothing_else() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let as_product = |product: &str| CHAT.replacen("\r\n", &format!("\r\nUser-Agent: {product}/1.0\r\n"), 1);
    ask(program.clients, as_product("first"));
    wait_for_rows(program.state(), 1);
    printed(history(program.state(), &["forget", "--client", "first"]));
    ask(program.clients, as_product("second"));
    ask(program.clients, as_product("first"));
    let page = wait_for_rows(program.state(), 2);
    let clients: Vec<_> = page.exchanges.iter().map(|it| it.client.as_deref().unwrap_or("none").to_owned()).collect();
    assert!(clients.contains(&"second".to_owned()), "{clients:?}");
    assert!(clients.iter().any(|name| name.starts_with("forgotten ")), "{clients:?}");
}

/// Whether any file of a directory has these bytes.
fn holds(state: &Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(state.join("history")).expect("a folder").flatten();
    files.into_iter().any(|file| {
        let content = std::fs::read(file.path()).expect("a file");
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_check_finds_damage_and_sums_that_lack_rows() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    (0..3).for_each(|_| drop(ask(program.clients, CHAT)));
    wait_for_rows(program.state(), 3);
    assert!(printed(history(program.state(), &["check"])).contains("2 files are sound"), "beside a running program");
    program.signal(rustix::process::Signal::TERM);
    assert!(program.ended().success());
    let state = program.state().to_owned();
    let said = printed(history(&state, &["check"]));
    assert!(said.contains("rows and sums of 1 hours were compared"), "{said}");

    let main = inferometer::history::Directory::within(&state).main();
    let file = rusqlite::Connection::open(&main).expect("a file");
    file.execute("UPDATE rollups SET requests = requests - 1 WHERE step = 3600", []).expect("it can be changed");
    drop(file);
    let output = history(&state, &["check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("3 exchanges in rows, 2 in sums"), "{said}");

    let length = std::fs::metadata(&main).expect("a file").len();
    std::fs::write(&main, vec![b'x'; usize::try_from(length).expect("small")]).expect("it can be damaged");
    let output = history(&state, &["check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("damaged: ") && said.contains("main.db"), "{said}");
    drop(program);
}
