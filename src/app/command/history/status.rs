//! What is kept, and how the running program does.

use std::fmt::Write;

use super::files::files;
use crate::app::command::report::{CommandReport, Failure};
use crate::app::command::running::{admin_tls, block_on};
use crate::config::Config;
use crate::doctor::health;
use crate::history::Reading;
use crate::history::journal::kind::JournalKind;
use crate::history::query::TIME_LIMIT;
use crate::history::query::kept::Kept;
use crate::history::state::KeptEntries;
use crate::history::timestamp::Timestamp;

pub(super) fn report(config: &Config) -> Result<CommandReport, Failure> {
    let directory = files(config)?;
    let kept = Reading::new(directory.clone(), TIME_LIMIT).kept()?;
    let running = block_on(health::history(config.admin_listen, admin_tls(config)?))?;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name:<11}{value}").expect("a string takes all that is written");
    };
    line("directory", &directory.path().display().to_string());
    line("size", &size(kept.bytes));
    line("exchanges", &exchanges(&kept));
    line("minutes", &since(kept.minutes_from));
    line("hours", &since(kept.hours_from));
    for (kind, entries) in JournalKind::ALL.into_iter().zip(kept.entries) {
        line(plural(kind), &counted(entries));
    }
    line("program", &running.unwrap_or_else(|error| error));
    Ok(CommandReport::of(text))
}

fn exchanges(kept: &Kept) -> String {
    match (kept.oldest, kept.newest) {
        (Some(oldest), Some(newest)) => {
            let plural = if kept.days == 1 { "" } else { "s" };
            format!("from {} to {}, in {} file{plural}", Timestamp(oldest), Timestamp(newest), kept.days)
        }
        _ => "none".to_owned(),
    }
}

/// What a list of this kind is called.
fn plural(kind: JournalKind) -> &'static str {
    match kind {
        JournalKind::Event => "events",
        JournalKind::Audit => "audit",
        JournalKind::Job => "jobs",
        JournalKind::LogLine => "logs",
    }
}

fn counted(entries: KeptEntries) -> String {
    match entries.oldest {
        Some(_) => format!("{} {}", entries.count, since(entries.oldest)),
        None => "none".to_owned(),
    }
}

fn since(millis: Option<i64>) -> String {
    millis.map_or_else(|| "none".to_owned(), |millis| format!("since {}", Timestamp(millis)))
}

/// Bytes, in the unit that makes the number readable.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes >= f64::from(1 << 30) => format!("{:.1} GiB", bytes / f64::from(1 << 30)),
        bytes if bytes >= f64::from(1 << 20) => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
        bytes => format!("{:.0} KiB", (bytes / 1024.0).ceil()),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_the_unit_that_makes_it_readable() {
        for (bytes, text) in [(0, "0 KiB"), (1, "1 KiB"), (1 << 20, "1.0 MiB"), (5 << 29, "2.5 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
