//! `backup`, `forget` and `check`: work on all files.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;

use super::files::files;
use crate::app;
use crate::app::command::report::{CommandReport, Failure};
use crate::cli::ForgottenName;
use crate::config::Config;
use crate::history::names::NameKind;
use crate::history::timestamp::Timestamp;
use crate::history::{self, Forgotten, Hour};

/// Says on a terminal what is done.
pub(super) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        let _closed = writeln!(std::io::stderr(), "{text}");
    }
}

pub(super) fn backup(to: &Path, config: &Config) -> Result<CommandReport, Failure> {
    let from = files(config)?;
    let done = |path: &Path| progress(&format!("{}: copied and checked", path.display()));
    let count = history::backup(&from, to, done)?;
    let said = format!("{count} files were copied and checked; --data-dir {} runs on them\n", to.display());
    Ok(CommandReport::of(said))
}

pub(super) fn forget(name: &ForgottenName, config: &Config) -> Result<CommandReport, Failure> {
    let directory = files(config)?;
    let (kind, name) = match name {
        ForgottenName::Tenant(name) => (NameKind::Tenant, name),
        ForgottenName::Client(name) => (NameKind::Client, name),
        ForgottenName::Model(name) => (NameKind::Model, name),
    };
    let what = Forgotten { kind, name: name.clone() };
    let removed = history::forget(&directory, &what, |path, removed| {
        progress(&format!("{}: {} exchanges, {} sums removed", path.display(), removed.exchanges, removed.sums));
    })?;
    let mut said = format!(
        "removed {} exchanges, {} sums, {} events, jobs and lines of the log\n",
        removed.exchanges, removed.sums, removed.others
    );
    if let Some(server) = app::history::server(config) {
        let removed = history::forget_on(&server, &what)?;
        writeln!(said, "removed {} exchanges, {} sums from {}", removed.exchanges, removed.sums, server.target)
            .expect("a string takes all that is written");
    }
    Ok(CommandReport::of(said))
}

pub(super) fn check(config: &Config) -> Result<CommandReport, Failure> {
    let found = history::check(&files(config)?, |path| progress(&format!("{}: examined", path.display())))?;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes all that is written");
    for (path, why) in &found.damaged {
        line(format!("damaged: {}: {}", path.display(), why.escape_debug()));
    }
    let hour = |Hour { at, rows, sums }: &Hour| format!("{}: {rows} exchanges in rows, {sums} in sums", Timestamp(*at));
    found.lacking.iter().for_each(|it| line(format!("sums lack exchanges: {}", hour(it))));
    found.lost.iter().for_each(|it| line(format!("rows were lost while writing was paused: {}", hour(it))));
    line(format!("{} files are sound; rows and sums of {} hours were compared", found.sound, found.hours));
    let is_wrong = !found.damaged.is_empty() || !found.lacking.is_empty();
    Ok(CommandReport { code: u8::from(is_wrong), ..CommandReport::of(text) })
}
