//! `inferometer top` and `inferometer snapshot`: where the program is, and what is shown of it.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

/// Which program is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetArguments {
    /// Its second listener; `None` is the one of this machine's settings.
    pub url: Option<String>,
    /// A file with an API key or a token.
    pub token_file: Option<PathBuf>,
}

/// What `top` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopArguments {
    /// Which program is asked.
    pub target: TargetArguments,
    /// One frame as text, in place of the screen.
    pub once: bool,
}

/// What `snapshot` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotArguments {
    /// Which program is asked.
    pub target: TargetArguments,
    /// How far back, as it was typed.
    pub last: String,
}

fn with_target(command: Command) -> Command {
    command
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .value_hint(ValueHint::Url)
                .help("Its second listener, such as https://gpu-box:8001; without it that of this machine's settings"),
        )
        .arg(
            Arg::new("token-file")
                .long("token-file")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .value_parser(value_parser!(PathBuf))
                .help("A file with an API key or a token, where it wants credentials"),
        )
}

fn target(matches: &ArgMatches) -> TargetArguments {
    TargetArguments {
        url: matches.get_one::<String>("url").cloned(),
        token_file: matches.get_one::<PathBuf>("token-file").cloned(),
    }
}

pub(super) fn top_command() -> Command {
    with_target(Command::new("top").about("Show what the running program does, in the terminal"))
        .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("Print it once, as text, and end"))
}

pub(super) fn top(matches: &ArgMatches) -> TopArguments {
    TopArguments { target: target(matches), once: matches.get_flag("once") }
}

pub(super) fn snapshot_command() -> Command {
    with_target(
        Command::new("snapshot")
            .about("Write what the running program shows as one HTML file without addresses, to attach to a report"),
    )
    .arg(Arg::new("last").long("last").value_name("DURATION").default_value("15m").help("How far back: 15m, 6h, 7d"))
}

pub(super) fn snapshot(matches: &ArgMatches) -> SnapshotArguments {
    SnapshotArguments {
        target: target(matches),
        last: matches.get_one::<String>("last").cloned().expect("it has a default"),
    }
}
