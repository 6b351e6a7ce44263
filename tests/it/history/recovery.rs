//! Files that are not as the program left them, and processes that left something behind.

use std::sync::atomic::Ordering;
use std::time::Instant;

use inferometer::history::Directory;
use inferometer::history::query::{Filter, PageQuery};
use inferometer::history::state::{Activity, Pause};
use rusqlite::Connection;
use rustix::process::Signal;

use super::faults::{Kept, fresh};
use super::rows::{CHAT, ollama};
use super::{EVER, reading, wait_for_rows};
use crate::support::client::ask;
use crate::support::program::{Program, STATE, State, command};
use crate::support::{PATIENCE, look_until};

fn main_file(state: &State) -> Connection {
    Connection::open(Directory::within(&state.0).main()).expect("a file")
}

#[test]
fn a_damage_that_no_check_finds_pauses_the_history_until_it_is_mended() {
    let state = fresh("unfound");
    drop(Kept::within(&state.0));
    let account = "INSERT INTO meta (key, value) VALUES ('folded/0', 'a text where a number should be')";
    main_file(&state).execute(account, []).expect("it can be changed");
    let kept = Kept::within(&state.0);
    kept.serve(2);
    let paused = kept.wait("paused", |health| matches!(health.activity, Activity::Paused(Pause::Failing, _)));
    assert_eq!(paused.damaged, 0, "no file was renamed");
    let Activity::Paused(_, text) = paused.activity else { panic!("it is paused") };
    assert!(text.contains("main.db") && text.contains("rename it"), "{text}");
    main_file(&state).execute("DELETE FROM meta WHERE key = 'folded/0'", []).expect("it can be changed");
    kept.wait("writing", |health| health.activity == Activity::Writing);
    assert_eq!(wait_for_rows(&state.0, 2).exchanges.len(), 2);
}

#[test]
fn a_file_of_another_build_with_the_same_version_says_what_to_do() {
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 1 };
    for (file, change) in [
        ("main.db", "ALTER TABLE rollups RENAME COLUMN stalls TO pauses"),
        ("exchanges-", "ALTER TABLE exchanges DROP COLUMN load_us"),
    ] {
        let state = fresh(&format!("another-{file}"));
        let kept = Kept::within(&state.0);
        kept.serve(1);
        wait_for_rows(&state.0, 1);
        drop(kept);
        let directory = Directory::within(&state.0);
        let path = if file == "main.db" { directory.main() } else { directory.day(directory.days()[0]) };
        Connection::open(&path).expect("a file").execute_batch(change).expect("it can be changed");
        let kept = Kept::within(&state.0);
        let is_said = |activity: &Activity| match activity {
            Activity::Paused(Pause::Failing, text) => text.contains(file) && text.contains("rename the directory"),
            _ => false,
        };
        let paused = kept.wait("it says so", |health| is_said(&health.activity));
        assert_eq!(paused.damaged, 0, "no file was renamed");
        drop(kept);
        if file != "main.db" {
            let error = reading(&state.0).page(&query).expect_err("its readers say so too");
            assert!(error.to_string().contains("rename the directory"), "{error}");
        }
    }
}

#[test]
fn sums_count_once_after_a_clock_that_was_a_day_ahead() {
    const DAY: i64 = 86_400_000;
    let state = fresh("ahead");
    let kept = Kept::within(&state.0);
    kept.wait("writing", |health| health.activity == Activity::Writing);
    kept.offset.store(DAY, Ordering::SeqCst);
    kept.serve(3);
    wait_for_rows(&state.0, 3);
    drop(kept);
    for start in 1..=3 {
        let kept = Kept::within(&state.0);
        kept.serve(1);
        let page = wait_for_rows(&state.0, 3 + start);
        assert_eq!((page.exchanges.len(), page.total), (3 + start, Ok(3 + start as u64)), "start {start}");
        drop(kept);
    }
    // Once the clock gets there, no id is taken twice.
    let kept = Kept::within(&state.0);
    kept.wait("writing", |health| health.activity == Activity::Writing);
    kept.offset.store(DAY, Ordering::SeqCst);
    kept.serve(3);
    assert_eq!(wait_for_rows(&state.0, 9).exchanges.len(), 9);
}

#[test]
fn the_account_of_a_killed_process_is_closed_by_one_that_runs() {
    let (state, backend) = (fresh("survivor"), ollama());
    let kept = Kept::within(&state.0);
    kept.serve(1);
    wait_for_rows(&state.0, 1);
    let mut killed = command();
    killed.env(STATE, &state.0);
    let mut killed = Program::start(killed, backend.address, &[]);
    (0..2).for_each(|_| drop(ask(killed.clients, CHAT)));
    wait_for_rows(&state.0, 3);
    let accounts = || {
        let count = "SELECT count(*) FROM meta WHERE key LIKE 'folded/%'";
        main_file(&state).query_row(count, [], |row| row.get::<_, i64>(0)).expect("a table")
    };
    assert_eq!(accounts(), 2);
    killed.signal(Signal::KILL);
    killed.ended();
    let begun = Instant::now();
    while accounts() > 1 {
        assert!(begun.elapsed() < PATIENCE, "the account stays open");
        std::thread::yield_now();
    }
    let stored = "SELECT sum(requests) FROM rollups WHERE step = 3600";
    let stored = || main_file(&state).query_row(stored, [], |row| row.get::<_, i64>(0)).expect("a table");
    assert_eq!((stored(), wait_for_rows(&state.0, 3).total), (3, Ok(3)));
    drop(kept);
}

/// Rows of a day that takes long to check.
const MANY: i64 = 200_000;

/// The files of a process that died with so many rows beside the one that it served.
fn left_behind(name: &str, more: i64) -> State {
    let state = fresh(name);
    let kept = Kept::within(&state.0);
    kept.serve(1);
    let served = wait_for_rows(&state.0, 1).exchanges[0].id;
    drop(kept);
    let directory = Directory::within(&state.0);
    let mut day = Connection::open(directory.day(directory.days()[0])).expect("a file");
    let columns: Vec<String> = {
        let mut select = day.prepare("SELECT name FROM pragma_table_info('exchanges')").expect("a table");
        select.query_map([], |row| row.get(0)).expect("names").collect::<Result<_, _>>().expect("names")
    };
    let columns = columns.join(", ").replace("id, ", "").replace("trace, ", "");
    let transaction = day.transaction().expect("it is free");
    // Sixteen in a millisecond, of the time before.
    let fill = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {more}) \
         INSERT INTO exchanges (id, trace, {columns}) SELECT id - (n / 16 + 1) * 1048576 + n % 16, randomblob(16), {columns} \
         FROM exchanges, n WHERE id = {}",
        served.0
    );
    transaction.execute(&fill, []).expect("they fit");
    transaction.commit().expect("there is room");
    let account = "INSERT INTO meta (key, value) VALUES ('folded/0', ?1)";
    main_file(&state).execute(account, [served.0]).expect("it can be changed");
    state
}

fn accounts(state: &State) -> i64 {
    let count = "SELECT count(*) FROM meta WHERE key LIKE 'folded/%'";
    main_file(state).query_row(count, [], |row| row.get::<_, i64>(0)).expect("a table")
}

#[test]
fn rows_are_written_while_what_a_dead_process_left_is_still_checked() {
    let state = left_behind("unchecked", MANY);
    let kept = Kept::within(&state.0);
    kept.serve(1);
    kept.wait("written", |health| health.written == 1);
    assert_eq!(accounts(&state), 2, "the account of the dead process is open until its files are checked");
    kept.serve(1);
    look_until(|| if accounts(&state) == 1 { Ok(()) } else { Err("the account stays open".to_owned()) });
    let page = wait_for_rows(&state.0, 3);
    assert_eq!(kept.history.state().health().damaged, 0);
    assert!(page.has_more);
}

#[test]
fn rows_that_went_to_a_file_before_it_was_found_damaged_are_in_the_new_one() {
    let state = left_behind("unproven", MANY);
    let directory = Directory::within(&state.0);
    let path = directory.day(directory.days()[0]);
    // A page of the index of traces, which one of a thousand rows meets.
    let select = "SELECT pageno FROM dbstat WHERE name = 'exchanges_trace' AND pagetype = 'leaf' ORDER BY path LIMIT 1 \
                  OFFSET 500";
    let number: u64 = Connection::open(&path)
        .expect("a file")
        .query_row(select, [], |row| row.get::<_, i64>(0))
        .expect("so many pages")
        .unsigned_abs();
    let file = std::fs::File::options().write(true).open(&path).expect("it is there");
    std::os::unix::fs::FileExt::write_all_at(&file, &[b'x'; 4096], (number - 1) * 4096).expect("it can be damaged");
    let kept = Kept::within(&state.0);
    kept.serve(3);
    kept.wait("written", |health| health.written == 3);
    kept.wait("replaced", |health| health.damaged == 1 && health.activity == Activity::Writing);
    let page = wait_for_rows(&state.0, 3);
    assert_eq!((page.exchanges.len(), page.has_more), (3, false));
}
