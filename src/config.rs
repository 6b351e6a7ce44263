//! Resolves the settings: flags over environment over file over defaults, validated.
//!
//! Every setting is a line of one table (`config/keys.rs`), and a field that it fills.
//!
//! Promises: [`resolve`] is pure apart from the file reader passed to it; an invalid value is refused with its key, its
//! origin and what is allowed; the output of [`Config::to_toml`] reads back as the same configuration. Left out:
//! whether an address can be bound or a name resolves.

mod backends;
mod check;
mod element;
pub mod error;
pub mod file_sd;
mod hint;
mod invalid;
mod key;
mod keys;
mod kind;
mod layers;
mod members;
mod peer;
mod peers;
mod print;
mod reload;
mod settings;
mod similar;
mod state_directory;
mod value;
mod write;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::cli::{self, Cli};
use error::ConfigError;
use key::Key;
use keys::KEYS;
use layers::Layers;
pub use members::Member;
pub use reload::Reloaded;
pub use settings::{
    BackendElement, Bounds, Buckets, Config, DiscoverySettings, ElectricityPrice, MaxConnections, Peer, RemoteSettings,
};
pub use value::parse_duration as duration;

/// The flags of all keys that have one.
#[must_use]
pub fn flags() -> Vec<cli::Flag> {
    let default = |key: &Key<Config>| match key.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let flag = |key: &Key<Config>| cli::Flag {
        key: key.name,
        name: key::flag(key.name),
        placeholder: key.field.placeholder(),
        help: format!("{}{}", key.help, default(key)),
        is_list: key.field.is_list(),
    };
    KEYS.iter().filter(|key| key.has_flag()).map(flag).collect()
}

/// Merges the sources and validates the result. `env` is the process's environment; `read` reads the file that
/// `--config` or `INFEROMETER_CONFIG` names.
pub fn resolve(
    cli: &Cli,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    read: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<Config, ConfigError> {
    let env: Vec<_> = env.into_iter().collect();
    let state_directory = state_directory::of(&env);
    let mut layers = Layers::collect(KEYS, cli, env, read)?;
    let mut config = Config { state_directory, ..Config::blank() };
    layers.fill(KEYS, &mut config)?;
    members::fill(&mut layers, &mut config)?;
    config.peers = peers::read(&layers)?;
    check::check(&layers, &config)?;
    config.origins = layers.origins();
    config.warnings = std::mem::take(&mut layers.warnings);
    config.warnings.extend(check::warnings(&config));
    Ok(config)
}

#[cfg(test)]
mod tests;
