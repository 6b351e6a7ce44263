//! A storm of clients with fates of their own: the rows are what the clients counted, exchange by exchange.

use std::collections::HashMap;
use std::sync::Arc;

use inferometer::exchange::outcome::Outcome;
use inferometer::history::Coded;
use inferometer::history::query::{Exchange, Filter, PageQuery};
use rustix::process::Signal;

use super::{EVER, reading};
use crate::storm::{Arrivals, BODY, Fate, backend, trace, wave};
use crate::support::alone;
use crate::support::program::{Program, command};

#[test]
fn the_rows_of_a_storm_are_what_its_clients_counted() {
    let _alone = alone();
    let arrivals = Arc::new(Arrivals::default());
    let backend = backend(arrivals.clone());
    // Every row is kept, however many come at once.
    let toml = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("storm-{}.toml", std::process::id()));
    let text =
        format!("backend = \"test=http://{}\"\nhistory_raw_rate = 1000000\naccess_log = \"off\"\n", backend.address);
    std::fs::write(&toml, text).expect("it can be written");
    let mut program = Program::configured(command(), &toml);
    let lived = wave(program.clients, &arrivals, 0);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let _ = std::fs::remove_file(&toml);

    let rows = all(program.state());
    let expected = lived.iter().filter(|(fate, _)| fate.outcome().is_some()).count();
    assert_eq!(rows.len(), expected, "each exchange once");
    let mut outcomes: HashMap<&str, u64> = HashMap::new();
    for (fate, number) in lived {
        let Some(outcome) = fate.outcome() else { continue };
        let row = rows.get(&trace(number)).unwrap_or_else(|| panic!("{fate:?} {number} has no row"));
        assert_eq!(row.row.outcome.word(), outcome, "{fate:?} {number}");
        *outcomes.entry(outcome).or_default() += 1;
        let (generated, bytes) = (row.row.generated.value(), (row.row.request_bytes, row.row.response_bytes));
        match fate {
            Fate::Whole | Fate::WholeAgain => {
                assert_eq!((generated, bytes.0), (Some(3), BODY.len() as u64), "{number}")
            }
            Fate::SlowReader => assert_eq!((generated, row.row.events.value()), (Some(3), Some(100)), "{number}"),
            Fate::NotFound => assert_eq!((generated, bytes), (None, (BODY.len() as u64, 2)), "{number}"),
            Fate::Truncated | Fate::CutMidStream | Fate::LeavesInDecode => {
                assert_eq!((generated, row.row.events.value()), (None, Some(1)), "{fate:?} {number}");
            }
            _ => {}
        }
    }
    for (outcome, count) in outcomes {
        let filter = Filter { outcome: Outcome::from_word(outcome), ..Filter::default() };
        let page =
            reading(program.state()).page(&PageQuery { range: EVER, filter, offset: 0, limit: 1 }).expect("sound");
        assert_eq!(page.total, Ok(count), "the sums of {outcome}");
    }
    println!("{expected} exchanges, each with its outcome, tokens and bytes");
}

/// Every row, by its trace.
fn all(state: &std::path::Path) -> HashMap<String, Exchange> {
    let (reading, mut rows) = (reading(state), HashMap::new());
    loop {
        let query = PageQuery { range: EVER, filter: Filter::default(), offset: rows.len(), limit: 100 };
        let page = reading.page(&query).expect("sound");
        rows.extend(page.exchanges.into_iter().map(|it| (it.row.trace.to_string(), it)));
        if !page.has_more {
            return rows;
        }
    }
}
