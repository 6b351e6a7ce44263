//! A storm of clients with fates of their own: the rows are what the clients counted, exchange by exchange.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use inferometer::exchange::outcome::Outcome;
use inferometer::exchange::vocabulary::Source;
use inferometer::history::Coded;
use inferometer::history::conversation::ConversationId;
use inferometer::history::query::series::{DurationsOf, Interval, SeriesQuery};
use inferometer::history::query::{Exchange, Filter, PageQuery, Range};
use inferometer::history::rollup::Sums;
use rustix::process::Signal;

use super::{EVER, reading};
use crate::storm::{Arrivals, Counted, Fate, LANES, MESSAGES, backend, product, trace, wave};
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
    let expected = lived.iter().filter(|lived| lived.fate.outcome().is_some()).count();
    assert_eq!(rows.len(), expected, "each exchange once");
    let mut outcomes: HashMap<&str, u64> = HashMap::new();
    let mut all = Counted::default();
    let mut conversations: HashMap<u64, HashSet<ConversationId>> = HashMap::new();
    for lived in lived {
        let Some(outcome) = lived.fate.outcome() else { continue };
        let found = rows.get(&trace(lived.number)).unwrap_or_else(|| panic!("{lived:?} has no row"));
        let row = &found.row;
        assert_eq!(row.outcome.word(), outcome, "{lived:?}");
        *outcomes.entry(outcome).or_default() += 1;
        let events = row.events.value().expect("counted");
        // Of what broke off, the pieces that came.
        let is_stated = row.sources[1] != Some(Source::Chunks);
        assert!(is_stated || row.generated.value() == Some(events), "{lived:?}");
        let kept = Counted {
            sent: row.request_bytes,
            received: row.response_bytes,
            events,
            generated: row.generated.value().filter(|_| is_stated),
        };
        assert_eq!(kept, lived.counted, "{lived:?}");
        all.sent += kept.sent;
        all.received += kept.received;
        all.events += kept.events;
        all.generated = Some(all.generated.unwrap_or(0) + row.generated.value().unwrap_or(0));
        // All but one send whole bodies.
        let messages = (lived.fate != Fate::BadChunk).then_some(MESSAGES);
        assert_eq!(
            (found.client.as_deref(), row.messages.value()),
            (Some(&*product(lived.lane)), messages),
            "{lived:?}"
        );
        conversations.entry(lived.lane).or_default().extend(row.conversation());
    }
    let distinct: HashSet<_> = conversations.values().flatten().collect();
    assert!(conversations.values().all(|ids| ids.len() == 1), "one for each client: {conversations:?}");
    assert_eq!((conversations.len() as u64, distinct.len() as u64), (LANES, LANES));
    let range = Range { from: 0, to: i64::from(u32::MAX) * 1000 };
    let interval = Interval::of_seconds(86_400 * 365).expect("whole");
    let query = SeriesQuery { range, interval, filter: Filter::default(), durations: DurationsOf::All };
    let series = reading(program.state()).series(&query).expect("sound").expect("few points");
    let mut sums = Sums::default();
    series.points.iter().flatten().for_each(|point| sums.merge(point));
    assert_eq!((sums.bytes_in, sums.bytes_out, sums.generated), (all.sent, all.received, all.generated), "the sums");
    for (outcome, count) in outcomes {
        let filter = Filter { outcome: Outcome::from_word(outcome), ..Filter::default() };
        let page =
            reading(program.state()).page(&PageQuery { range: EVER, filter, offset: 0, limit: 1 }).expect("sound");
        assert_eq!(page.total, Ok(count), "the sums of {outcome}");
    }
    println!("{expected} exchanges, each with its outcome, tokens, bytes and client: {all:?}");
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
