//! The copy in PostgreSQL: a real server, as Debian has it.

mod absence;
mod answers;
mod directory;
mod lists;
mod processes;
mod program;
mod tables;
mod tls;

use std::time::{Duration, Instant};

use inferometer::history::replica::{self, ReplicaThread};
use inferometer::history::settings::Retention;
use inferometer::history::state::HistoryHealth;
use inferometer::history::{Directory, Server};

use super::faults::Kept;
use crate::support::PATIENCE;
use crate::support::postgres::Postgres;
use crate::support::program::State;

/// Copies what is kept, at a pace for tests.
fn copy(kept: &Kept, state: &State, server: &Postgres, node: &str) -> ReplicaThread {
    copy_to(kept, state, server.server(), node)
}

fn copy_to(kept: &Kept, state: &State, server: Server, node: &str) -> ReplicaThread {
    copy_at(Duration::from_millis(20), kept, state, server, node)
}

fn copy_at(pace: Duration, kept: &Kept, state: &State, server: Server, node: &str) -> ReplicaThread {
    let day = Duration::from_secs(86_400);
    let retention = Retention {
        raw: 30 * day,
        raw_bytes: 1 << 30,
        minutes: 7 * day,
        hours: 400 * day,
        events: day,
        jobs: day,
        ..Retention::default()
    };
    let settings = replica::Settings {
        directory: Directory::within(&state.0),
        server,
        instance: None,
        node: node.into(),
        retention,
        pace,
    };
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

fn wait_for_table(server: &Postgres) {
    wait_for(server, "SELECT count(*) FROM pg_tables WHERE schemaname = 'inferometer' AND tablename = 'exchanges'", 1);
}

fn wait(kept: &Kept, what: &str, wanted: impl Fn(&HistoryHealth) -> bool) {
    kept.wait(what, wanted);
}
