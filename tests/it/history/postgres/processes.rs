//! Several processes of one directory.

use std::collections::BTreeSet;
use std::time::Instant;

use inferometer::history::state::Copying;

use super::tables::VIEWS;
use super::{ROWS, copy, wait, wait_for};
use crate::history::faults::{Kept, fresh};
use crate::support::PATIENCE;
use crate::support::postgres::Postgres;

#[test]
fn of_two_processes_in_one_directory_one_copies_and_the_other_takes_over() {
    let server = Postgres::start();
    let state = fresh("replica-two");
    let (one, other) = (Kept::within(&state.0), Kept::within(&state.0));
    let first = copy(&one, &state, &server, "a");
    wait(&one, "one follows", |health| health.copying == Copying::Following);
    let _second = copy(&other, &state, &server, "a");
    wait(&other, "the other waits", |health| health.copying == Copying::Elsewhere);
    one.serve(2);
    other.serve(3);
    wait_for(&server, ROWS, 5);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after it").as_millis() as i64;
    wait(&other, "the other knows of the copy", |health| health.copied > Some(now));
    drop(first);
    wait(&other, "the other follows", |health| health.copying == Copying::Following);
    other.serve(2);
    wait_for(&server, ROWS, 7);
}

/// The first connection that does not copy.
const IDLE: &str = "SELECT coalesce(min(pid), 0)::bigint FROM pg_stat_activity WHERE application_name = 'inferometer' \
                    AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)";

#[test]
fn a_process_that_does_not_copy_keeps_one_connection_and_touches_no_table() {
    let server = Postgres::start();
    let state = fresh("replica-idle");
    let (one, other) = (Kept::within(&state.0), Kept::within(&state.0));
    let _first = copy(&one, &state, &server, "a");
    wait(&one, "one follows", |health| health.copying == Copying::Following);
    let _second = copy(&other, &state, &server, "a");
    wait(&other, "the other waits", |health| health.copying == Copying::Elsewhere);
    let views = server.number(VIEWS);
    let process = server.number(IDLE);
    let asked = format!(
        "SELECT (extract(epoch FROM max(query_start)) * 1e6)::bigint FROM pg_stat_activity WHERE pid = {process}"
    );
    let mut times = BTreeSet::new();
    let begun = Instant::now();
    while times.len() < 4 {
        times.insert(server.number(&asked));
        assert_eq!(server.number(IDLE), process, "the same connection asks again");
        assert!(begun.elapsed() < PATIENCE, "it has asked {} times", times.len());
    }
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'inferometer'";
    assert_eq!((server.number(connections), server.number(VIEWS)), (2, views));
}
