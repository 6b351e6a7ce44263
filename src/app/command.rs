//! The commands beside serving: they print something and end.

use super::error::AppError;
use super::material::Material;
use super::monitor;
use crate::admin::access;
use crate::cli::{self, Flag, Task};
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::doctor::{self, Finding, Severity};
use crate::tls::FileError;

/// What a command says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandReport {
    /// For standard output.
    pub output: Vec<u8>,
    /// For standard error.
    pub complaints: String,
    /// The exit code: 0 all is well, 1 a fault was found, 2 the configuration is wrong.
    pub code: u8,
}

type Failure = Box<dyn std::error::Error>;

/// Carries out a command. [`Task::Serve`] prints nothing here.
pub fn run(task: Task, flags: &[Flag], resolve: impl FnOnce() -> Result<Config, ConfigError>) -> CommandReport {
    let done = match task {
        Task::Serve => Ok(CommandReport::default()),
        Task::Completions(shell) => Ok(printed(cli::completions(cli::command(flags), shell))),
        Task::Manual => Ok(printed(cli::manual(cli::command(flags)))),
        Task::PrintConfig => resolve().map(|config| printed(config.to_toml())).map_err(Into::into),
        Task::CheckConfig => resolve().map_err(Into::into).and_then(|config| check(&config)),
        Task::Doctor => doctor(resolve()),
        Task::Health => resolve().map_err(Into::into).and_then(|config| health(&config)),
    };
    done.unwrap_or_else(|error: Failure| CommandReport {
        complaints: format!("inferometer: {error}\n"),
        code: ConfigError::EXIT_CODE,
        ..CommandReport::default()
    })
}

fn printed(output: impl Into<Vec<u8>>) -> CommandReport {
    CommandReport { output: output.into(), ..CommandReport::default() }
}

/// Reads every file that a start would read.
fn check(config: &Config) -> Result<CommandReport, Failure> {
    Material::load(config)?;
    let complaints = config.warnings.iter().map(|warning| format!("inferometer: warning: {warning}\n")).collect();
    Ok(CommandReport { complaints, ..printed("the configuration is fine\n") })
}

fn health(config: &Config) -> Result<CommandReport, Failure> {
    let found = block_on(doctor::health::check(config.admin_listen, admin_tls(config)?))?;
    let code = u8::from(found.is_err());
    let line = found.unwrap_or_else(|error| error);
    Ok(CommandReport { code, ..printed(format!("{line}\n")) })
}

fn admin_tls(config: &Config) -> Result<bool, FileError> {
    Ok(config.admin_web_config_file.as_deref().map(access::wants_tls).transpose()?.unwrap_or(false))
}

/// A configuration that is refused is a finding, too.
fn doctor(resolved: Result<Config, ConfigError>) -> Result<CommandReport, Failure> {
    let findings = match &resolved {
        Ok(config) => block_on(doctor::examine(&subject(config)))?,
        Err(error) => vec![Finding::refused(error)],
    };
    let code = u8::from(findings.iter().any(|finding| finding.severity == Severity::Fault));
    Ok(CommandReport { code, ..printed(doctor::report(&findings)) })
}

fn subject(config: &Config) -> doctor::Subject<'_> {
    let files = Material::load(config);
    let monitors = files.iter().flat_map(|files| config.backends.iter().map(|it| monitor::build(config, it, files)));
    doctor::Subject {
        config,
        monitors: monitors.collect(),
        admin_tls: admin_tls(config).unwrap_or(false),
        roots: doctor::Roots::default(),
        files: files.err().map(|error| error.to_string()),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::System)?;
    Ok(runtime.block_on(work))
}
