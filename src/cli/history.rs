//! `inferometer history …`: what can be asked of the history's files, and done with them.
//!
//! Texts stay texts, as with all that is typed: [`crate::app`] decides what they mean.

pub(super) mod export;
pub(super) mod list;

use std::path::PathBuf;

use clap::{Arg, ArgGroup, ArgMatches, Command, ValueHint, value_parser};

use export::ExportArguments;

use list::ListArguments;

/// What to do with the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryTask {
    /// Say what is kept.
    Status,
    /// List what is kept beside exchanges.
    List(Box<ListArguments>),
    /// Write exchanges.
    Export(Box<ExportArguments>),
    /// Copy all files into this directory.
    Backup(PathBuf),
    /// Remove all that is of a name.
    Forget(ForgottenName),
    /// Examine all files.
    Check,
}

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgottenName {
    /// A tenant.
    Tenant(String),
    /// A product of a client.
    Client(String),
    /// A model.
    Model(String),
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
        .subcommand(export::command())
        .subcommand(backup())
        .subcommand(forget())
        .subcommand(Command::new("check").about("Examine all files, and whether rows and sums agree; changes nothing"))
        .subcommand(Command::new("status").about("Say what is kept, since when, and how the running program does"))
}

fn backup() -> Command {
    let directory = Arg::new("directory").value_name("DIRECTORY").required(true).value_hint(ValueHint::DirPath);
    Command::new("backup")
        .about("Copy all files, beside a running program or without one, and check the copies")
        .arg(directory.value_parser(value_parser!(PathBuf)).help("A directory that has no history yet: a --data-dir"))
}

fn forget() -> Command {
    let name = |id: &'static str, help: &'static str| Arg::new(id).long(id).value_name("NAME").help(help);
    Command::new("forget")
        .about("Remove the exchanges, sums, events, jobs and log lines of a tenant, a product or a model from all files, for good")
        .arg(name("tenant", "The tenant, as it is shown"))
        .arg(name("client", "The product of a client, the first word of its User-Agent"))
        .arg(name("model", "The model, as it is shown"))
        .group(ArgGroup::new("name").args(["tenant", "client", "model"]).required(true))
}

fn forgotten(matches: &ArgMatches) -> ForgottenName {
    let name = |id: &str| matches.get_one::<String>(id).cloned();
    let tenant = name("tenant").map(ForgottenName::Tenant);
    let other = tenant.or_else(|| name("client").map(ForgottenName::Client));
    other.or_else(|| name("model").map(ForgottenName::Model)).expect("clap requires one of them")
}

/// What was asked for.
pub(super) fn task(matches: &ArgMatches) -> HistoryTask {
    match matches.subcommand() {
        Some(("list", matches)) => HistoryTask::List(Box::new(list::arguments(matches))),
        Some(("export", matches)) => HistoryTask::Export(Box::new(export::arguments(matches))),
        Some(("backup", matches)) => {
            HistoryTask::Backup(matches.get_one("directory").cloned().expect("clap requires it"))
        }
        Some(("forget", matches)) => HistoryTask::Forget(forgotten(matches)),
        Some(("check", _)) => HistoryTask::Check,
        Some(("status", _)) => HistoryTask::Status,
        _ => unreachable!("clap requires one of the commands"),
    }
}
