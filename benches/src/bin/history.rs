//! Measures the history in one process: what its writer costs, how large a row is, and how long questions to a month of
//! exchanges take; then how long each endpoint of the real program takes over that month. The data path's part is counted
//! by `instructions`.
//!
//! Ends with 1 where a mark is missed: of the writer's share of a core, of rows that are lost or not summed, and of the 95th
//! percentile of each question and each endpoint. `--quick` has no marks: it shows that the measurement works. `--month`
//! leaves out the writer's paced runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use inferometer::history::query::series::{DurationsOf, Interval, SeriesQuery};
use inferometer::history::query::{Filter, PageQuery, Range, TopQuery};
use inferometer::history::settings::{Engine, Pace, Retention, Settings};
use inferometer::history::tops::TopBy;
use inferometer::history::{Directory, History, Reading, StoreError};
use inferometer_bench::chunks::{EXCHANGES, Exchange};
use inferometer_bench::observed::Observed;

const DAY: i64 = 86_400_000;

/// What the writer may take of a core, by exchanges a second.
const SHARES: [(u64, f64); 2] = [(500, 0.02), (10_000, 0.05)];

/// What a question of the page's first screen may take, in milliseconds.
const FIRST_SCREEN: f64 = 50.0;

/// What every other question may take, in milliseconds.
const OTHERS: f64 = 300.0;

/// One exchange of so many is answered with a server's error, so that there are failures to look for.
const FAILED_OF: u64 = 50;

/// Exchanges up to which every question has a mark. Beyond them those have none that read rows by a filter.
const MARKED_ROWS: u64 = 1_000_000;

/// Exchanges of the month, and the length of the paced runs.
struct Scale {
    month: u64,
    run: Duration,
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|word| word == "--quick");
    let rows = std::env::args().find_map(|word| word.strip_prefix("--rows=")?.parse().ok());
    let scale = match quick {
        true => Scale { month: rows.unwrap_or(20_000), run: Duration::from_secs(2) },
        false => Scale { month: rows.unwrap_or(1_000_000), run: Duration::from_secs(60) },
    };
    let folder = std::env::temp_dir().join(format!("inferometer-history-{}", std::process::id()));
    let mut missed = Vec::new();
    println!("| run | exchanges | rows kept | ring refused | weights and sums agree | writer, share of a core |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let only_month = std::env::args().any(|word| word == "--month");
    for (rate, share) in SHARES.into_iter().filter(|_| !only_month) {
        missed.extend(paced(&folder.join(rate.to_string()), rate, share, scale.run));
    }
    missed.extend(month(&folder.join("month"), scale.month));
    #[cfg(target_os = "linux")]
    missed.extend(endpoints(&folder.join("month")));
    let _ = std::fs::remove_dir_all(&folder);
    if quick || missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nmissed: {}", missed.join("; "));
    ExitCode::FAILURE
}

fn settings(directory: &Path, raw_rate: u64) -> Settings {
    let year = Duration::from_secs(365 * 86_400);
    let retention = Retention { raw: year, raw_bytes: u64::MAX, minutes: year, hours: year, ..Retention::default() };
    Settings { engine: Engine::Sqlite, directory: Some(directory.into()), instance: None, retention, raw_rate }
}

/// Records so many exchanges a second, in real time, and checks what was kept of them. Returns the marks that were missed.
fn paced(directory: &Path, rate: u64, most: f64, run: Duration) -> Vec<String> {
    let history = History::start(settings(directory, 500), Observed::confirm_any()).expect("a thread");
    let mut observed = Observed::recorded(history.recorder());
    let (begun, cpu) = (Instant::now(), writer_cpu());
    let mut count = 0;
    while begun.elapsed() < run {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        while count < due {
            observed.set_now(Instant::now());
            observed.exchange(&EXCHANGES[count as usize % EXCHANGES.len()]);
            count += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let share = (writer_cpu() - cpu) / begun.elapsed().as_secs_f64();
    history.close();
    let health = history.state().health();
    let reading = reading(directory);
    let range = Range { from: 0, to: 1 << 42 };
    let page = PageQuery { range, filter: Filter::default(), offset: 0, limit: 1 };
    let total = reading.page(&page).map(|page| page.total);
    let agree = matches!(total, Ok(Ok(total)) if total == count) && health.written + health.thinned == count;
    println!(
        "| {rate} a second for {run:?} | {count} | {} | {} | {} | {:.1} % |",
        health.written,
        health.lost(),
        if agree { "yes" } else { "NO" },
        share * 100.0
    );
    let is_missed = [
        (health.lost() > 0, "rows are lost"),
        (!agree, "weights and sums differ"),
        // Not a number where the system keeps no such account.
        (share > most, "the writer takes more than its share"),
    ];
    is_missed.iter().filter(|(is, _)| *is).map(|(_, what)| format!("{rate} a second: {what}")).collect()
}

/// The seconds that the writer's thread, which is named `history`, has used; not a number where there is no such account.
/// The first thread, which makes the exchanges, has that name too: it is the name of this program.
fn writer_cpu() -> f64 {
    let first = std::process::id().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "history");
    let is_writer = |path: &PathBuf| !path.ends_with(&first) && named(path);
    let schedstat =
        tasks.into_iter().filter(is_writer).filter_map(|path| std::fs::read_to_string(path.join("schedstat")).ok());
    let nanos = schedstat.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanos.sum::<f64>() / 1e9
}

/// Writes exchanges as if a month passed, and asks. Returns the marks that were missed.
fn month(directory: &Path, rows: u64) -> Vec<String> {
    let now = SystemTime::now();
    let offset = Arc::new(AtomicI64::new(-30 * DAY));
    let clock = offset.clone();
    let shifted = move || {
        let back = clock.load(Ordering::SeqCst).unsigned_abs();
        SystemTime::now() - Duration::from_millis(back)
    };
    let pace = Pace { drain: Duration::from_millis(1), ..Pace::default() };
    let history = History::with_pace(settings(directory, 1_000_000), Observed::confirm_any(), pace, Box::new(shifted));
    let history = history.expect("a thread");
    let mut observed = Observed::recorded(history.recorder());
    let (begun, cpu) = (Instant::now(), writer_cpu());
    let hours = 30 * 24;
    let mut recorded = 0;
    for hour in 1..=hours {
        while recorded < rows * hour / hours {
            observed.set_now(Instant::now());
            observed.answered(pick(recorded), if recorded % FAILED_OF == 0 { 500 } else { 200 });
            recorded += 1;
            // Rows of another hour must not wait when the clock goes on.
            if recorded % 10_000 == 0 {
                wait(&history, recorded);
            }
        }
        wait(&history, recorded);
        offset.store(-30 * DAY + i64::try_from(hour).expect("few") * DAY / 24, Ordering::SeqCst);
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), writer_cpu() - cpu);
    history.close();
    let health = history.state().health();
    let bytes = Directory::within(directory).bytes();
    println!(
        "\n{rows} exchanges of 30 days: {} bytes a row with its sums, {:.1} µs of the writer a row, {:.0} s in all, {} lost.\n",
        bytes / rows.max(1),
        cpu * 1e6 / rows as f64,
        seconds,
        health.lost()
    );
    let mut missed = ask(directory, now, rows > MARKED_ROWS);
    missed.extend((health.lost() > 0).then(|| "the month: rows are lost".to_owned()));
    missed
}

/// Asks the real program over the same files. Returns the marks that were missed.
#[cfg(target_os = "linux")]
fn endpoints(directory: &Path) -> Vec<String> {
    use inferometer_bench::endpoints::{MARK, measure};
    let program = std::env::current_exe().map(|ours| ours.with_file_name("inferometer"));
    let asked = match program.map_err(|error| error.to_string()).and_then(|program| measure(&program, directory)) {
        Ok(asked) => asked,
        Err(why) => return vec![format!("endpoints: {why}")],
    };
    println!("\n| endpoint over this month | p50, ms | p95, ms | bytes | mark, ms |");
    println!("| --- | --- | --- | --- | --- |");
    let mut missed = Vec::new();
    for one in asked {
        match one.took {
            Ok((half, most, bytes)) => {
                println!("| `{}` | {half:.1} | {most:.1} | {bytes} | {MARK:.0} |", one.target);
                missed.extend((most > MARK).then(|| format!("{}: {most:.1} ms", one.target)));
            }
            Err(why) => println!("| `{}` | – | – | – | {why} |", one.target),
        }
    }
    missed
}

fn pick(at: u64) -> &'static Exchange {
    &EXCHANGES[(at as usize * 7) % EXCHANGES.len()]
}

fn wait(history: &History, rows: u64) {
    while history.state().health().written < rows {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn reading(directory: &Path) -> Reading {
    Reading::new(Directory::within(directory), Duration::from_secs(60))
}

/// Asks.
type Ask = dyn Fn(&Reading) -> Result<(), StoreError>;

/// A question.
struct Question {
    name: &'static str,
    /// What it may take, in milliseconds.
    mark: f64,
    /// Whether it reads rows by a filter, and so takes longer the more there are.
    filters: bool,
    ask: Box<Ask>,
}

/// Asks each question twenty times. Returns those that took longer than their mark, or were not answered.
fn ask(directory: &Path, now: SystemTime, is_large: bool) -> Vec<String> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = i64::try_from(now).unwrap_or(0);
    let last = move |hours: i64| Range { from: now - hours * 3_600_000, to: now };
    let series = move |range, seconds| {
        let interval = Interval::of_seconds(seconds).expect("whole");
        move |reading: &Reading| {
            reading
                .series(&SeriesQuery { range, interval, filter: Filter::default(), durations: DurationsOf::All })
                .map(drop)
        }
    };
    let page = move |range, filter: Filter| {
        move |reading: &Reading| {
            reading.page(&PageQuery { range, filter: filter.clone(), offset: 0, limit: 50 }).map(drop)
        }
    };
    let top = move |filter: Filter| {
        move |reading: &Reading| {
            reading
                .top(&TopQuery { range: last(720), filter: filter.clone(), by: TopBy::Duration, limit: 20 })
                .map(drop)
        }
    };
    let newest =
        reading(directory).page(&PageQuery { range: last(720), filter: Filter::default(), offset: 0, limit: 1 });
    let trace = newest.ok().and_then(|page| page.exchanges.first().map(|it| it.row.trace));
    let failed = Filter { failed: true, ..Filter::default() };
    let model = Filter { model: Some("llama3.2".into()), ..Filter::default() };
    let question = |name, mark, filters, ask: Box<Ask>| Question { name, mark, filters, ask };
    let mut questions: Vec<Question> = vec![
        question("first screen: the last hour by the minute", FIRST_SCREEN, false, Box::new(series(last(1), 60))),
        question(
            "first screen: the last 50, and how many",
            FIRST_SCREEN,
            false,
            Box::new(page(last(24), Filter::default())),
        ),
        question("a day by five minutes", OTHERS, false, Box::new(series(last(24), 300))),
        question("30 days by the hour", OTHERS, false, Box::new(series(last(720), 3_600))),
        question("30 days: failures, and how many", OTHERS, true, Box::new(page(last(720), failed.clone()))),
        question("30 days: a model's, and how many", OTHERS, true, Box::new(page(last(720), model.clone()))),
        question("30 days: top 20 by duration", OTHERS, false, Box::new(top(Filter::default()))),
        question("30 days: top 20 of a model, from the rows", OTHERS, true, Box::new(top(model))),
    ];
    if let Some(trace) = trace {
        questions.push(question("by trace", OTHERS, false, Box::new(move |reading| reading.trace(trace).map(drop))));
    }
    println!("| question | p50, ms | p95, ms | mark, ms |");
    println!("| --- | --- | --- | --- |");
    let mut missed = Vec::new();
    for Question { name, mark, filters, ask } in questions {
        let reading = reading(directory);
        let mut failed = None;
        let mut times: Vec<f64> = (0..20)
            .map(|_| {
                let begun = Instant::now();
                failed = ask(&reading).err().or(failed.take());
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let is_marked = !(is_large && filters);
        let marked = if is_marked { format!("{mark:.0}") } else { "none".to_owned() };
        println!("| {name} | {:.1} | {:.1} | {marked} |", times[10], times[18]);
        match failed {
            Some(error) => missed.push(format!("{name}: {error}")),
            None if is_marked && times[18] > mark => missed.push(format!("{name}: {:.1} ms", times[18])),
            None => {}
        }
    }
    missed
}
