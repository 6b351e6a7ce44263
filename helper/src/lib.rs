//! The privileged helper of inferometer: reads what only privileged programs may (power, temperature, pressure) and
//! answers with it, as JSON, on a socket of this machine.
//!
//! The order is the point: it opens every file and starts every program that needs privileges first, then gives its
//! privileges up for good, and only then listens to anybody. Because it could not start its source again after that,
//! it exits with 1 when the source dies or falls silent, and its service manager starts it anew.
//!
//! ```text
//! options ──► source (opened or spawned, privileged) ──► privileges dropped ──► facts ◄── one thread reads
//!                                                                                 └─────► http: GET only
//! ```
//!
//! Promises: nothing from a socket reaches a file, a program or an option; it listens on this machine only; a request
//! costs bounded time and memory. Left out: NVIDIA and AMD (the proxy reads them without privileges), history.
//!
//! Exit codes: 1 the source failed, 2 the options are wrong.

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

use facts::Shared;
use http::Listener;
use kernel::Kernel;
use options::{Options, Source, USAGE};

/// How often somebody looks whether the source has fallen silent.
const LOOK: Duration = Duration::from_secs(1);

/// The source died, or there is none.
const FAILED: u8 = 1;

/// What was typed is wrong.
const MISUSED: u8 = 2;

/// The whole program, given what was typed after its name.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("inferometer-helper {}\n\n{USAGE}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("inferometer-helper: {error}\n\n{USAGE}");
            return ExitCode::from(MISUSED);
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

/// Serves until the source dies, which is always an error.
fn run(options: &Options) -> io::Result<()> {
    let shared = Arc::new(Shared::default());
    match &options.source {
        Source::Powermetrics(program) => {
            let output = powermetrics::spawn(program, options.interval)?;
            Err(privileges::become_unprivileged_reader(options, output))
        }
        Source::Input => {
            let listener = prepare(options)?;
            let samples = powermetrics::Samples::new(io::stdin().lock(), options.memory_level);
            serve(listener, &shared, options.silence, samples)
        }
        Source::Kernel { proc, sys } => {
            let kernel = Kernel::open(proc, sys, options.interval)?;
            let listener = prepare(options)?;
            serve(listener, &shared, options.silence, kernel)
        }
    }
}

/// Listens, and gives up what is left of the privileges. Binding comes first: the folder of a socket may need them.
fn prepare(options: &Options) -> io::Result<Listener> {
    let listener = Listener::bind(&options.listen)?;
    privileges::drop_all(options.user)?;
    Ok(listener)
}

/// Reads on this thread, answers on another.
fn serve(
    listener: Listener,
    shared: &Arc<Shared>,
    silence: Duration,
    samples: impl Iterator<Item = io::Result<facts::Facts>>,
) -> io::Result<()> {
    eprintln!("inferometer-helper: listening on {}", listener.address());
    listener.serve(shared)?;
    watch(Arc::clone(shared), silence)?;
    for sample in samples {
        shared.put(sample?);
    }
    Err(io::Error::other("the source ended"))
}

/// Ends the process when nothing comes any more: the thread that reads cannot be woken from a read that hangs.
fn watch(shared: Arc<Shared>, silence: Duration) -> io::Result<()> {
    let started = Instant::now();
    let look = move || {
        loop {
            std::thread::sleep(LOOK);
            if shared.last().map_or(started.elapsed(), |last| last.elapsed()) > silence {
                eprintln!("inferometer-helper: the source has said nothing for {silence:?}");
                std::process::exit(i32::from(FAILED));
            }
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(look).map(drop)
}

/// What each sample of `powermetrics`' output says, as it would be answered. For those who try out what it may send.
#[must_use]
pub fn samples(output: impl io::Read) -> Vec<String> {
    let samples = powermetrics::Samples::new(output, false).map_while(Result::ok);
    samples.map(|facts| facts.to_json(std::time::UNIX_EPOCH)).collect()
}

/// What a request with this head is answered on a port, while there are no facts. For those who try out what clients may
/// send.
#[must_use]
pub fn answer_to(head: &[u8]) -> String {
    http::answer_to(head, &Shared::default())
}
