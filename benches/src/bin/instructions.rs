//! Counts instructions and allocations of the observation per chunk, exchange and scrape, and prints tables.
//!
//! Counts do not depend on the load of the machine. Each is the difference between two runs, one twice as long as the
//! other, so that start and warm-up cancel out. Times are given for scale.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use inferometer_bench::choice::{BACKENDS, CHOICES};
use inferometer_bench::chunks::{CASES, EXCHANGES};

/// Chunks in the shorter run of a pair: a multiple of the elements in a gathered piece.
const CHUNKS: usize = 1_600;

/// Exchanges in the shorter run of a pair.
const REQUESTS: usize = 200;

/// Exchanges in a timed run.
const TIMED_REQUESTS: usize = 20_000;

/// Chunks in a timed run.
const TIMED_CHUNKS: usize = 320_000;

/// Timed runs; the fastest counts, since disturbance only adds.
const REPEATS: usize = 5;

/// The cost of one chunk, exchange or scrape; `None` is not measured.
struct Cost {
    instructions: Option<f64>,
    allocations: Option<f64>,
    nanos: Option<f64>,
}

fn main() -> ExitCode {
    let Some(tap) = std::env::current_exe().ok().map(|ours| ours.with_file_name("tap")).filter(|tap| tap.exists())
    else {
        eprintln!("instructions: `tap` is not built; build the whole package");
        return ExitCode::from(2);
    };
    let quick = std::env::args().any(|word| word == "--quick");
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !valgrind {
        println!("Not measured: instructions and allocations, because valgrind is not installed.\n");
    }
    println!(
        "| one chunk | bytes | reader: instructions | allocations | ns | whole tap: instructions | allocations | ns |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let cases = if quick { &CASES[..1] } else { CASES };
    for case in cases {
        let [reader, whole] = ["reader", "exchange"].map(|level| {
            let cost = cost(&tap, &[level, case.name], CHUNKS, TIMED_CHUNKS, valgrind);
            format!("{} | {} | {}", show(cost.instructions, 0), show(cost.allocations, 3), show(cost.nanos, 0))
        });
        println!("| {} | {} | {reader} | {whole} |", case.name, case.element.len());
    }
    if !quick {
        requests(&tap, valgrind);
        choices(&tap, valgrind);
        scrape(&tap, valgrind);
    }
    ExitCode::SUCCESS
}

fn requests(tap: &Path, valgrind: bool) {
    println!(
        "\n| one exchange, outside of HTTP | instructions | allocations | ns | with its row for the history: instructions | \
         allocations | ns | with its line in the log: instructions | allocations | ns |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for exchange in EXCHANGES {
        let [alone, recorded, logged] = ["request", "recorded", "logged"].map(|what| {
            let cost = cost(tap, &[what, exchange.name], REQUESTS, TIMED_REQUESTS, valgrind);
            format!("{} | {} | {}", show(cost.instructions, 0), show(cost.allocations, 1), show(cost.nanos, 0))
        });
        println!("| {} | {alone} | {recorded} | {logged} |", exchange.name);
    }
}

fn choices(tap: &Path, valgrind: bool) {
    println!("\n| one choice among {BACKENDS} backends | instructions | allocations | ns |");
    println!("| --- | --- | --- | --- |");
    for choice in CHOICES {
        let cost = cost(tap, &["choice", choice.name], REQUESTS, TIMED_REQUESTS, valgrind);
        let (instructions, allocations) = (show(cost.instructions, 0), show(cost.allocations, 1));
        println!("| {} | {instructions} | {allocations} | {} |", choice.name, show(cost.nanos, 0));
    }
}

fn scrape(tap: &Path, valgrind: bool) {
    let cost = cost(tap, &["scrape"], 1, 10, valgrind);
    let (bytes, series) = (printed(tap, &["scrape", "1"], "bytes"), printed(tap, &["scrape", "1"], "series"));
    println!("\n| one scrape at the label caps | series | bytes | instructions | allocations | ms |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let (instructions, allocations) = (show(cost.instructions, 0), show(cost.allocations, 0));
    let millis = show(cost.nanos.map(|nanos| nanos / 1e6), 1);
    println!("| everything | {} | {} | {instructions} | {allocations} | {millis} |", show(series, 0), show(bytes, 0));
}

fn cost(tap: &Path, what: &[&str], count: usize, timed: usize, valgrind: bool) -> Cost {
    let each = |tool: fn(&Path, &[&str], usize) -> Option<f64>| {
        let (once, twice) = (tool(tap, what, count)?, tool(tap, what, 2 * count)?);
        Some((twice - once) / count as f64)
    };
    let nanos = (0..REPEATS).filter_map(|_| {
        let count = timed.to_string();
        printed(tap, &[what, &[count.as_str()]].concat(), "ns")
    });
    Cost {
        instructions: valgrind.then(|| each(instructions)).flatten(),
        allocations: valgrind.then(|| each(allocations)).flatten(),
        nanos: nanos.min_by(f64::total_cmp).map(|nanos| nanos / timed as f64),
    }
}

/// Instructions of a whole run.
fn instructions(tap: &Path, what: &[&str], count: usize) -> Option<f64> {
    let output = counted(tap, what, count, &["--tool=callgrind", "--callgrind-out-file=/dev/null"])?;
    number(output.lines().find_map(|line| line.split_once("Collected : "))?.1)
}

/// Allocations of a whole run.
fn allocations(tap: &Path, what: &[&str], count: usize) -> Option<f64> {
    let output = counted(tap, what, count, &["--tool=dhat", "--dhat-out-file=/dev/null"])?;
    let total = output.lines().find_map(|line| line.split_once("Total:"))?.1;
    number(total.split_once(" bytes in ")?.1)
}

fn counted(tap: &Path, what: &[&str], count: usize, tool: &[&str]) -> Option<String> {
    let run = Command::new("valgrind").args(tool).arg(tap).args(what).arg(count.to_string()).output().ok()?;
    run.status.success().then(|| String::from_utf8_lossy(&run.stderr).into_owned())
}

/// The number before this unit in the program's output.
fn printed(tap: &Path, arguments: &[&str], unit: &str) -> Option<f64> {
    let run = Command::new(PathBuf::from(tap)).args(arguments).output().ok()?;
    let text = String::from_utf8(run.stdout).ok()?;
    text.lines().find_map(|line| line.strip_suffix(unit)).and_then(number)
}

/// The number at the start of a text, which may contain commas.
fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.replace(',', "").parse().ok()
}

/// A number, or a dash where there is none.
fn show(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
