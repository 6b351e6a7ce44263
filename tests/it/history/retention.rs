//! Too much and too old is removed, and what is really kept is said.

use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::history::query::PageQuery;
use inferometer::history::{Day, Directory};
use rustix::process::Signal;

use super::faults::{Kept, fresh};
use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::client::ask;
use crate::support::program::{Program, STATE, command};

fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch");
    Day::of(i64::try_from(now.as_millis()).expect("a date"))
}

#[test]
fn days_beyond_their_age_are_removed_and_the_oldest_row_is_shown() {
    let backend = ollama();
    let mut first = Program::before(backend.address);
    ask(first.clients, CHAT);
    wait_for_rows(first.state(), 1);
    let state = first.state().to_owned();
    first.signal(Signal::TERM);
    assert!(first.ended().success());
    // Days of other months: copies of today's.
    let directory = Directory::within(&state);
    for age in [40, 31, 12] {
        std::fs::copy(directory.day(today()), directory.day(Day(today().0 - age))).expect("it can be copied");
    }
    let mut again = command();
    again.env(STATE, &state);
    let program = Program::start(again, backend.address, &[]);
    program.wait_for("history_paused", &[], 0.0);
    let begun = std::time::Instant::now();
    while directory.days().len() > 2 {
        assert!(begun.elapsed() < crate::support::PATIENCE, "{:?} are kept", directory.days());
        std::thread::yield_now();
    }
    assert_eq!(directory.days(), [Day(today().0 - 12), today()]);
    program.wait_for_history();
    assert!(program.metric("history_oldest_row_timestamp_seconds", &[]) > 1.7e9);
}

#[test]
fn a_day_that_fills_its_size_alone_gets_no_more_rows_and_is_summed_on() {
    let state = fresh("size");
    let kept = Kept::sized(&state.0, 100_000);
    let mut asked = 0;
    let begun = std::time::Instant::now();
    while kept.history.state().health().lost() == 0 {
        assert!(begun.elapsed() < crate::support::PATIENCE, "{:?}", kept.history.state().health());
        kept.serve(20);
        asked += 20;
    }
    drop(kept);
    let directory = Directory::within(&state.0);
    let bytes = directory.day_bytes(directory.days()[0]);
    let reading = super::reading(&state.0);
    let summed: u64 = reading.totals(super::EVER).expect("sound").totals.iter().map(|it| it.sums.requests).sum();
    println!("{asked} exchanges leave a file of {bytes} bytes");
    assert_eq!(summed, asked, "sums have all of them");
    let listed = |offset| {
        let filter = inferometer::history::query::Filter::default();
        reading.page(&PageQuery { range: super::EVER, filter, offset, limit: 100 }).expect("sound")
    };
    let (mut pages, mut rows) = (0, 0);
    loop {
        let page = listed(100 * pages);
        rows += page.exchanges.iter().map(|it| u64::from(it.weight)).sum::<u64>();
        pages += 1;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(listed(0).total, Ok(rows), "what has no row is not promised");
}
