//! The commands beside serving: they print something and end.

mod console;
mod history;
mod key;
mod report;
mod running;

use super::material::Material;
use super::monitor;
use crate::cli::{self, Flag, Task};
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::doctor::{self, Finding, Severity};
use crate::history::check_target;
use crate::history::settings::Engine;
pub use report::CommandReport;
use report::Failure;
use running::{admin_tls, block_on};

/// Carries out a command. [`Task::Serve`] prints nothing here.
pub fn run(task: &Task, flags: &[Flag], resolve: impl FnOnce() -> Result<Config, ConfigError>) -> CommandReport {
    let done = match task {
        Task::Serve => Ok(CommandReport::default()),
        Task::Completions(shell) => Ok(CommandReport::of(cli::completions(cli::command(flags), *shell))),
        Task::Manual => Ok(CommandReport::of(cli::manual(cli::command(flags)))),
        Task::PrintConfig => resolve().map(|config| CommandReport::of(config.to_toml())).map_err(Into::into),
        Task::CheckConfig => resolve().map_err(Into::into).and_then(|config| check(&config)),
        Task::Doctor => doctor(resolve()),
        Task::History(task) => resolve().map(|config| history::run(task, &config)).map_err(Into::into),
        Task::Key(arguments) => key::make(arguments),
        Task::Top(arguments) => console::top(arguments, resolve),
        Task::Snapshot(arguments) => console::snapshot(arguments, resolve),
        Task::Health => resolve().map_err(Into::into).and_then(|config| health(&config)),
    };
    done.unwrap_or_else(|error| CommandReport::failed(&error, ConfigError::EXIT_CODE))
}

/// Reads every file that a start would read.
fn check(config: &Config) -> Result<CommandReport, Failure> {
    Material::load(config)?;
    if let Engine::Postgres(target) = &config.history.engine {
        check_target(target)?;
    }
    let complaints = config.warnings.iter().map(|warning| format!("inferometer: warning: {warning}\n")).collect();
    Ok(CommandReport { complaints, ..CommandReport::of("the configuration is fine\n") })
}

fn health(config: &Config) -> Result<CommandReport, Failure> {
    let found = block_on(doctor::health::check(config.admin_listen, admin_tls(config)?))?;
    let code = u8::from(found.is_err());
    let line = found.unwrap_or_else(|error| error);
    Ok(CommandReport { code, ..CommandReport::of(format!("{line}\n")) })
}

/// A configuration that is refused is a finding, too.
fn doctor(resolved: Result<Config, ConfigError>) -> Result<CommandReport, Failure> {
    let findings = match &resolved {
        Ok(config) => block_on(doctor::examine(&subject(config)))?,
        Err(error) => vec![Finding::refused(error)],
    };
    let code = u8::from(findings.iter().any(|finding| finding.severity == Severity::Fault));
    Ok(CommandReport { code, ..CommandReport::of(doctor::report(&findings)) })
}

fn subject(config: &Config) -> doctor::Subject<'_> {
    let files = Material::load(config);
    let monitors = files.iter().flat_map(|files| config.members().into_iter().map(|it| monitor::build(&it, files)));
    doctor::Subject {
        config,
        monitors: monitors.collect(),
        admin_tls: admin_tls(config).unwrap_or(false),
        roots: doctor::Roots::default(),
        files: files.err().map(|error| error.to_string()),
    }
}
