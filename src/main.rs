//! The process: parse, build, run, exit code.

use std::process::ExitCode;

use inferometer::app::Process;
use inferometer::app::material::Material;
use inferometer::cli::Cli;
use inferometer::config::Config;
use inferometer::config::error::ConfigError;
use inferometer::{app, config, logs};

/// Exit code of a failure while running.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse(&config::flags());
    let config = match resolve(&cli) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    if cli.print_config {
        print(&config.to_toml());
        return ExitCode::SUCCESS;
    }
    let material = match Material::load(&config) {
        Ok(material) => material,
        Err(error) => return refuse(&error),
    };
    if cli.check_config {
        config.warnings.iter().for_each(|warning| eprintln!("inferometer: warning: {warning}"));
        print("the configuration is fine\n");
        return ExitCode::SUCCESS;
    }
    run(cli, config, material)
}

fn resolve(cli: &Cli) -> Result<Config, ConfigError> {
    config::resolve(cli, std::env::vars_os(), |path| std::fs::read_to_string(path))
}

/// Reports an error in the configuration.
fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("inferometer: {error}");
    ExitCode::from(ConfigError::EXIT_CODE)
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
    let load = move || {
        let config = resolve(&cli).map_err(|error| error.to_string())?;
        let material = Material::load(&config).map_err(|error| error.to_string())?;
        Ok((config, material))
    };
    let process = Process {
        load: Box::new(load),
        set_log_level: Box::new(move |text| level.set(filter(text))),
        log_drops: Box::new(logs.dropped_counter()),
    };
    app::run(config, material, process).unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitCode::from(FAILED)
    })
}

/// Prints to standard output; a closed one is not an error.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
