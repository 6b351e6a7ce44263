//! Starts the history of exchanges.

use std::io;
use std::sync::Arc;

use crate::backend::catalogue::Catalogue;
use crate::config::Config;
use crate::history::journal::log_line::{LineSource, LogLine};
use crate::history::readers::Readers;
use crate::history::replica::{self, ReplicaThread};
use crate::history::settings::{Engine, Settings};
use crate::history::state::Activity;
use crate::history::{Directory, History, Server, Verification};
use crate::host;
use crate::logs::{KeptLine, KeptLines};
use crate::tls::client;

/// Starts it in the configured directory, else where the environment says. A model has the name that the catalogue
/// confirms.
pub(super) fn start(config: &Config, catalogue: Arc<Catalogue>) -> io::Result<History> {
    let confirm = Box::new(move |backend: &_, dialect, name: &_| catalogue.label(backend, dialect, name));
    History::start(settings(config), confirm)
}

/// Starts the threads that answer questions; `None` where nothing is kept.
pub(super) fn readers(config: &Config) -> io::Result<Option<Readers>> {
    directory(config).map(|directory| Readers::start(&directory, server(config).as_ref())).transpose()
}

/// Starts the copy to PostgreSQL; `None` where none is configured.
pub(super) fn copy(config: &Config, history: &History) -> io::Result<Option<ReplicaThread>> {
    let Some((directory, server)) = directory(config).zip(server(config)) else { return Ok(None) };
    let (instance, retention) = (config.history.instance.clone(), config.history.retention.clone());
    let settings =
        replica::Settings { directory, server, instance, node: host::node(), retention, pace: replica::PACE };
    replica::start(settings, history.state()).map(Some)
}

/// The directory of the files; `None` where nothing is kept, or no directory is known.
pub(super) fn directory(config: &Config) -> Option<Directory> {
    let Settings { engine, directory, .. } = settings(config);
    directory.filter(|_| engine != Engine::Off).map(|data| Directory::within(&data))
}

/// The PostgreSQL server that is configured.
pub(super) fn server(config: &Config) -> Option<Server> {
    let Engine::Postgres(target) = config.history.engine.clone() else { return None };
    let tls = |verification: &Verification| match verification {
        Verification::None => Ok(client::encrypting()),
        Verification::Full(file) => client::verifying(file.as_deref()).map_err(|error| error.to_string()),
    };
    Some(Server { target, tls: Arc::new(tls) })
}

fn settings(config: &Config) -> Settings {
    let directory = config.history.directory.clone().or_else(|| config.state_directory.clone());
    Settings { directory, ..config.history.clone() }
}

/// Has the history keep the lines of the log, unless it keeps nothing.
pub(super) fn keep_log(history: &History, lines: &KeptLines) {
    if history.state().health().activity != Activity::Off {
        lines.begin();
        history.watch_log(Box::new(LogLines(lines.clone())));
    }
}

struct LogLines(KeptLines);

impl LineSource for LogLines {
    fn next(&mut self) -> Option<LogLine> {
        let KeptLine { at, level, component, message, fields } = self.0.take()?;
        Some(LogLine { at, level, component, message, fields })
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}
