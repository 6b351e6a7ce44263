//! `kill -9` while rows are written: no file is damaged, at most a second is lost, rows are what the clients counted, and
//! sums agree with rows.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use inferometer::exchange::outcome::Outcome;
use inferometer::history::Directory;
use inferometer::history::query::{Exchange, Filter, PageQuery};
use rustix::process::Signal;

use super::{EVER, reading};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::program::{Program, STATE, command};
use crate::support::{PATIENCE, look_until};

/// How often the program is killed; `HISTORY_KILLS` says otherwise.
const KILLS: u64 = 12;

/// Clients at the same time.
const CLIENTS: usize = 2;

#[test]
fn a_killed_program_loses_less_than_a_second_and_its_sums_agree_with_its_rows() {
    let kills = std::env::var("HISTORY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    // Every row is kept, however many come at once.
    let toml = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}.toml", std::process::id()));
    let text =
        format!("backend = \"test=http://{}\"\nhistory_raw_rate = 1000000\naccess_log = \"off\"\n", backend.address);
    std::fs::write(&toml, text).expect("it can be written");
    let first = Program::configured(command(), &toml);
    let state = first.state().to_owned();
    let again = || {
        let mut again = command();
        again.env(STATE, &state);
        Program::configured(again, &toml)
    };
    let number = AtomicU64::new(1);
    let (mut answered, mut programs) = (Vec::new(), vec![first]);
    for round in 0..kills {
        if round > 0 {
            programs.push(again());
        }
        let program = programs.last_mut().expect("one runs");
        answered.extend(hammer_and_kill(program, &number, Duration::from_millis(300 + round * 97 % 1_400)));
    }
    // The last start completes the sums, and closes the accounts of all that were killed.
    let mut last = again();
    last.wait_for_history();
    let main = rusqlite::Connection::open(Directory::within(&state).main()).expect("a file");
    main.busy_timeout(PATIENCE).expect("it can be set");
    let number = |select| main.query_row(select, [], |row| row.get::<_, i64>(0)).expect("a table");
    look_until(|| match number("SELECT count(*) FROM meta WHERE key LIKE 'folded/%'") {
        1 => Ok(()),
        accounts => Err(format!("{accounts} accounts are open")),
    });
    last.signal(Signal::TERM);
    assert!(last.ended().success());
    let _ = std::fs::remove_file(&toml);

    let rows = all(&state);
    let old = answered.iter().filter(|(_, was_old)| *was_old).count();
    let lost = answered.iter().filter(|(trace, was_old)| *was_old && !rows.contains_key(trace)).count();
    println!(
        "{kills} kills: {} exchanges are kept, {lost} of {old} that were older than a second are lost",
        rows.len()
    );
    assert_eq!(lost, 0);
    assert!(old > 0, "some were older than a second");
    for row in answered.iter().filter_map(|(trace, _)| rows.get(trace)).map(|found| &found.row) {
        let counted = (row.outcome, row.status, row.request_bytes, row.response_bytes);
        assert_eq!(counted, (Outcome::Completed, 200, 0, 2), "as its client counted");
    }
    let weights = rows.values().map(|it| u64::from(it.weight)).sum();
    let summed = number("SELECT sum(requests) FROM rollups WHERE step = 3600");
    assert_eq!(u64::try_from(summed), Ok(weights), "the sums are in the file");
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 1 };
    assert_eq!(reading(&state).page(&query).expect("the files are sound").total, Ok(weights), "sums and rows agree");
    let damaged = std::fs::read_dir(state.join("history")).expect("a folder").flatten();
    assert!(
        !damaged.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("corrupt")),
        "no file is damaged"
    );
}

/// Every row, by its trace.
fn all(state: &Path) -> HashMap<String, Exchange> {
    let (reading, mut rows) = (reading(state), Vec::new());
    loop {
        let query = PageQuery { range: EVER, filter: Filter::default(), offset: rows.len(), limit: 100 };
        let page = reading.page(&query).expect("the files are sound");
        rows.extend(page.exchanges);
        if !page.has_more {
            break;
        }
    }
    let read = rows.len();
    let by_trace: HashMap<_, _> = rows.into_iter().map(|it| (it.row.trace.to_string(), it)).collect();
    assert_eq!(by_trace.len(), read, "each row is there once");
    by_trace
}

/// Asks as fast as it can until an answer comes so long after the start; kills the program at that instant. Returns the
/// trace of each exchange that was answered, and whether it was then older than a second.
fn hammer_and_kill(program: &mut Program, number: &AtomicU64, after: Duration) -> Vec<(String, bool)> {
    let (begun, clients, is_over) = (Instant::now(), program.clients, AtomicBool::new(false));
    let (due, is_due) = mpsc::channel();
    let (answered, killed) = std::thread::scope(|scope| {
        let is_over = &is_over;
        let asking: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let due = due.clone();
                scope.spawn(move || {
                    let (mut client, mut answered) = (Client::connect(clients), Vec::new());
                    while !is_over.load(Ordering::SeqCst) {
                        let trace = format!("{:032x}", number.fetch_add(1, Ordering::SeqCst));
                        if !ask(&mut client, &trace) {
                            break;
                        }
                        answered.push((Instant::now(), trace));
                        if begun.elapsed() >= after {
                            let _ = due.send(());
                        }
                    }
                    answered
                })
            })
            .collect();
        is_due.recv_timeout(PATIENCE).expect("answers come");
        let killed = Instant::now();
        program.signal(Signal::KILL);
        is_over.store(true, Ordering::SeqCst);
        let answered: Vec<_> = asking.into_iter().flat_map(|client| client.join().expect("no panic")).collect();
        (answered, killed)
    });
    program.ended();
    let was_old = |at: Instant| at + Duration::from_secs(1) < killed;
    answered.into_iter().map(|(at, trace)| (trace, was_old(at))).collect()
}

/// Asks once; false where the program is gone.
fn ask(client: &mut Client, trace: &str) -> bool {
    let request = format!("GET /api/tags HTTP/1.1\r\nHost: a\r\nTraceparent: 00-{trace}-00f067aa0ba902b7-00\r\n\r\n");
    let asked = std::io::Write::write_all(&mut client.stream, request.as_bytes());
    let mut answer = [0; 64];
    match asked.and_then(|()| std::io::Read::read(&mut client.stream, &mut answer)) {
        Ok(read) => answer[..read].ends_with(b"ok"),
        Err(_) => false,
    }
}
