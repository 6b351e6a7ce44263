//! The privileged helper of inferometer: reads facts that need privileges (power, temperature, pressure) and serves
//! them as JSON on a local socket.
//!
//! The order matters: it opens every file and starts every program that needs privileges, then drops its privileges for
//! good, and only then accepts connections. Since it cannot restart its source after that, it exits with 1 when the
//! source fails or falls silent, and its service manager restarts it.
//!
//! ```text
//! options ──► source (opened or spawned, privileged) ──► privileges dropped ──► facts ◄── one thread reads
//!                                                                                 └─────► http: GET only
//! ```
//!
//! Promises: no input from a socket reaches a file, a program or an option; it listens on this machine only; a request
//! costs bounded time and memory. Left out: NVIDIA and AMD (the proxy reads them without privileges), history.
//!
//! Exit codes: 1 the source failed, 2 the options are invalid.

mod facts;
mod http;
mod kernel;
mod options;
mod plist;
mod powermetrics;
mod privileges;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use facts::LatestSample;
use http::Listener;
use kernel::Kernel;
use options::{Options, Source, USAGE};

/// How often to check whether the source has fallen silent.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Exit code when the source failed, or the machine has no source.
const FAILED: u8 = 1;

/// Exit code for invalid options.
const INVALID_OPTIONS: u8 = 2;

/// The manual page.
const MANUAL: &str = include_str!("../inferometer-helper.1");

/// Runs the program with the arguments after its name.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.next_if(|first| first == "man").is_some() {
        print!("{MANUAL}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("inferometer-helper {}\n\n{USAGE}", version());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("inferometer-helper: {error}\n\n{USAGE}");
            return ExitCode::from(INVALID_OPTIONS);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inferometer-helper: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// The version, and the commit where the build was given one.
fn version() -> String {
    let revision = option_env!("INFEROMETER_REVISION").filter(|revision| !revision.is_empty());
    let revision = revision.map(|revision| format!(" (revision {revision})")).unwrap_or_default();
    env!("CARGO_PKG_VERSION").to_owned() + &revision
}

/// Serves until the source ends, which is always an error.
fn run(options: &Options) -> io::Result<()> {
    let latest = Arc::new(LatestSample::default());
    match &options.source {
        Source::Powermetrics(program) => {
            let output = powermetrics::spawn(program, options.interval)?;
            Err(privileges::become_unprivileged_reader(options, output))
        }
        Source::Input => {
            let listener = bind_and_drop_privileges(options)?;
            let samples = powermetrics::Samples::new(io::stdin().lock(), options.memory_level);
            serve(listener, &latest, options.silence, samples)
        }
        Source::Kernel { proc, sys } => {
            let kernel = Kernel::open(proc, sys, options.interval)?;
            let listener = bind_and_drop_privileges(options)?;
            serve(listener, &latest, options.silence, kernel)
        }
    }
}

/// Listens, then drops the remaining privileges: the folder of a socket may need them.
fn bind_and_drop_privileges(options: &Options) -> io::Result<Listener> {
    let listener = Listener::bind(&options.listen)?;
    privileges::drop_all(options.user)?;
    Ok(listener)
}

/// Reads samples on this thread; starts threads that answer and that watch for silence.
fn serve(
    listener: Listener,
    latest: &Arc<LatestSample>,
    silence: Duration,
    samples: impl Iterator<Item = io::Result<facts::Facts>>,
) -> io::Result<()> {
    eprintln!("inferometer-helper: listening on {}", listener.address());
    listener.serve(latest)?;
    exit_on_silence(Arc::clone(latest), silence)?;
    for sample in samples {
        latest.put(sample?);
    }
    Err(io::Error::other("the source ended"))
}

/// Ends the process when no sample has arrived for `silence`: a read that hangs cannot be interrupted.
fn exit_on_silence(latest: Arc<LatestSample>, silence: Duration) -> io::Result<()> {
    let started = Instant::now();
    let check = move || {
        loop {
            std::thread::sleep(CHECK_INTERVAL);
            if latest.last().map_or(started.elapsed(), |last| last.elapsed()) > silence {
                eprintln!("inferometer-helper: the source has said nothing for {silence:?}");
                std::process::exit(i32::from(FAILED));
            }
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(check).map(drop)
}

/// The JSON of each sample in an output of `powermetrics`. For fuzzing.
#[must_use]
pub fn samples(output: impl io::Read) -> Vec<String> {
    let samples = powermetrics::Samples::new(output, false).map_while(Result::ok);
    samples.map(|facts| facts.to_json(std::time::UNIX_EPOCH)).collect()
}

/// The answer to a request with this head over TCP, while there are no facts. For fuzzing.
#[must_use]
pub fn answer_to(head: &[u8]) -> String {
    http::answer_to(head, &LatestSample::default())
}

#[cfg(test)]
mod tests {
    use super::{MANUAL, USAGE};

    #[test]
    fn the_manual_page_has_every_option() {
        let page = MANUAL.replace('\\', "");
        let options = USAGE.split_whitespace().filter(|word| word.starts_with("--") && *word != "--format");
        let missing: Vec<_> = options.filter(|option| !page.contains(option.trim_end_matches(','))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
