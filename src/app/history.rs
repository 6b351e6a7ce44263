//! Starts the history of exchanges.

use std::io;
use std::sync::Arc;

use crate::backend::catalogue::Catalogue;
use crate::config::Config;
use crate::history::History;
use crate::history::settings::Settings;

/// Starts it in the configured directory, else where the environment says. A model has the name that the catalogue
/// confirms.
pub(super) fn start(config: &Config, catalogue: Arc<Catalogue>) -> io::Result<History> {
    let directory = config.history.directory.clone().or_else(|| config.state_directory.clone());
    let settings = Settings { directory, ..config.history.clone() };
    History::start(settings, Box::new(move |backend, dialect, name| catalogue.label(backend, dialect, name)))
}
