//! `inferometer history export`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueEnum, ValueHint, value_parser};

/// How exchanges are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Values separated by commas, after a line with their names
    #[default]
    Csv,
    /// A JSON object a line
    Json,
}

/// What was asked for. Texts are as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportArguments {
    /// How it is written.
    pub format: ExportFormat,
    /// Not older than this.
    pub since: Option<String>,
    /// Older than this.
    pub until: Option<String>,
    /// On this backend.
    pub on: Option<String>,
    /// On this model.
    pub model: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this product.
    pub client: Option<String>,
    /// On this endpoint.
    pub endpoint: Option<String>,
    /// Of this kind.
    pub operation: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// That did not complete.
    pub failed: bool,
    /// Where to; `None` is standard output.
    pub output: Option<PathBuf>,
}

pub(super) fn command() -> Command {
    let text =
        |id: &'static str, name: &'static str, help: &'static str| Arg::new(id).long(id).value_name(name).help(help);
    Command::new("export")
        .about("Write exchanges as CSV or as JSON lines, the oldest first")
        .arg(
            text("format", "FORMAT", "How to write them")
                .value_parser(value_parser!(ExportFormat))
                .default_value("csv"),
        )
        .arg(text("since", "WHEN", "Not older than this: a time such as 2026-11-29T12:30, or how long ago, such as 1h"))
        .arg(text("until", "WHEN", "Older than this"))
        .arg(text("on", "BACKEND", "Those on this backend"))
        .arg(text("model", "NAME", "Those on this model"))
        .arg(text("tenant", "NAME", "Those of this tenant"))
        .arg(text("client", "NAME", "Those of this product of a client"))
        .arg(text("endpoint", "PATH", "Those on this endpoint, such as /api/chat"))
        .arg(text("operation", "KIND", "Those of this kind, such as chat or embeddings"))
        .arg(text("outcome", "OUTCOME", "Those that ended so, such as completed or truncated"))
        .arg(Arg::new("failed").long("failed").action(ArgAction::SetTrue).help("Those that did not complete"))
        .arg(
            text("output", "FILE", "A new file to write to, instead of standard output")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath),
        )
}

pub(super) fn arguments(matches: &ArgMatches) -> ExportArguments {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    ExportArguments {
        format: matches.get_one("format").copied().unwrap_or_default(),
        since: text("since"),
        until: text("until"),
        on: text("on"),
        model: text("model"),
        tenant: text("tenant"),
        client: text("client"),
        endpoint: text("endpoint"),
        operation: text("operation"),
        outcome: text("outcome"),
        failed: matches.get_flag("failed"),
        output: matches.get_one("output").cloned(),
    }
}
