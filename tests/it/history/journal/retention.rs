//! What is too old or too much goes, and what is really kept is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use inferometer::history::History;
use inferometer::history::journal::event::{Event, EventKind};
use inferometer::history::journal::kind::JournalKind;
use inferometer::history::journal::log_line::{LineSource, LogLine};
use inferometer::history::query::lists::{ListFilter, ListQuery};
use inferometer::history::settings::{Engine, Pace, Retention, Settings};
use inferometer::history::state::{HistoryHealth, KeptEntries};

use crate::history::faults::fresh;
use crate::history::{EVER, reading};
use crate::support::look_until;

const HOUR: u64 = 3_600;

/// So many lines, each of a kilobyte.
struct Lines(u32);

impl LineSource for Lines {
    fn next(&mut self) -> Option<LogLine> {
        self.0 = self.0.checked_sub(1)?;
        let message = format!("{} {}", self.0, "x".repeat(1_000)).into();
        Some(LogLine { at: 1 << 41, level: "info", component: "a".into(), message, fields: None })
    }

    fn lost(&self) -> u64 {
        7
    }
}

#[test]
fn events_go_by_age_and_by_number_and_lines_of_the_log_by_size() {
    let state = fresh("journal-retention");
    let retention = Retention {
        raw: Duration::from_secs(HOUR),
        raw_bytes: 1 << 30,
        minutes: Duration::from_secs(HOUR),
        hours: Duration::from_secs(HOUR),
        events: Duration::from_secs(HOUR),
        events_most: 5,
        jobs: Duration::from_secs(HOUR),
        logs: Duration::from_secs(HOUR),
        logs_bytes: 1 << 20,
    };
    let settings = Settings {
        engine: Engine::Sqlite,
        directory: Some(state.0.clone()),
        retention,
        raw_rate: 1_000,
        ..Settings::default()
    };
    let short = Duration::from_millis(20);
    let pace = Pace { drain: short, merge: short, retry: short, retain: short, sample: short };
    let ahead = Arc::<AtomicI64>::default();
    let clock = ahead.clone();
    let now = move || SystemTime::now() + Duration::from_secs(clock.load(Ordering::SeqCst).unsigned_abs());
    let history = History::with_pace(settings, Box::new(|_, _, _| None), pace, Box::new(now)).expect("a thread");
    let wait = |what: &str, fits: &dyn Fn(&HistoryHealth) -> bool| {
        look_until(|| {
            let health = history.state().health();
            if fits(&health) { Ok(()) } else { Err(format!("{what}: {health:?}")) }
        });
    };
    let kept = |health: &HistoryHealth, kind: JournalKind| health.entries[kind as usize];
    let journal = history.journal();
    let report = |subject: &str| journal.event(Event::new(EventKind::Started).about(subject));

    (0..3).for_each(|at| report(&at.to_string()));
    wait("written", &|health| kept(health, JournalKind::Event).count == 3);
    ahead.store(2 * HOUR as i64, Ordering::SeqCst);
    wait("too old", &|health| kept(health, JournalKind::Event) == KeptEntries::default());

    (0..12).for_each(|at| report(&at.to_string()));
    wait("too many", &|health| kept(health, JournalKind::Event).count == 5);
    let query = ListQuery { range: EVER, filter: ListFilter::default(), offset: 0, limit: 100 };
    let events = reading(&state.0).events(&query).expect("sound").entries;
    let subjects: Vec<_> = events.iter().filter_map(|event| event.subject.as_deref()).collect();
    assert_eq!(subjects, ["11", "10", "9", "8", "7"], "the newest stay");
    let oldest = kept(&history.state().health(), JournalKind::Event).oldest;
    assert_eq!(oldest, events.last().map(|event| event.at), "what is really kept is said");

    history.watch_log(Box::new(Lines(3_000)));
    let kept_lines = look_until(|| {
        let lines = reading(&state.0).log_lines(&query).expect("sound");
        let is_last = lines.entries.first().is_some_and(|line| line.message.starts_with("0 "));
        if is_last && lines.total <= 1_000 { Ok(lines.total) } else { Err(format!("{} lines", lines.total)) }
    });
    println!("{kept_lines} of 3,000 lines of a kilobyte are kept");
    assert!(kept_lines > 500, "not more goes than must");
    assert_eq!(history.state().health().entries_lost, [0, 0, 0, 7], "what the log itself has lost is counted here");
}
