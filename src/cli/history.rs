//! `inferometer history …`: what can be asked of the history's files, and done with them.
//!
//! Texts stay texts, as with all that is typed: [`crate::app`] decides what they mean.

pub(super) mod list;

use clap::{ArgMatches, Command};

use list::ListArguments;

/// What to do with the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryTask {
    /// Say what is kept.
    Status,
    /// List what is kept beside exchanges.
    List(Box<ListArguments>),
}

/// The command with its own commands, one of which is required.
pub(super) fn command() -> Command {
    let about = "Look at the history of exchanges, or work on its files";
    Command::new("history")
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(list::command())
        .subcommand(Command::new("status").about("Say what is kept, since when, and how the running program does"))
}

/// What was asked for.
pub(super) fn task(matches: &ArgMatches) -> HistoryTask {
    match matches.subcommand() {
        Some(("list", matches)) => HistoryTask::List(Box::new(list::arguments(matches))),
        Some(("status", _)) => HistoryTask::Status,
        _ => unreachable!("clap requires one of the commands"),
    }
}
