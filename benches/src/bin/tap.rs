//! Runs the observation alone COUNT times: `tap reader|exchange CASE COUNT`, `tap request|recorded|logged EXCHANGE COUNT`, `tap
//! scrape COUNT`; or the choice of a backend: `tap choice KIND COUNT`.
//!
//! Run it under a counting tool with COUNT and with twice COUNT: the difference is the exact cost of the additional
//! runs. It prints the nanoseconds of the loop, and for a scrape the bytes and series.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use inferometer::history::History;
use inferometer::history::settings::{Engine, Pace, Settings};
use inferometer::logs;
use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::reader::Reader;
use inferometer::wire::route::Route;
use inferometer_bench::choice::Choice;
use inferometer_bench::chunks::{Case, Exchange, GATHERED};
use inferometer_bench::observed::{self, Observed};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let count = words.last().and_then(|word| word.parse().ok());
    let elapsed = match (words.as_slice(), count) {
        (["scrape", _], Some(count)) => Some(scrape(count)),
        (["reader", name, _], Some(count)) => Case::named(name).map(|case| read(case, count)),
        (["exchange", name, _], Some(count)) => Case::named(name).map(|case| observe(case, count)),
        (["request", name, _], Some(count)) => {
            Exchange::named(name).map(|exchange| request(exchange, count, Observed::default()))
        }
        (["choice", name, _], Some(count)) => Choice::named(name).map(|choice| choice.run(count)),
        (["recorded", name, _], Some(count)) => Exchange::named(name).and_then(|exchange| recorded(exchange, count)),
        (["logged", name, _], Some(count)) => Exchange::named(name).map(|exchange| logged(exchange, count)),
        _ => None,
    };
    let Some(elapsed) = elapsed else {
        eprintln!(
            "usage: tap reader|exchange CASE COUNT, tap request|recorded|logged EXCHANGE COUNT, tap choice KIND COUNT, or \
             tap scrape COUNT"
        );
        return ExitCode::from(2);
    };
    println!("{} ns", elapsed.as_nanos());
    ExitCode::SUCCESS
}

/// Framing and dialect alone.
fn read(case: &Case, elements: usize) -> Duration {
    let pieces = case.pieces(GATHERED);
    let mut reader = Reader::new(Route::of("POST", case.path), &observed::head(case, 200), &DecodeBudget::unlimited());
    let start = Instant::now();
    for _ in 0..elements / GATHERED {
        for piece in &pieces {
            reader.read(black_box(piece), &mut |event, offset| {
                black_box((event, offset));
            });
        }
    }
    start.elapsed()
}

/// Everything that the observation does for a chunk, metrics included.
fn observe(case: &Case, elements: usize) -> Duration {
    let pieces = case.pieces(GATHERED);
    let mut observed = Observed::default();
    let mut observation = observed.answering(case, "llama3.2", 200);
    let start = Instant::now();
    for _ in 0..elements / GATHERED {
        for piece in &pieces {
            let now = observed.tick();
            observation.response_frame(black_box(piece), now);
        }
    }
    start.elapsed()
}

/// Everything that the observation does for an exchange.
fn request(exchange: &Exchange, count: usize, mut observed: Observed) -> Duration {
    // The first exchange creates the series.
    observed.exchange(exchange);
    let start = Instant::now();
    for _ in 0..count {
        observed.exchange(black_box(exchange));
    }
    start.elapsed()
}

/// As [`request`], with the exchange's line in the log on standard error.
fn logged(exchange: &Exchange, count: usize) -> Duration {
    let filter = logs::parse_filter("info").expect("a level");
    let log = logs::start(filter, logs::LogFormat::Text).expect("a log");
    let elapsed = request(exchange, count, Observed::logged());
    drop(log);
    elapsed
}

/// As [`request`], with the exchange's row in the ring of a history whose writer sleeps: it is another thread, and its
/// work is measured elsewhere.
fn recorded(exchange: &Exchange, count: usize) -> Option<Duration> {
    let sleeping = Duration::from_secs(3600);
    let pace = Pace { drain: sleeping, merge: sleeping, retry: sleeping, retain: sleeping, sample: sleeping };
    let settings = Settings { engine: Engine::Sqlite, raw_rate: 1, ..Settings::default() };
    let clock = Box::new(std::time::SystemTime::now);
    let history = History::with_pace(settings, Observed::confirm_any(), pace, clock).ok()?;
    let elapsed = request(exchange, count, Observed::recorded(history.recorder()));
    // Its end would take the rows.
    std::mem::forget(history);
    Some(elapsed)
}

/// Scrapes with as many series as the label caps allow.
fn scrape(count: usize) -> Duration {
    let mut observed = Observed::default();
    observed.fill();
    let text = observed.scrape();
    let series = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
    println!("{} bytes\n{series} series", text.len());
    drop(text);
    let start = Instant::now();
    for _ in 0..count {
        black_box(observed.scrape());
    }
    start.elapsed()
}
