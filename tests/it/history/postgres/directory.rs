//! The files that are copied: a new `main.db`, the number of the copy, and what is written at the end.

use std::time::Duration;

use inferometer::history::Directory;
use inferometer::history::state::Copying;

use super::{ROWS, copy, copy_at, wait, wait_for, wait_for_table};
use crate::history::faults::{Kept, fresh};
use crate::history::wait_for_rows;
use crate::support::postgres::Postgres;

#[test]
fn a_new_main_file_keeps_the_number_and_nothing_is_there_twice() {
    let server = Postgres::start();
    let state = fresh("replica-new-main");
    let kept = Kept::within(&state.0);
    let follows = copy(&kept, &state, &server, "a");
    kept.serve(3);
    wait_for_table(&server);
    wait_for(&server, ROWS, 3);
    const SUMS: &str = "SELECT coalesce(max(last), 0) FROM inferometer.cursors WHERE stream = 16";
    wait_for(&server, &format!("SELECT (({SUMS}) > 0)::integer::bigint"), 1);
    drop((follows, kept));
    let sums = server.number(SUMS);
    for suffix in ["", "-wal", "-shm"] {
        let main = Directory::within(&state.0).main();
        let _absent = std::fs::remove_file(format!("{}{suffix}", main.display()));
    }
    let kept = Kept::within(&state.0);
    let _follows = copy(&kept, &state, &server, "a");
    kept.serve(2);
    wait_for(&server, ROWS, 5);
    assert_eq!(server.number("SELECT count(DISTINCT replica) FROM inferometer.exchanges"), 1);
    wait_for(&server, &format!("SELECT (({SUMS}) > {sums})::integer::bigint"), 1);
}

#[test]
fn what_was_written_is_copied_before_the_end() {
    let server = Postgres::start();
    let state = fresh("replica-end");
    let kept = Kept::within(&state.0);
    kept.serve(1);
    wait_for_rows(&state.0, 1);
    let copy = copy_at(Duration::from_secs(3600), &kept, &state, server.server(), "a");
    wait(&kept, "it follows", |health| health.copying == Copying::Following);
    kept.serve(2);
    wait_for_rows(&state.0, 3);
    kept.history.close();
    copy.close();
    assert_eq!(server.number(ROWS), 3);
}
