//! A server that is away, dies, is silent or stops.

use std::time::Instant;

use inferometer::history::query::{Filter, PageQuery, TIME_LIMIT};
use inferometer::history::state::Copying;
use inferometer::history::{Directory, Reading};

use super::{ROWS, copy, copy_to, wait, wait_for, wait_for_table};
use crate::history::faults::{Kept, fresh};
use crate::history::{EVER, wait_for_rows};
use crate::support::postgres::{Postgres, server_at};
use crate::support::{PATIENCE, look_until};

#[test]
fn without_the_server_the_files_go_on_and_the_copy_says_so() {
    let mut server = Postgres::start();
    server.crash();
    let state = fresh("replica-absent");
    let kept = Kept::within(&state.0);
    let _copy = copy(&kept, &state, &server, "a");
    kept.serve(3);
    wait_for_rows(&state.0, 3);
    wait(
        &kept,
        "it says so",
        |health| matches!(&health.copying, Copying::Failing(text) if !text.contains("never-shown")),
    );
    server.again();
    wait_for_table(&server);
    wait_for(&server, ROWS, 3);
}

/// Rows that a file has beside the one that was served.
const MANY: i64 = 30_000;

#[test]
fn a_server_that_dies_in_the_middle_of_a_copy_has_every_row_once_after_it_is_back() {
    let mut server = Postgres::start();
    let state = fresh("replica-killed");
    let kept = Kept::within(&state.0);
    kept.serve(1);
    let served = wait_for_rows(&state.0, 1).exchanges[0].id;
    let day = Directory::within(&state.0).day(inferometer::history::Day::of(served.millis()));
    let file = rusqlite::Connection::open(day).expect("it is there");
    file.busy_timeout(PATIENCE).expect("it can be set");
    let columns = columns(&file).replace("id, ", "");
    let more = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {MANY}) \
         INSERT INTO exchanges (id, {columns}) SELECT id + n, {columns} FROM exchanges, n WHERE id = {}",
        served.0
    );
    file.execute(&more, []).expect("they fit into one millisecond");

    let _copy = copy(&kept, &state, &server, "a");
    wait_for_table(&server);
    let mut crashes = Vec::new();
    for least in [1, 10_000] {
        let begun = Instant::now();
        let seen = loop {
            let seen = server.number(ROWS);
            if seen >= least {
                break seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{seen} rows are there");
        };
        server.crash();
        wait(&kept, "it is noticed", |health| matches!(health.copying, Copying::Failing(_)));
        kept.serve(1);
        server.again();
        crashes.push(seen);
    }
    println!("the server ended with {crashes:?} of {} rows", MANY + 3);
    assert!(crashes.iter().all(|seen| *seen < MANY), "{crashes:?}: in the middle");
    wait_for(&server, ROWS, MANY + 3);
    let distinct = "SELECT count(DISTINCT (replica, id)) FROM inferometer.exchanges";
    assert_eq!(server.number(distinct), MANY + 3);
    wait(&kept, "it follows again", |health| health.copying == Copying::Following);
}

fn columns(file: &rusqlite::Connection) -> String {
    let mut select = file.prepare("SELECT name FROM pragma_table_info('exchanges')").expect("a table");
    let names: Vec<String> =
        select.query_map([], |row| row.get(0)).expect("names").collect::<Result<_, _>>().expect("names");
    names.join(", ")
}

#[test]
fn a_server_that_accepts_and_is_silent_holds_up_neither_questions_nor_the_copy() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("postgres://u:never-shown@{}/db", silent.local_addr().expect("it has one"));
    let state = fresh("replica-silent");
    let kept = Kept::within(&state.0);
    kept.serve(3);
    wait_for_rows(&state.0, 3);
    let server = server_at(&url);
    let _copy = copy_to(&kept, &state, server.clone(), "a");
    let reading = Reading::new(Directory::within(&state.0), TIME_LIMIT).with_server(server);
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 10 };
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || answer.send(reading.page(&query).expect("the files answer").exchanges.len()));
    assert_eq!(answered.recv_timeout(PATIENCE), Ok(3));
    wait(
        &kept,
        "the copy says so",
        |health| matches!(&health.copying, Copying::Failing(text) if text.contains("does not answer")),
    );
}

#[test]
fn a_server_that_stops_in_the_middle_is_given_up_and_asked_again_later() {
    let server = Postgres::start();
    let state = fresh("replica-stopped");
    let kept = Kept::within(&state.0);
    let _copy = copy(&kept, &state, &server, "a");
    kept.serve(2);
    wait_for_table(&server);
    wait_for(&server, ROWS, 2);
    let reading = Reading::new(Directory::within(&state.0), TIME_LIMIT).with_server(server.server());
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 10 };
    let rows = move || reading.page(&query).expect("the server or the files answer").exchanges.len();
    assert_eq!(rows(), 2);
    // The server has less than the files, by which its answers are known.
    server.execute("DELETE FROM inferometer.exchanges WHERE id = (SELECT max(id) FROM inferometer.exchanges)");
    assert_eq!(rows(), 1);
    let stopped = server.stop();
    let (answer, answered) = std::sync::mpsc::channel();
    let asking = std::thread::spawn(move || {
        answer.send(rows()).expect("it is waited for");
        rows
    });
    assert_eq!(answered.recv_timeout(PATIENCE), Ok(2), "the files have it");
    drop(stopped);
    let rows = asking.join().expect("it has answered");
    look_until(|| if rows() == 1 { Ok(()) } else { Err("the server is not asked again".to_owned()) });
}
