//! Validates a configuration as a whole, and warns of allowed but doubtful settings.

use std::net::SocketAddr;

use super::backends::reaches;
use super::error::ConfigError;
use super::layers::Layers;
use super::settings::Config;
use crate::backend::Backend;
use crate::tls::{Identity, client};

/// Refuses values that are not allowed together.
pub(super) fn check(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let (listen, admin) = (config.listen, config.admin_listen);
    check_ports_differ(layers, listen, admin)?;
    check_no_loop(layers, &config.backends, &[listen, admin])?;
    check_pairs(layers, config)
}

/// Warnings about allowed but doubtful settings.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = exposure_warnings(config.listen, config.admin_listen, config.admin_web_config_file.is_some());
    warnings.extend(unused_tls_warning(config));
    warnings
}

/// Refuses two listeners that would claim the same port.
fn check_ports_differ(layers: &Layers, listen: SocketAddr, admin: SocketAddr) -> Result<(), ConfigError> {
    let (one, two) = (listen.ip().to_canonical(), admin.ip().to_canonical());
    let same = one == two || one.is_unspecified() || two.is_unspecified();
    if !same || listen.port() != admin.port() || listen.port() == 0 {
        return Ok(());
    }
    Err(layers.refuse("admin_listen", format!("clients are already served on {listen}; choose another port")))
}

/// Refuses a backend that is one of our own listeners.
fn check_no_loop(layers: &Layers, backends: &[Backend], own: &[SocketAddr]) -> Result<(), ConfigError> {
    let reached = |backend: &Backend| own.iter().find(|own| reaches(&backend.address, **own)).copied();
    match backends.iter().find_map(reached) {
        None => Ok(()),
        Some(own) => Err(layers.refuse(
            "backend",
            format!("this program itself listens on {own}; give the inference server's address, or listen elsewhere"),
        )),
    }
}

/// Refuses a certificate without its key, and a key without its certificate.
fn check_pairs(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let (clients, backend) = (&config.tls, &config.backend_tls.identity);
    check_pair(layers, clients.as_ref(), "tls.cert_file", "tls.key_file")?;
    check_pair(layers, backend.as_ref(), "backend_tls.cert_file", "backend_tls.key_file")
}

fn check_pair(
    layers: &Layers,
    identity: Option<&Identity>,
    cert: &'static str,
    key: &'static str,
) -> Result<(), ConfigError> {
    let Some(Identity { cert_file, key_file }) = identity else { return Ok(()) };
    let alone = |key, missing| Err(layers.refuse(key, format!("{missing} must be set beside it")));
    match (cert_file.as_os_str().is_empty(), key_file.as_os_str().is_empty()) {
        (true, _) => alone(key, cert),
        (false, true) => alone(cert, key),
        (false, false) => Ok(()),
    }
}

/// Warns of listeners that other machines can reach.
fn exposure_warnings(listen: SocketAddr, admin: SocketAddr, admin_is_guarded: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !listen.ip().to_canonical().is_loopback() {
        warnings.push(format!(
            "clients are served on {listen}, beyond this machine: whoever reaches it can use the backend"
        ));
    }
    if !admin.ip().to_canonical().is_loopback() && !admin_is_guarded {
        warnings.push(format!(
            "metrics are served on {admin}, beyond this machine: whoever reaches it sees which models are used \
             (admin_web_config_file asks for a password)"
        ));
    }
    warnings
}

/// Warns of TLS settings that no backend uses.
fn unused_tls_warning(config: &Config) -> Option<String> {
    let used =
        config.backends.iter().any(|backend| backend.address.tls) || config.backend_tls == client::Settings::default();
    (!used)
        .then(|| "backend_tls is set, and the backend is spoken to without TLS: write https:// in --backend".to_owned())
}
