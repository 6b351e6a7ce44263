//! The process: parse, build, run, exit code.

use std::process::ExitCode;

use inferometer::app::command::{self, CommandReport};
use inferometer::app::material::Material;
use inferometer::app::{self, Process};
use inferometer::cli::{Cli, Task};
use inferometer::config::error::ConfigError;
use inferometer::config::{self, Config};
use inferometer::logs;

/// Exit code of a failure while running.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let flags = config::flags();
    let cli = Cli::parse(&flags);
    if cli.task != Task::Serve {
        return print(&command::run(&cli.task, &flags, || resolve(&cli)));
    }
    match load(&cli) {
        Ok((config, material)) => run(cli, config, material),
        Err(error) => {
            eprintln!("inferometer: {error}");
            ExitCode::from(ConfigError::EXIT_CODE)
        }
    }
}

fn resolve(cli: &Cli) -> Result<Config, ConfigError> {
    config::resolve(cli, std::env::vars_os(), |path| std::fs::read_to_string(path))
}

/// The configuration, and the files that it names.
fn load(cli: &Cli) -> Result<(Config, Material), String> {
    let config = resolve(cli).map_err(|error| error.to_string())?;
    let material = Material::load(&config).map_err(|error| error.to_string())?;
    Ok((config, material))
}

fn run(cli: Cli, config: Config, material: Material) -> ExitCode {
    let filter = |level: &str| logs::parse_filter(level).expect("checked with the configuration");
    let (logs, level) = match logs::start(filter(&config.log_level), config.log_format) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("inferometer: the log cannot be started: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let process = Process {
        load: Box::new(move || load(&cli)),
        set_log_level: Box::new(move |text| level.set(filter(text))),
        log_lines: logs.kept(),
        log_drops: Box::new(logs.dropped_counter()),
    };
    app::run(config, material, process).unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitCode::from(FAILED)
    })
}

/// Prints what a command says; a closed output is not an error.
fn print(report: &CommandReport) -> ExitCode {
    use std::io::Write;
    let _ = std::io::stdout().write_all(&report.output);
    let _ = std::io::stderr().write_all(report.complaints.as_bytes());
    ExitCode::from(report.code)
}
