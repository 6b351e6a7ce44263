//! The copy in PostgreSQL: a real server, as Debian has it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use inferometer::exchange::outcome::Outcome;
use inferometer::history::names::NameId;
use inferometer::history::query::series::{Interval, SeriesQuery};
use inferometer::history::query::{Exchange, Filter, PageQuery, TIME_LIMIT, TopQuery};
use inferometer::history::replica::{self, ReplicaThread};
use inferometer::history::rollup::Measure;
use inferometer::history::row::Row;
use inferometer::history::settings::Retention;
use inferometer::history::state::{Copying, HistoryHealth};
use inferometer::history::tops::TopBy;
use inferometer::history::{Directory, Reading};

use super::faults::{Kept, fresh};
use super::rows::{CHAT, ollama};
use super::{EVER, wait_for_rows};
use crate::support::client::ask;
use crate::support::postgres::Postgres;
use crate::support::program::{Program, STATE, State, command};
use crate::support::{PATIENCE, look_until};

/// Copies what is kept, at a pace for tests.
fn copy(kept: &Kept, state: &State, server: &Postgres, node: &str) -> ReplicaThread {
    copy_to(kept, state, server.server(), node)
}

fn copy_to(kept: &Kept, state: &State, server: inferometer::history::Server, node: &str) -> ReplicaThread {
    copy_at(Duration::from_millis(20), kept, state, server, node)
}

fn copy_at(
    pace: Duration,
    kept: &Kept,
    state: &State,
    server: inferometer::history::Server,
    node: &str,
) -> ReplicaThread {
    let day = Duration::from_secs(86_400);
    let retention =
        Retention { raw: 30 * day, raw_bytes: 1 << 30, minutes: 7 * day, hours: 400 * day, ..Retention::default() };
    let settings =
        replica::Settings { directory: Directory::within(&state.0), server, node: node.into(), retention, pace };
    replica::start(settings, kept.history.state()).expect("a thread")
}

fn wait_for(server: &Postgres, query: &str, wanted: i64) {
    let (mut begun, mut before) = (Instant::now(), 0);
    loop {
        let found = server.number(query);
        if found == wanted {
            return;
        }
        // As long as there is progress.
        if std::mem::replace(&mut before, found) != found {
            begun = Instant::now();
        }
        assert!(begun.elapsed() < PATIENCE, "{query} is {found}, not {wanted}");
        // The copy reports to nobody; each question goes to the server and back, which paces this.
        std::thread::yield_now();
    }
}

const ROWS: &str = "SELECT count(*) FROM inferometer.exchanges";

#[test]
fn three_replicas_in_one_database_have_every_exchange_once() {
    let server = Postgres::start();
    let states = [fresh("replica-a"), fresh("replica-b"), fresh("replica-c")];
    let kept: Vec<_> = states.iter().map(|state| Kept::within(&state.0)).collect();
    let copies: Vec<_> = kept
        .iter()
        .zip(&states)
        .zip(["a", "b", "c"])
        .map(|((it, state), node)| copy(it, state, &server, node))
        .collect();
    for (kept, times) in kept.iter().zip([3, 5, 7]) {
        kept.serve(times);
    }
    wait_for_table(&server);
    wait_for(&server, ROWS, 15);
    wait_for(&server, "SELECT coalesce(sum(requests), 0)::bigint FROM inferometer.rollups WHERE step = 3600", 15);
    let by_node = "SELECT count(*) FROM (SELECT node FROM inferometer.exchanges_named WHERE outcome = 'completed' \
                   AND endpoint = '/api/tags' GROUP BY node HAVING count(*) IN (3, 5, 7)) nodes";
    assert_eq!(server.number(by_node), 3);
    let plain = "SELECT count(*) FROM inferometer.rollups_named WHERE duration_p95 > 0 AND completed = requests";
    assert!(server.number(plain) >= 6, "percentiles are plain columns");

    // What the program asks is answered from there, of all replicas.
    let reading = Reading::new(Directory::within(&states[0].0), TIME_LIMIT).with_server(server.server());
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 10 };
    let page = reading.page(&query).expect("it answers");
    assert_eq!((page.exchanges.len(), page.total, page.has_more), (10, Ok(15), true));
    let rest = reading.page(&PageQuery { offset: 10, ..query.clone() }).expect("it answers");
    let all: BTreeSet<_> =
        page.exchanges.iter().chain(&rest.exchanges).map(|it| (it.id, it.row.trace.to_string())).collect();
    assert_eq!((all.len(), rest.has_more), (15, false), "each is on one page");
    let one = &page.exchanges[0];
    let found = reading.exchange(one.id).expect("it answers").expect("it is there");
    assert_eq!((found.endpoint.as_deref(), found.row.outcome), (Some("/api/tags"), Outcome::Completed));
    assert_eq!(reading.trace(one.row.trace).expect("it answers").len(), 1);
    let failed = Filter { failed: true, ..Filter::default() };
    assert_eq!(reading.page(&PageQuery { filter: failed, ..query }).expect("it answers").total, Ok(0));
    let top = TopQuery { range: EVER, filter: Filter::default(), by: TopBy::Duration, limit: 4 };
    let top: Vec<_> = reading.top(&top).expect("it answers").iter().map(|it| it.row.duration.micros()).collect();
    assert!(top.len() == 4 && top.windows(2).all(|pair| pair[0] >= pair[1]), "{top:?}");
    let hour = Interval::of_seconds(3600).expect("whole");
    let range = inferometer::history::query::Range { from: one.id.millis() - 7_200_000, to: one.id.millis() + 1 };
    let series = SeriesQuery { range, interval: hour, filter: Filter::default() };
    let series = reading.series(&series).expect("it answers").expect("few points");
    let points: Vec<_> = series.points.iter().flatten().collect();
    assert_eq!(points.iter().map(|sums| sums.requests).sum::<u64>(), 15);
    assert_eq!(points.iter().map(|sums| sums.sketch(Measure::Duration).count()).sum::<u64>(), 15);
    drop(copies);
}

#[test]
fn a_copy_equals_the_files_row_by_row() {
    let server = Postgres::start();
    let backend = ollama();
    let program = Program::with(backend.address, &["--history", &server.url()]);
    let fields = "User-Agent: tool/1.0\r\nX-Session-Id: a-session\r\nHost: localhost\r\n";
    ask(program.clients, CHAT.replacen("Host: localhost\r\n", fields, 1));
    ask(program.clients, CHAT);
    ask(program.clients, "GET /unknown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    wait_for_table(&server);
    wait_for(&server, ROWS, 3);
    let local = Reading::new(Directory::within(program.state()), TIME_LIMIT);
    // Without files, from which it would answer if the server did not.
    let remote = Reading::new(Directory::within(&fresh("replica-equal").0), TIME_LIMIT).with_server(server.server());
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 100 };
    let rows = |reading: &Reading| reading.page(&query).expect("it answers").exchanges;
    let (copied, kept) = (rows(&remote), rows(&local));
    let full = kept.last().expect("the oldest");
    assert!(full.row.parent.is_some() && full.row.conversation.is_some(), "{full:?}");
    assert_eq!((full.client.as_deref(), full.model.as_deref()), (Some("tool"), Some("llama3:latest")));
    assert_eq!((full.row.prompt.value(), full.row.messages.value()), (Some(5), Some(1)));
    assert!(full.row.decode.micros() == Some(9_000) && full.row.first_token.micros() > Some(0), "{full:?}");
    let text = |all: &[Exchange]| all.iter().map(without_numbers).collect::<Vec<_>>();
    assert_eq!(text(&copied), text(&kept));
}

/// All of an exchange but the numbers of its names, which each store gives by itself.
fn without_numbers(exchange: &Exchange) -> String {
    let none = NameId::NONE;
    let row = Row { backend: none, model: none, tenant: none, client: none, endpoint: none, ..exchange.row };
    format!("{:?}", Exchange { row, ..exchange.clone() })
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

fn wait(kept: &Kept, what: &str, wanted: impl Fn(&HistoryHealth) -> bool) {
    kept.wait(what, wanted);
}

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
    let _again = copy(&kept, &state, &server, "a");
    wait_for(&server, partitions, 4);
    wait_for(&server, "SELECT count(*) FROM inferometer.ran WHERE at < '2021-01-01'", 0);
}

#[test]
fn the_program_copies_to_a_url_in_a_file_and_shows_no_password() {
    let server = Postgres::start();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-url-{}", std::process::id()));
    std::fs::write(&file, format!("{}\n", server.url())).expect("it can be written");
    let backend = ollama();
    let argument = format!("file:{}", file.display());
    let program = Program::with(backend.address, &["--history", &argument]);
    ask(program.clients, CHAT);
    wait_for_rows(program.state(), 1);
    let begun = Instant::now();
    while program.metric("history_replica_rows_total", &[]) < 1.0 {
        assert!(begun.elapsed() < PATIENCE, "{}", program.fetch("/health"));
        std::thread::yield_now();
    }
    wait_for(&server, ROWS, 1);
    assert!(program.metric("history_replica_synced_timestamp_seconds", &[]) > 1.7e9);
    let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
    assert_eq!(health["history"]["replica"]["status"], "following");

    let mut check = command();
    check.args(["--history", "file:/nowhere/url", "--check-config"]);
    let checked = check.output().expect("it runs");
    assert!(
        !checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("/nowhere/url"),
        "{checked:?}"
    );
    let mut print = command();
    print.env(STATE, program.state()).args(["--history", &server.url(), "--print-config"]);
    let printed = String::from_utf8(print.output().expect("it runs").stdout).expect("text");
    assert!(printed.contains("postgres://inferometer:***@") && !printed.contains("never-shown"), "{printed}");
    let mut forget = command();
    forget.env(STATE, program.state()).args(["history", "forget", "--model", "llama3:latest", "--history", &argument]);
    let said = forget.output().expect("it runs");
    assert!(said.status.success(), "{said:?}");
    wait_for(&server, ROWS, 0);
    wait_for(&server, "SELECT count(*) FROM inferometer.names WHERE name LIKE 'llama3%'", 0);
    std::fs::write(&file, "postgres://u:never?shown@h/db\n").expect("it can be written");
    let mut check = command();
    let checked = check.args(["--history", &argument, "--check-config"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("%3F") && !said.contains("never"), "{said}");
    let _ = std::fs::remove_file(file);
}

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

fn wait_for_table(server: &Postgres) {
    wait_for(server, "SELECT count(*) FROM pg_tables WHERE schemaname = 'inferometer' AND tablename = 'exchanges'", 1);
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

/// The views, by a number that changes where one is made again.
const VIEWS: &str = "SELECT sum(oid::bigint)::bigint FROM pg_class WHERE relkind = 'v' AND relname LIKE '%\\_named'";

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

#[test]
fn a_server_that_accepts_and_is_silent_holds_up_neither_questions_nor_the_copy() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("postgres://u:never-shown@{}/db", silent.local_addr().expect("it has one"));
    let state = fresh("replica-silent");
    let kept = Kept::within(&state.0);
    kept.serve(3);
    wait_for_rows(&state.0, 3);
    let server = crate::support::postgres::server_at(&url);
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
