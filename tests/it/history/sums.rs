//! Sums, percentiles, pages and lists say what the exchanges were.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use inferometer::exchange::outcome::Outcome;
use inferometer::history::Directory;
use inferometer::history::query::series::{DurationsOf, Interval, SeriesQuery};
use inferometer::history::query::{Filter, NoTotal, PageQuery, Range, TopQuery};
use inferometer::history::rollup::{Measure, Step};
use inferometer::history::tops::TopBy;
use rustix::process::Signal;

use super::faults::{Kept, fresh};
use super::rows::{CHAT, ollama};
use super::{EVER, page, reading, wait_for_rows};
use crate::support::client::ask;
use crate::support::program::Program;

/// In milliseconds.
const HOUR: i64 = 3_600_000;

const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn today() -> Range {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after the epoch");
    let now = i64::try_from(now.as_millis()).expect("a date");
    Range { from: now - 3 * 3_600_000, to: now + 60_000 }
}

fn minutes(filter: Filter) -> SeriesQuery {
    SeriesQuery {
        range: today(),
        interval: Interval::of_seconds(60).expect("a minute"),
        filter,
        durations: DurationsOf::All,
    }
}

#[test]
fn sums_by_minute_and_by_hour_are_those_of_the_exchanges_as_soon_as_these_are_read() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    (0..6).for_each(|_| drop(ask(program.clients, CHAT)));
    (0..4).for_each(|_| drop(ask(program.clients, NOWHERE)));
    let rows = wait_for_rows(program.state(), 10).exchanges;
    // At once, before the writer has merged its sums, and once it has ended.
    for is_over in [false, true] {
        if is_over {
            program.signal(Signal::TERM);
            assert!(program.ended().success());
        }
        let reading = reading(program.state());
        for seconds in [60, 3_600] {
            let interval = Interval::of_seconds(seconds).expect("whole");
            let query = SeriesQuery { interval, ..minutes(Filter::default()) };
            let series = reading.series(&query).expect("sound").expect("few points");
            let mut all = inferometer::history::rollup::Sums::default();
            series.points.iter().flatten().for_each(|sums| all.merge(sums));
            assert_eq!((all.requests, all.started), (10, 10), "by {seconds} s");
            assert_eq!(all.by_outcome[Outcome::Completed as usize], 6);
            assert_eq!(all.by_outcome[Outcome::HttpError as usize], 4);
            assert_eq!((all.prompt, all.generated, all.cached, all.cost), (Some(30), Some(18), None, None));
            assert_eq!(all.cached_of, None, "no exchange reports cached tokens");
            let bytes = |of: fn(&inferometer::history::row::Row) -> u64| rows.iter().map(|it| of(&it.row)).sum::<u64>();
            assert_eq!(
                (all.bytes_in, all.bytes_out),
                (bytes(|row| row.request_bytes), bytes(|row| row.response_bytes))
            );
            let busy: u64 = rows.iter().filter_map(|it| it.row.duration.micros()).sum();
            assert!(all.busy_us.abs_diff(busy) <= 10_000, "{} of {busy}", all.busy_us);
            assert_eq!((all.sketch(Measure::Duration).count(), all.sketch(Measure::FirstToken).count()), (6, 6));
            assert_eq!((all.client_errors, all.failed()), (4, 0), "by {seconds} s");
            let timed = rows.iter().filter(|it| it.row.status < 400);
            let longest = timed.filter_map(|it| it.row.duration.seconds()).fold(0.0, f64::max);
            assert_eq!(all.sketch(Measure::Duration).quantile(1.0), Some(longest));
            assert!(series.points.iter().any(Option::is_none), "before the start nothing is known");
        }
        let chats = Filter { model: Some("llama3:latest".into()), ..Filter::default() };
        let series = reading.series(&minutes(chats)).expect("sound").expect("few points");
        assert_eq!(series.points.iter().flatten().map(|sums| sums.requests).sum::<u64>(), 6);
    }
}

#[test]
fn a_page_says_how_many_there_are_wherever_the_sums_know_it() {
    let backend = ollama();
    let program = Program::before(backend.address);
    (0..5).for_each(|_| drop(ask(program.clients, CHAT)));
    (0..7).for_each(|_| drop(ask(program.clients, NOWHERE)));
    wait_for_rows(program.state(), 12);
    let reading = reading(program.state());
    let total =
        |filter: Filter, range| reading.page(&PageQuery { range, filter, offset: 0, limit: 3 }).expect("sound").total;
    for range in [EVER, today()] {
        assert_eq!(total(Filter::default(), range), Ok(12));
        assert_eq!(total(Filter { outcome: Some(Outcome::HttpError), ..Filter::default() }, range), Ok(7));
        assert_eq!(total(Filter { failed: true, ..Filter::default() }, range), Ok(7));
        assert_eq!(total(Filter { model: Some("llama3:latest".into()), ..Filter::default() }, range), Ok(5));
        assert_eq!(total(Filter { model: Some("other".into()), ..Filter::default() }, range), Ok(0));
        assert_eq!(
            total(Filter { endpoint: Some("other".into()), ..Filter::default() }, range),
            Err(NoTotal::NotSummed)
        );
    }
    let mut ids = Vec::new();
    for offset in (0..12).step_by(5) {
        let page =
            reading.page(&PageQuery { range: EVER, filter: Filter::default(), offset, limit: 5 }).expect("sound");
        assert_eq!(page.has_more, offset < 10);
        ids.extend(page.exchanges.iter().map(|it| it.id));
    }
    assert_eq!(ids, page(program.state(), Filter::default()).exchanges.iter().map(|it| it.id).collect::<Vec<_>>());
    // A range that begins between two of them, and is no whole minute.
    let middle = Range { from: ids[6].millis(), ..EVER };
    let newer = ids.iter().filter(|id| id.millis() >= middle.from).count() as u64;
    assert_eq!(total(Filter::default(), middle), Ok(newer));
}

#[test]
fn the_longest_and_the_largest_are_found() {
    let backend = ollama();
    let program = Program::before(backend.address);
    (0..3).for_each(|_| drop(ask(program.clients, CHAT)));
    (0..3).for_each(|_| drop(ask(program.clients, NOWHERE)));
    let mut rows = wait_for_rows(program.state(), 6).exchanges;
    rows.sort_by_key(|it| std::cmp::Reverse((it.row.duration.micros(), it.id)));
    let reading = reading(program.state());
    let top = |by, filter: Filter| {
        let query = TopQuery { range: EVER, filter, by, limit: 4 };
        reading.top(&query).expect("sound").iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(top(TopBy::Duration, Filter::default()), rows.iter().take(4).map(|it| it.id).collect::<Vec<_>>());
    assert_eq!(top(TopBy::Tokens, Filter::default()).len(), 3, "what has no tokens is not among them");
    assert_eq!(top(TopBy::Cost, Filter::default()).len(), 0);
    assert_eq!(top(TopBy::Duration, Filter { failed: true, ..Filter::default() }).len(), 3);
}

#[test]
fn lists_of_days_that_were_removed_keep_no_place_from_others() {
    let state = fresh("tops-removed");
    let kept = Kept::within(&state.0);
    kept.offset.store(-2 * HOUR, Ordering::SeqCst);
    kept.serve(2);
    wait_for_rows(&state.0, 2);
    kept.offset.store(0, Ordering::SeqCst);
    kept.serve(1);
    let ids: BTreeSet<_> = wait_for_rows(&state.0, 3).exchanges.iter().map(|it| it.id).collect();
    drop(kept);
    let main = rusqlite::Connection::open(Directory::within(&state.0).main()).expect("a file");
    // The longest of all, on a day that has no file any more.
    let removed = "INSERT INTO tops (at, measure, value, exchange) \
                   SELECT at - 259200 * 1000, measure, value + 1000000000, exchange - ((259200 * 1000) << 20) \
                   FROM tops WHERE measure = 'duration'";
    assert!(main.execute(removed, []).expect("it can be changed") >= 2);
    let query = TopQuery { range: EVER, filter: Filter::default(), by: TopBy::Duration, limit: 3 };
    let found = reading(&state.0).top(&query).expect("sound");
    assert_eq!(found.iter().map(|it| it.id).collect::<BTreeSet<_>>(), ids);
}

#[test]
fn the_machine_is_read_and_its_means_are_kept() {
    let backend = ollama();
    let mut program = Program::before(backend.address);
    // The first reading is taken at the start; more of it is known once every source was read.
    program.wait_for("history_paused", &[], 0.0);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let reading = reading(program.state());
    for step in Step::ALL {
        let points = reading.machine(step, EVER).expect("sound");
        assert!(points.iter().all(|point| point.means.count > 0 && !point.node.is_empty()), "{points:?}");
    }
}
