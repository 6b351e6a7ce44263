//! `inferometer history …`.

mod csv;
mod export;
mod files;
mod list;
mod status;
mod when;
mod work;

use super::report::CommandReport;
use crate::cli::HistoryTask;
use crate::config::Config;

/// The exit code where a fault was found, or something could not be done.
const FAILED: u8 = 1;

/// Carries out a command on the history.
pub(super) fn run(task: &HistoryTask, config: &Config) -> CommandReport {
    let done = match task {
        HistoryTask::List(arguments) => list::report(arguments, config),
        HistoryTask::Export(arguments) => export::report(arguments, config),
        HistoryTask::Backup(to) => work::backup(to, config),
        HistoryTask::Forget(name) => work::forget(name, config),
        HistoryTask::Check => work::check(config),
        HistoryTask::Status => status::report(config),
    };
    done.unwrap_or_else(|error| CommandReport::failed(&error, FAILED))
}
