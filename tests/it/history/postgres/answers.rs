//! What the program asks is answered from the database.

use std::collections::BTreeSet;

use inferometer::exchange::outcome::Outcome;
use inferometer::history::names::NameId;
use inferometer::history::query::series::{DurationsOf, Interval, SeriesQuery};
use inferometer::history::query::{Exchange, Filter, PageQuery, Range, Source, TIME_LIMIT, TopQuery};
use inferometer::history::readers::Readers;
use inferometer::history::rollup::Measure;
use inferometer::history::row::Row;
use inferometer::history::tops::TopBy;
use inferometer::history::{Directory, Reading};

use super::{ROWS, copy, wait_for, wait_for_table};
use crate::history::EVER;
use crate::history::faults::{Kept, fresh};
use crate::history::rows::{CHAT, ollama};
use crate::support::client::ask;
use crate::support::postgres::Postgres;
use crate::support::program::{Program, State};

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
    let range = Range { from: one.id.millis() - 7_200_000, to: one.id.millis() + 1 };
    let series = SeriesQuery { range, interval: hour, filter: Filter::default(), durations: DurationsOf::All };
    let series = reading.series(&series).expect("it answers").expect("few points");
    let points: Vec<_> = series.points.iter().flatten().collect();
    assert_eq!(points.iter().map(|sums| sums.requests).sum::<u64>(), 15);
    assert_eq!(points.iter().map(|sums| sums.sketch(Measure::Duration).count()).sum::<u64>(), 15);
    drop(copies);

    // Hours whose minutes are gone, on the database alone.
    server.execute(
        "INSERT INTO inferometer.ran SELECT replica, step, at - interval '20 days' FROM inferometer.ran WHERE step = 3600",
    );
    let fitting = |days: i64| {
        let from = one.id.millis() - days * 86_400_000;
        reading.fitting(Range { from, to: from + 86_400_000 }, 120).expect("it answers").seconds()
    };
    assert_eq!([20, 1].map(fitting), [3_600, 1_800]);
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

/// The number that a name has, once its transaction is committed.
const LATE: i32 = 1_000;

#[test]
fn a_name_that_was_committed_after_later_ones_is_shown() {
    let server = Postgres::start();
    let state = fresh("replica-late-name");
    let kept = Kept::within(&state.0);
    let _copy = copy(&kept, &state, &server, "a");
    kept.serve(1);
    wait_for_table(&server);
    wait_for(&server, ROWS, 1);
    let reading = Reading::new(Directory::within(&state.0), TIME_LIMIT).with_server(server.server());
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 1 };
    let model = || reading.page(&query).expect("it answers").exchanges[0].model.clone();
    // Another replica has a number, and has not committed it; a later number is there, and the reader knows it.
    let name = |number: i32, name: &str| {
        format!(
            "INSERT INTO inferometer.names (id, kind, name) OVERRIDING SYSTEM VALUE VALUES ({number}, 'model', '{name}')"
        )
    };
    let mut late = server.begin(&name(LATE, "late"));
    server.execute(&name(LATE + 1, "early"));
    let uses = |number: i32| server.execute(&format!("UPDATE inferometer.exchanges SET model = {number}"));
    uses(LATE + 1);
    assert_eq!(model().as_deref(), Some("early"));
    late.batch_execute("COMMIT").expect("it can be committed");
    uses(LATE);
    assert_eq!(model().as_deref(), Some("late"));
    // A name that is forgotten is shown nowhere any more.
    server.execute(&format!("UPDATE inferometer.names SET name = 'forgotten {LATE}' WHERE id = {LATE}"));
    assert_eq!(model(), Some(format!("forgotten {LATE}").into()));
}

#[test]
fn an_id_that_two_replicas_gave_is_this_machines_exchange() {
    let server = Postgres::start();
    let (one, other) = (fresh("replica-id-one"), fresh("replica-id-other"));
    let kept = [Kept::within(&one.0), Kept::within(&other.0)];
    let _copies = [copy(&kept[0], &one, &server, "a"), copy(&kept[1], &other, &server, "b")];
    kept[0].serve(1);
    wait_for_table(&server);
    wait_for(&server, ROWS, 1);
    let reading = |state: &State| Reading::new(Directory::within(&state.0), TIME_LIMIT).with_server(server.server());
    let (here, there) = (reading(&one), reading(&other));
    let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 1 };
    let id = here.page(&query).expect("it answers").exchanges[0].id;
    // The other's exchange with the same id, which took another time.
    let columns = "at, replica, id, weight, trace, method, dialect, operation, status, outcome, phase, flags, sources, attempts, \
                   request_bytes, response_bytes";
    let number = std::fs::read_to_string(other.0.join("history/replica")).expect("it has a number");
    let number: i32 = number.trim().parse().expect("a number");
    server.execute(&format!(
        "INSERT INTO inferometer.exchanges ({columns}, duration_us) SELECT {}, 77 FROM inferometer.exchanges",
        columns.replace("replica", &number.to_string())
    ));
    let duration =
        |reading: &Reading| reading.exchange(id).expect("it answers").expect("it is there").row.duration.micros();
    assert_eq!(duration(&there), Some(77));
    assert_ne!(duration(&here), Some(77));
    // A machine without an exchange of that id gets another's.
    let neither = fresh("replica-id-neither");
    assert!(reading(&neither).exchange(id).expect("it answers").is_some());
}

#[test]
fn an_answer_says_where_it_came_from() {
    let mut server = Postgres::start();
    let state = fresh("replica-source");
    let kept = Kept::within(&state.0);
    let follows = copy(&kept, &state, &server, "a");
    kept.serve(1);
    wait_for_table(&server);
    wait_for(&server, ROWS, 1);
    drop(follows);
    let directory = Directory::within(&state.0);
    let page = |reading: &Reading| {
        let query = PageQuery { range: EVER, filter: Filter::default(), offset: 0, limit: 1 };
        reading.page(&query).expect("one of them answers").exchanges.len()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let ask = |readers: &Readers| runtime.block_on(readers.ask_with_source(page)).expect("few wait");
    let readers = Readers::start(&directory, Some(&server.server())).expect("threads");
    assert_eq!(ask(&readers), (1, Source::Postgres));
    server.crash();
    assert_eq!(ask(&readers), (1, Source::Fallback));
    assert_eq!(ask(&Readers::start(&directory, None).expect("threads")), (1, Source::Files));
    let words = [Source::Files, Source::Postgres, Source::Fallback].map(Source::as_str);
    assert_eq!(words, ["files", "postgres", "fallback"]);
}
