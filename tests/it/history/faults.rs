//! Whatever happens to the files: the program serves on, says what is wrong, counts what was lost, and goes on by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use inferometer::history::query::Filter;
use inferometer::history::recorder::ConfirmModel;
use inferometer::history::settings::{Engine, Pace, Retention, Settings};
use inferometer::history::state::{Activity, HistoryHealth, Pause};
use inferometer::history::{Directory, History};

use super::{page, wait_for_rows};
use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::State;
use crate::support::rig::{Options, Rig};
use crate::support::small_disk::SmallDisk;

const GET: &str = "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A history at a pace for tests, behind a proxy of its own. The offset of its clock can be changed.
pub(super) struct Kept {
    pub(super) history: History,
    rig: Rig,
    pub(super) offset: Arc<AtomicI64>,
    _backend: Backend,
}

impl Kept {
    pub(super) fn within(directory: &Path) -> Self {
        Self::sized(directory, 1 << 30)
    }

    /// With this much room for exchanges, in bytes.
    pub(super) fn sized(directory: &Path, raw_bytes: u64) -> Self {
        let offset = Arc::<AtomicI64>::default();
        let history = with_clock(settings(directory, raw_bytes), Box::new(|_, _, _| None), offset.clone());
        let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let options = Options { extra: vec![Arc::new(history.recorder())], ..Options::default() };
        Self { rig: Rig::with(backend.address, options), history, offset, _backend: backend }
    }

    /// A request, and that it was answered.
    pub(super) fn serve(&self, times: usize) {
        for _ in 0..times {
            assert!(ask(self.rig.address, GET).ends_with("ok"), "it serves");
        }
    }

    pub(super) fn wait(&self, what: &str, wanted: impl Fn(&HistoryHealth) -> bool) -> HistoryHealth {
        let begun = Instant::now();
        loop {
            let health = self.history.state().health();
            if wanted(&health) {
                return health;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {health:?}");
            std::thread::yield_now();
        }
    }

    fn wait_for_pause(&self, wanted: Pause) {
        let is_paused =
            |health: &HistoryHealth| matches!(health.activity, Activity::Paused(pause, _) if pause == wanted);
        self.wait(wanted.as_str(), is_paused);
    }

    fn wait_for_writing(&self) {
        self.wait("writing", |health| health.activity == Activity::Writing);
    }
}

/// Settings for tests, with this much room for exchanges, in bytes.
pub(super) fn settings(directory: &Path, raw_bytes: u64) -> Settings {
    Settings {
        engine: Engine::Sqlite,
        directory: Some(directory.into()),
        instance: None,
        retention: Retention {
            raw: Duration::from_secs(30 * 86_400),
            raw_bytes,
            minutes: Duration::from_secs(86_400),
            hours: Duration::from_secs(86_400),
            events: Duration::from_secs(86_400),
            events_most: 1_000,
            jobs: Duration::from_secs(86_400),
            logs: Duration::from_secs(86_400),
            logs_bytes: 1 << 20,
        },
        raw_rate: 1_000_000,
    }
}

/// A history at a pace for tests, with a clock that is so many milliseconds ahead.
pub(super) fn with_clock(settings: Settings, confirm: ConfirmModel, clock: Arc<AtomicI64>) -> History {
    let short = Duration::from_millis(20);
    let pace = Pace { drain: short, merge: short, retry: short, retain: short, sample: short };
    let now = move || {
        let offset = clock.load(Ordering::SeqCst);
        let ahead = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 { SystemTime::now() - ahead } else { SystemTime::now() + ahead }
    };
    History::with_pace(settings, confirm, pace, Box::new(now)).expect("a thread")
}

/// A directory that is not there yet.
pub(super) fn fresh(name: &str) -> State {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    State(path)
}

#[test]
fn a_file_that_is_damaged_is_put_aside_and_a_new_one_begins() {
    for (name, file) in [("main", "main.db"), ("day", "exchanges")] {
        let state = fresh(&format!("damaged-{name}"));
        let kept = Kept::within(&state.0);
        kept.serve(3);
        wait_for_rows(&state.0, 3);
        drop(kept);
        let folder = state.0.join("history");
        let damaged =
            files(&folder).into_iter().find(|path| is_named(path, file) && path.extension() == Some("db".as_ref()));
        let damaged = damaged.expect("the file is there");
        let length = fs::metadata(&damaged).expect("a file").len();
        fs::write(&damaged, vec![b'x'; usize::try_from(length).expect("small")]).expect("it can be damaged");

        let kept = Kept::within(&state.0);
        kept.serve(2);
        kept.wait("put aside", |health| health.damaged == 1 && health.activity == Activity::Writing);
        let all = if file == "main.db" { 5 } else { 2 };
        assert_eq!(wait_for_rows(&state.0, all).exchanges.len(), all);
        assert!(files(&folder).iter().any(|path| path.to_string_lossy().contains(".corrupt-")), "it is kept");
    }
}

#[test]
fn a_file_of_a_newer_release_is_left_alone() {
    let state = fresh("newer");
    drop(Kept::within(&state.0));
    let path = Directory::within(&state.0).main();
    let connection = rusqlite::Connection::open(&path).expect("a file");
    connection.pragma_update(None, "user_version", 99).expect("it can be changed");
    drop(connection);
    let before = fs::read(&path).expect("a file");
    let kept = Kept::within(&state.0);
    kept.serve(2);
    kept.wait_for_pause(Pause::NewerSchema);
    assert_eq!(fs::read(&path).expect("a file"), before);
    // Once it is out of the way, what has waited is written.
    fs::rename(&path, path.with_extension("newer")).expect("it can be renamed");
    kept.wait_for_writing();
    assert_eq!(wait_for_rows(&state.0, 2).exchanges.len(), 2);
}

#[test]
fn where_nothing_can_be_written_rows_wait_and_are_written_later() {
    let state = fresh("blocked");
    fs::write(&state.0, "a file, where there should be a directory").expect("it can be written");
    let kept = Kept::within(&state.0);
    kept.serve(3);
    kept.wait_for_pause(Pause::Failing);
    fs::remove_file(&state.0).expect("it can be removed");
    kept.wait_for_writing();
    let health = kept.wait("written", |health| health.written == 3);
    assert_eq!((health.lost(), wait_for_rows(&state.0, 3).exchanges.len()), (0, 3));
}

#[test]
fn removed_files_are_created_again() {
    let state = fresh("removed");
    let kept = Kept::within(&state.0);
    kept.serve(2);
    wait_for_rows(&state.0, 2);
    fs::remove_dir_all(&state.0).expect("they can be removed");
    let begun = Instant::now();
    while !Directory::within(&state.0).main().exists() {
        assert!(begun.elapsed() < PATIENCE, "it is noticed");
        std::thread::yield_now();
    }
    kept.serve(2);
    assert_eq!(wait_for_rows(&state.0, 2).exchanges.len(), 2);
}

#[test]
fn a_full_disk_and_a_read_only_one_pause_the_history_until_there_is_room() {
    let state = fresh("full");
    let Some(disk) = SmallDisk::mount(&state.0, "tmpfs") else { return };
    let kept = Kept::within(&state.0);
    kept.serve(2);
    wait_for_rows(&state.0, 2);
    disk.fill();
    kept.serve(50);
    // What there was room for in the log of the file may still be written.
    let begun = Instant::now();
    while !matches!(kept.history.state().health().activity, Activity::Paused(Pause::Full, _)) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", kept.history.state().health());
        kept.serve(50);
    }
    disk.make_room();
    kept.wait_for_writing();
    let all = kept.wait("all is written", |health| health.waiting == 0 && health.activity == Activity::Writing);
    assert_eq!(all.lost(), 0);
    drop(kept);

    disk.remount("ro");
    let kept = Kept::within(&state.0);
    kept.serve(2);
    kept.wait_for_pause(Pause::ReadOnly);
    disk.remount("rw");
    kept.wait_for_writing();
    kept.wait("what has waited is written", |health| health.written == 2 && health.lost() == 0);
    drop((kept, disk));
}

#[test]
fn rows_follow_the_clock_when_it_jumps_an_hour_either_way() {
    const HOUR: i64 = 3_600_000;
    let state = fresh("clock");
    let kept = Kept::within(&state.0);
    let mut seen = 0;
    for offset in [0, HOUR, 0, -HOUR, 0] {
        kept.offset.store(offset, Ordering::SeqCst);
        kept.serve(3);
        seen += 3;
        let rows = wait_for_rows(&state.0, seen).exchanges;
        assert_eq!(rows.len(), seen, "each once");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a date");
        let now = i64::try_from(now.as_millis()).expect("a date") + offset;
        let lately = rows.iter().filter(|it| it.id.millis().abs_diff(now) < 60_000).count();
        assert!(lately >= 3, "{lately} rows say so, after a jump to {offset} ms");
    }
    // Ids of one number ascend, so that a cursor for each misses nothing: those after each jump back have another.
    let numbers: std::collections::BTreeSet<_> =
        page(&state.0, Filter::default()).exchanges.iter().map(|it| it.id.process()).collect();
    println!("{} process numbers for two jumps back", numbers.len());
    assert!(numbers.len() >= 2);
}

#[test]
fn several_processes_share_a_directory_without_losing_a_row() {
    let state = fresh("shared");
    let (one, other) = (Kept::within(&state.0), Kept::within(&state.0));
    for _ in 0..10 {
        one.serve(2);
        other.serve(3);
    }
    let page = wait_for_rows(&state.0, 50);
    assert_eq!((page.exchanges.len(), page.total), (50, Ok(50)));
    let numbers: std::collections::BTreeSet<_> = page.exchanges.iter().map(|it| it.id.process()).collect();
    assert_eq!(numbers.len(), 2);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

fn is_named(path: &Path, begin: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin))
}
