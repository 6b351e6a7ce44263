//! `[tls]` and `[backend_tls]`: names of files. What is in them is read when the program starts.

use std::path::PathBuf;

use super::error::ConfigError;
use super::layers::Layers;
use super::value;
use crate::backend::Backend;
use crate::tls::{Identity, client};

/// What clients see; a certificate and its key, or neither.
pub(super) fn of_clients(layers: &Layers) -> Result<Option<Identity>, ConfigError> {
    identity(layers, "tls.cert_file", "tls.key_file")
}

/// How an `https://` backend is spoken to.
pub(super) fn of_backend(layers: &Layers) -> Result<client::Settings, ConfigError> {
    Ok(client::Settings {
        ca_file: file(layers, "backend_tls.ca_file")?,
        identity: identity(layers, "backend_tls.cert_file", "backend_tls.key_file")?,
        server_name: layers.value("backend_tls.server_name", None, value::server_name)?,
    })
}

/// A word on TLS that no backend asks for.
pub(super) fn idle(backends: &[Backend], settings: &client::Settings) -> Option<String> {
    let used = backends.iter().any(|backend| backend.address.tls) || *settings == client::Settings::default();
    (!used)
        .then(|| "backend_tls is set, and the backend is spoken to without TLS: write https:// in --backend".to_owned())
}

fn identity(layers: &Layers, cert: &'static str, key: &'static str) -> Result<Option<Identity>, ConfigError> {
    match (file(layers, cert)?, file(layers, key)?) {
        (Some(cert_file), Some(key_file)) => Ok(Some(Identity { cert_file, key_file })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(alone(layers, cert, key)),
        (None, Some(_)) => Err(alone(layers, key, cert)),
    }
}

fn file(layers: &Layers, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
    layers.value(key, None, value::file)
}

fn alone(layers: &Layers, key: &'static str, missing: &str) -> ConfigError {
    let value = layers.all(key).last().map_or_else(String::new, |setting| setting.text.clone());
    ConfigError::Value { key, origin: layers.origin(key), value, reason: format!("{missing} must be set beside it") }
}
