//! Lists events, the audit, errors, jobs and lines of the log.

mod columns;
mod table;

use super::files::files;
use super::when::range;
use crate::app::command::report::{CommandReport, Failure};
use crate::cli::{ListArguments, ListName};
use crate::config::Config;
use crate::history::Reading;
use crate::history::journal::kind::Severity;
use crate::history::journal::log_line::LEVELS;
use crate::history::query::TIME_LIMIT;
use crate::history::query::errors::{Grade, at_least};
use crate::history::query::lists::{ListFilter, ListQuery};

/// The exit code of a wrong command line.
const USAGE: u8 = 2;

pub(super) fn report(arguments: &ListArguments, config: &Config) -> Result<CommandReport, Failure> {
    let query = match query(arguments) {
        Ok(query) => query,
        Err(wrong) => return Ok(CommandReport::failed(&wrong.into(), USAGE)),
    };
    let reading = Reading::new(files(config)?, TIME_LIMIT);
    let format = arguments.format;
    let output = match arguments.name {
        ListName::Events => table::write(&reading.events(&query)?.entries, format),
        ListName::Audit => table::write(&columns::audit(reading.audit(&query)?.entries), format),
        ListName::Errors => table::write(&reading.errors(&query)?.entries, format),
        ListName::Jobs => table::write(&reading.jobs(&query)?.entries, format),
        ListName::Logs => table::write(&reading.log_lines(&query)?.entries, format),
    };
    Ok(CommandReport::of(output))
}

/// What the arguments mean, or what is wrong with them.
fn query(arguments: &ListArguments) -> Result<ListQuery, String> {
    refuse_unknown(arguments)?;
    let levels: Vec<&'static str> = match arguments.name {
        ListName::Events | ListName::Audit => Severity::ALL.map(Severity::as_str).into(),
        ListName::Errors => Grade::ALL.map(Grade::as_str).into(),
        ListName::Jobs => Vec::new(),
        ListName::Logs => LEVELS.into(),
    };
    let at_least = |least: &String| {
        at_least(&levels, least).ok_or_else(|| format!("--level {least}: expected one of {}", levels.join(", ")))
    };
    let range = range(arguments.since.as_deref(), arguments.until.as_deref())?;
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    let filter = ListFilter {
        levels: arguments.level.as_ref().map(at_least).transpose()?,
        what: text(&arguments.kind),
        who: text(&arguments.user),
        backend: text(&arguments.on),
        resource: text(&arguments.resource),
        component: text(&arguments.component),
        state: text(&arguments.state),
        states: None,
    };
    Ok(ListQuery { range, filter, offset: arguments.offset, limit: arguments.limit })
}

/// Refuses what this list cannot be filtered by.
fn refuse_unknown(arguments: &ListArguments) -> Result<(), String> {
    let ListArguments { name, level, kind, user, resource, on, component, state, .. } = arguments;
    let unknown: &[(&str, &Option<String>)] = match name {
        ListName::Events => &[("user", user), ("state", state)],
        ListName::Audit => &[],
        ListName::Errors => &[("state", state)],
        ListName::Jobs => &[("level", level), ("component", component)],
        ListName::Logs => &[("kind", kind), ("user", user), ("resource", resource), ("on", on), ("state", state)],
    };
    match unknown.iter().find(|(_, given)| given.is_some()) {
        Some((flag, _)) => Err(format!("--{flag} has no meaning for this list")),
        None => Ok(()),
    }
}
