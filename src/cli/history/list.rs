//! `inferometer history list …`: events, the audit, errors, jobs and lines of the log.

use clap::{Arg, ArgMatches, Command, ValueEnum, value_parser};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListName {
    /// What happened to the program, to backends and models
    Events,
    /// Who changed models, and who signed in
    Audit,
    /// Failed exchanges and grave events
    Errors,
    /// Pulls, pushes and creates
    Jobs,
    /// Lines of the log
    Logs,
}

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
    /// Values separated by commas, after a line with their names
    Csv,
}

/// What was asked for. Texts are as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListArguments {
    /// What is listed.
    pub name: ListName,
    /// How it is written.
    pub format: ListFormat,
    /// Not older than this.
    pub since: Option<String>,
    /// Older than this.
    pub until: Option<String>,
    /// At least so grave.
    pub level: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// By this tenant, user or product.
    pub user: Option<String>,
    /// To this model.
    pub resource: Option<String>,
    /// On this backend.
    pub on: Option<String>,
    /// From this part of the program.
    pub component: Option<String>,
    /// With this result, or in this state.
    pub state: Option<String>,
    /// How many.
    pub limit: usize,
    /// How many to leave out.
    pub offset: usize,
}

pub(super) fn command() -> Command {
    let text =
        |id: &'static str, name: &'static str, help: &'static str| Arg::new(id).long(id).value_name(name).help(help);
    let count = |id: &'static str, default: &'static str, help: &'static str| {
        text(id, "COUNT", help).default_value(default).value_parser(value_parser!(usize))
    };
    Command::new("list")
        .about("List events, the audit, errors, jobs or lines of the log, the newest first")
        .arg(Arg::new("name").value_name("LIST").required(true).value_parser(value_parser!(ListName)))
        .arg(text("since", "WHEN", "Not older than this: a time such as 2026-11-29T12:30, or how long ago, such as 1h"))
        .arg(text("until", "WHEN", "Older than this"))
        .arg(text(
            "level",
            "LEVEL",
            "At least so grave: info to critical; of errors low to critical, of logs trace to error",
        ))
        .arg(text("kind", "KIND", "Of this kind: of event, action, job or error").visible_alias("action"))
        .arg(text("user", "WHO", "By this tenant, user of the second listener or product of a client"))
        .arg(text("resource", "NAME", "To this model, or about this collector or certificate"))
        .arg(text("on", "BACKEND", "On this backend"))
        .arg(text("component", "PART", "From this part of the program, such as backend or history"))
        .arg(text("state", "STATE", "Actions with this result, or jobs in this state"))
        .arg(count("limit", "100", "How many, up to 10000"))
        .arg(count("offset", "0", "How many of the newest to leave out"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .help("How to write it")
                .default_value("text")
                .value_parser(value_parser!(ListFormat)),
        )
}

pub(super) fn arguments(matches: &ArgMatches) -> ListArguments {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let count = |id: &str| *matches.get_one::<usize>(id).expect("it has a default");
    ListArguments {
        name: *matches.get_one("name").expect("clap requires it"),
        format: *matches.get_one("format").expect("it has a default"),
        since: text("since"),
        until: text("until"),
        level: text("level"),
        kind: text("kind"),
        user: text("user"),
        resource: text("resource"),
        on: text("on"),
        component: text("component"),
        state: text("state"),
        limit: count("limit"),
        offset: count("offset"),
    }
}
