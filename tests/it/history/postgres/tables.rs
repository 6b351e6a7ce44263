//! The tables, partitions and views of the database.

use super::{ROWS, copy, wait_for, wait_for_table};
use crate::history::faults::{Kept, fresh};
use crate::support::postgres::Postgres;

#[test]
fn what_is_too_old_is_removed_by_dropping_days() {
    let server = Postgres::start();
    let state = fresh("replica-old");
    let kept = Kept::within(&state.0);
    kept.serve(1);
    let follows = copy(&kept, &state, &server, "a");
    wait_for_table(&server);
    wait_for(&server, ROWS, 1);
    drop(follows);
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'inferometer.exchanges'::regclass";
    assert_eq!(server.number(partitions), 4, "today and three days ahead");
    server.execute(
        "CREATE TABLE inferometer.exchanges_2020_01_01 PARTITION OF inferometer.exchanges \
         FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')",
    );
    server.execute("INSERT INTO inferometer.ran (replica, step, at) VALUES (7, 60, '2020-01-01')");
    server.execute("INSERT INTO inferometer.events (replica, id, at) VALUES (7, 1, '2020-01-01')");
    server.execute("INSERT INTO inferometer.jobs (replica, id, started) VALUES (7, 1, '2020-01-01')");
    server.execute("INSERT INTO inferometer.host (replica, step, at, node) VALUES (7, 60, '2020-01-01', 'n')");
    let _again = copy(&kept, &state, &server, "a");
    wait_for(&server, partitions, 4);
    for (table, at) in [("ran", "at"), ("events", "at"), ("jobs", "started"), ("host", "at")] {
        wait_for(&server, &format!("SELECT count(*) FROM inferometer.{table} WHERE {at} < '2021-01-01'"), 0);
    }
}

/// The views, by a number that changes where one is made again.
pub(super) const VIEWS: &str =
    "SELECT sum(oid::bigint)::bigint FROM pg_class WHERE relkind = 'v' AND relname LIKE '%\\_named'";

#[test]
fn a_restart_leaves_views_grants_and_what_others_built_and_waits_for_no_reader() {
    let server = Postgres::start();
    let state = fresh("replica-views");
    let kept = Kept::within(&state.0);
    kept.serve(1);
    let first = copy(&kept, &state, &server, "a");
    wait_for_table(&server);
    wait_for(&server, ROWS, 1);
    drop(first);
    server.execute(
        "CREATE ROLE reader; GRANT SELECT ON inferometer.exchanges_named TO reader;
         CREATE VIEW public.of_others AS SELECT * FROM inferometer.exchanges_named",
    );
    let granted = "SELECT has_table_privilege('reader', 'inferometer.exchanges_named', 'SELECT')::integer::bigint";
    let (views, was_granted) = (server.number(VIEWS), server.number(granted));
    // As a dump does.
    let dump = server.begin(
        "LOCK TABLE inferometer.exchanges, inferometer.rollups, inferometer.exchanges_named, inferometer.rollups_named \
         IN ACCESS SHARE MODE",
    );
    let _again = copy(&kept, &state, &server, "a");
    kept.serve(2);
    wait_for(&server, ROWS, 3);
    drop(dump);
    assert_eq!((server.number(VIEWS), server.number(granted), was_granted), (views, 1, 1));
}
