//! Starts the history of exchanges.

use std::io;
use std::sync::Arc;

use crate::backend::catalogue::Catalogue;
use crate::config::Config;
use crate::history::readers::Readers;
use crate::history::settings::{Engine, Settings};
use crate::history::{Directory, History};

/// Starts it in the configured directory, or else in the environment's state directory. Models are named as the
/// catalogue lists them.
pub(super) fn start(config: &Config, catalogue: Arc<Catalogue>) -> io::Result<History> {
    let confirm = Box::new(move |backend: &_, dialect, name: &_| catalogue.label(backend, dialect, name));
    History::start(settings(config), confirm)
}

/// Starts the threads that answer questions; `None` where nothing is kept.
pub(super) fn readers(config: &Config) -> io::Result<Option<Readers>> {
    directory(config).map(|directory| Readers::start(&directory)).transpose()
}

/// The directory of the files; `None` where nothing is kept, or no directory is known.
pub(super) fn directory(config: &Config) -> Option<Directory> {
    let Settings { engine, directory, .. } = settings(config);
    directory.filter(|_| engine != Engine::Off).map(|data| Directory::within(&data))
}

fn settings(config: &Config) -> Settings {
    let directory = config.history.directory.clone().or_else(|| config.state_directory.clone());
    Settings { directory, ..config.history.clone() }
}
