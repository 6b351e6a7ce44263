//! The files that are copied: a new `main.db`, the number of the copy, and what is written at the end.

use std::time::Duration;

use inferometer::history::Directory;
use inferometer::history::state::Copying;

use super::{ROWS, copy, copy_at, wait, wait_for, wait_for_table};
use crate::history::faults::{Kept, fresh};
use crate::history::wait_for_rows;
use crate::support::PATIENCE;
use crate::support::postgres::Postgres;
use crate::support::program::{STATE, command};

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

#[test]
fn a_number_of_an_earlier_release_is_kept_and_a_backup_takes_it_along() {
    let server = Postgres::start();
    let state = fresh("replica-number");
    let kept = Kept::within(&state.0);
    kept.serve(1);
    wait_for_rows(&state.0, 1);
    // Where it was kept before it had a file.
    let main = rusqlite::Connection::open(Directory::within(&state.0).main()).expect("a file");
    main.busy_timeout(PATIENCE).expect("it can be set");
    main.execute("INSERT INTO meta (key, value) VALUES ('replica', 77)", []).expect("it can be changed");
    let follows = copy(&kept, &state, &server, "a");
    wait_for_table(&server);
    wait_for(&server, "SELECT count(*) FROM inferometer.exchanges WHERE replica = 77", 1);
    assert_eq!(std::fs::read_to_string(state.0.join("history/replica")).expect("a file"), "77\n");
    drop((follows, kept));

    let copied = fresh("replica-number-backup");
    let run = |arguments: &[&str]| {
        let output = command().env(STATE, &state.0).args(["history"]).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    };
    run(&["backup", &copied.0.display().to_string()]);
    run(&["check"]);
    let kept = Kept::within(&copied.0);
    let _follows = copy(&kept, &copied, &server, "a");
    kept.serve(1);
    wait_for(&server, ROWS, 2);
    assert_eq!(
        server.number("SELECT count(*) FROM inferometer.exchanges WHERE replica = 77"),
        2,
        "none is there twice"
    );
}
