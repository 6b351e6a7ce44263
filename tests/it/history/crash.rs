//! `kill -9` while rows are written: no file is damaged, at most a second is lost, and sums agree with rows.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use inferometer::history::query::{Filter, PageQuery};
use rustix::process::Signal;

use super::{EVER, reading};
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::program::{Program, STATE, command};

/// How often the program is killed; `HISTORY_KILLS` says otherwise.
const KILLS: u64 = 12;

#[test]
fn a_killed_program_loses_less_than_a_second_and_its_sums_agree_with_its_rows() {
    let kills = std::env::var("HISTORY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let first = Program::before(backend.address);
    let state = first.state().to_owned();
    let number = AtomicU64::new(1);
    let (mut must, mut programs) = (HashSet::new(), vec![first]);
    for round in 0..kills {
        if round > 0 {
            let mut again = command();
            again.env(STATE, &state);
            programs.push(Program::start(again, backend.address, &[]));
        }
        let program = programs.last_mut().expect("one runs");
        must.extend(hammer_and_kill(program, &number, Duration::from_millis(300 + round * 97 % 1_400)));
    }
    // The last start completes the sums.
    let mut last = command();
    last.env(STATE, &state);
    let mut last = Program::start(last, backend.address, &[]);
    last.wait_for("history_paused", &[], 0.0);
    last.signal(Signal::TERM);
    assert!(last.ended().success());

    let reading = reading(&state);
    let (mut found, mut weights) = (HashSet::new(), 0);
    loop {
        let query = PageQuery { range: EVER, filter: Filter::default(), offset: found.len(), limit: 100 };
        let page = reading.page(&query).expect("the files are sound");
        weights += page.exchanges.iter().map(|it| u64::from(it.weight)).sum::<u64>();
        found.extend(page.exchanges.iter().map(|it| it.row.trace.to_string()));
        if !page.has_more {
            assert_eq!(page.total, Ok(weights), "sums and rows agree");
            break;
        }
    }
    let lost = must.iter().filter(|trace| !found.contains(*trace)).count();
    println!(
        "{kills} kills: {} exchanges are kept, {lost} of {} that were older than a second are lost",
        found.len(),
        must.len()
    );
    assert_eq!(lost, 0);
    let damaged = std::fs::read_dir(state.join("history")).expect("a folder").flatten();
    assert!(
        !damaged.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("corrupt")),
        "no file is damaged"
    );
}

/// Asks as fast as it can until it kills the program. Returns the traces that had ended a second before.
fn hammer_and_kill(program: &mut Program, number: &AtomicU64, after: Duration) -> Vec<String> {
    let (ended, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let killed = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(program.clients);
                while !is_over.load(Ordering::SeqCst) {
                    let trace = format!("{:032x}", number.fetch_add(1, Ordering::SeqCst));
                    let request = format!(
                        "GET /api/tags HTTP/1.1\r\nHost: a\r\nTraceparent: 00-{trace}-00f067aa0ba902b7-00\r\n\r\n"
                    );
                    // About as many as are kept one by one.
                    std::thread::sleep(Duration::from_millis(10));
                    let asked = std::io::Write::write_all(&mut client.stream, request.as_bytes());
                    let mut answer = [0; 64];
                    match asked.and_then(|()| std::io::Read::read(&mut client.stream, &mut answer)) {
                        Ok(read) if answer[..read].ends_with(b"ok") => {
                            ended.lock().expect("no panic").push((Instant::now(), trace));
                        }
                        _ => return,
                    }
                }
            });
        }
        std::thread::sleep(after);
        let killed = Instant::now();
        program.signal(Signal::KILL);
        is_over.store(true, Ordering::SeqCst);
        killed
    });
    program.ended();
    let ended = ended.into_inner().expect("no panic");
    let old_enough = |(at, _): &(Instant, String)| *at + Duration::from_secs(1) < killed;
    ended.into_iter().filter(old_enough).map(|(_, trace)| trace).collect()
}
