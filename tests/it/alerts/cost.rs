//! What the built-in evaluator costs on the page of a real program: processor time is printed, memory has a bound.

use std::time::Duration;

use inferometer::alert::engine::Engine;
use inferometer::alert::labels::Labels;
use inferometer::alert::rules;
use inferometer::alert::samples::Held;

use super::provoked::{DONE, PART, chat, exchanges_of};
use super::settings;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

/// Between two looks, in milliseconds.
const PERIOD: i64 = 10_000;

/// Samples of a series that a look may read: the ends of its windows, and of gauges every sample of them, of which there are few.
const READS_OF_A_SERIES: usize = 8;

/// What a series of ten minutes may hold: its samples with what is reserved for a few more, its labels and its place.
const BYTES_OF_A_SERIES: usize = 1_536;

/// Looks so often at a page. Returns what is held afterwards, the time of a processor that a look took, and the samples that
/// the last look read.
fn looked(engine: &mut Engine, page: &str, looks: i64, from: i64) -> (Held, Duration, usize) {
    let target = Labels::default().with("job", "ollama_proxy").with("instance", "test");
    let (mut spent, mut read) = (Duration::ZERO, 0);
    for look in from..from + looks {
        let at = 1_700_000_000_000 + look * PERIOD;
        let page = grown(page, look);
        let begun = cpu();
        engine.samples().scrape(&page, &target, at);
        let before = engine.samples().read();
        engine.step(at);
        read = engine.samples().read() - before;
        spent += cpu() - begun;
    }
    let spent = spent / u32::try_from(looks).expect("few");
    (engine.samples().held(), spent, usize::try_from(read).expect("few"))
}

/// The page after so many looks in which every model was asked a lot, so that no rule is spared for want of requests.
fn grown(page: &str, looks: i64) -> String {
    let grows = |name: &str| name.ends_with("_total") || name.ends_with("_count") || name.ends_with("_bucket");
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((series, value)) if grows(series.split('{').next().unwrap_or_default()) => {
            format!("{series} {}\n", value.parse::<f64>().unwrap_or(0.0) + 50.0 * looks as f64)
        }
        _ => format!("{line}\n"),
    };
    page.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

#[test]
fn the_evaluator_holds_what_its_rules_look_at_and_no_more() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, DONE]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    program.wait_for("backend_up", &["test"], 1.0);
    let (_, page) = exchanges_of(&program, 3, || chat(&program));
    // With many models for a third of the time: it is a matter of seconds in a debug build.
    for (models, looks) in [(1, 60), (200, 20)] {
        // Series of a model, as often as there are models.
        let own = |model: usize| {
            let of = page.lines().filter(|line| !line.starts_with('#') && line.contains("model=\"m\""));
            of.map(|line| line.replace("model=\"m\"", &format!("model=\"m{model}\"")) + "\n").collect::<String>()
        };
        let whole = page.clone() + &(1..models).map(own).collect::<String>();
        let lines = whole.lines().filter(|line| !line.starts_with('#')).count();
        let mut engine = Engine::new(rules::all());
        let (held, spent, read) = looked(&mut engine, &whole, looks, 0);
        println!(
            "{models} models, {lines} lines: {:.2} ms of a processor a look (debug build), {} series and {} KiB after {looks} looks, \
             of whose {} samples the last has read {read}",
            spent.as_secs_f64() * 1e3,
            held.series,
            held.bytes / 1024,
            held.points
        );
        assert!(held.series > 50 * models.min(2) && held.series < lines, "not what no rule looks at: {held:?}");
        assert!(held.points <= held.series * usize::try_from(looks).expect("few"), "{held:?}");
        assert!(held.bytes <= BYTES_OF_A_SERIES * held.series, "{held:?}");
        // However far back a rule looks: reading every sample would be as many times as there are looks.
        assert!(read > 0 && read <= READS_OF_A_SERIES * held.series, "{read} of {held:?}");
    }
}

#[test]
fn what_the_evaluator_holds_does_not_grow_with_time() {
    let ollama = Ollama::listing(&["m"]);
    ollama.answer("POST /api/chat", "200 OK", &[PART, DONE]);
    let program = Program::with(ollama.address, &["--config", &settings("")]);
    program.wait_for("backend_up", &["test"], 1.0);
    let (_, page) = exchanges_of(&program, 3, || chat(&program));
    // As far back as any rule looks is an hour and a half.
    let (mut engine, window) = (Engine::new(rules::all()), 600);
    let (once, ..) = looked(&mut engine, &page, window, 0);
    let (twice, _, read) = looked(&mut engine, &page, window, window);
    assert_eq!(once, twice, "after {} hours, and after twice as many", window * PERIOD / 3_600_000);
    // Nor does what a look reads.
    assert!(read <= READS_OF_A_SERIES * twice.series, "{read} of {twice:?}");
    // And nothing is left of what is no longer there.
    let (none, ..) = looked(&mut engine, "", window, 2 * window);
    assert_eq!((none.series, none.points), (0, 0), "{none:?}");
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}
