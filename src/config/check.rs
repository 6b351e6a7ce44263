//! Validates a configuration as a whole, and warns of allowed but doubtful settings.

use std::net::SocketAddr;

use super::backends::{MAX_BACKENDS, reaches};
use super::error::ConfigError;
use super::layers::Layers;
use super::members::{Member, refuse};
use super::settings::Config;
use crate::tls::{Identity, client};

/// Refuses values that are not allowed together.
pub(super) fn check(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let (listen, admin) = (config.listen, config.admin_listen);
    check_ports_differ(layers, "admin_listen", ("clients", listen), admin)?;
    if let Some(dashboard) = config.dashboard_listen {
        check_ports_differ(layers, "dashboard_listen", ("clients", listen), dashboard)?;
        check_ports_differ(layers, "dashboard_listen", ("metrics", admin), dashboard)?;
    }
    let own: Vec<_> = [listen, admin].into_iter().chain(config.dashboard_listen).collect();
    check_members(layers, &config.members(), &own)?;
    check_home(layers, config)?;
    check_pairs(layers, config)?;
    check_remotes(layers, config)?;
    check_tokens(layers, config)
}

/// Warnings about allowed but doubtful settings.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = exposure_warnings(config);
    warnings.extend(unused_tls_warning(config));
    if config.alertmanager.address.is_some() && config.prometheus.address.is_none() {
        let text = "alertmanager_url is set, and prometheus_url, whose alerts it silences, is not: it is not asked";
        warnings.push(text.to_owned());
    }
    warnings
}

/// Refuses two listeners that would claim the same port.
fn check_ports_differ(
    layers: &Layers,
    key: &'static str,
    (what, listen): (&str, SocketAddr),
    admin: SocketAddr,
) -> Result<(), ConfigError> {
    let (one, two) = (listen.ip().to_canonical(), admin.ip().to_canonical());
    let same = one == two || one.is_unspecified() || two.is_unspecified();
    if !same || listen.port() != admin.port() || listen.port() == 0 {
        return Ok(());
    }
    Err(layers.refuse(key, format!("{what} are already served on {listen}; choose another port")))
}

/// Refuses a backend that is one of our own listeners, and two of the same name.
fn check_members(layers: &Layers, members: &[Member], own: &[SocketAddr]) -> Result<(), ConfigError> {
    for (at, Member { backend, .. }) in members.iter().enumerate() {
        if let Some(own) = own.iter().find(|own| reaches(&backend.address, **own)) {
            let reason = format!(
                "this program itself listens on {own}; give the inference server's address, or listen elsewhere"
            );
            return Err(refuse(layers, at, "backends.url", reason));
        }
        if members[..at].iter().any(|other| other.backend.name == backend.name) {
            let reason = format!("two backends have the name `{}`: give each a name of its own", backend.name);
            return Err(refuse(layers, at, "backends.name", reason));
        }
    }
    match members.len() {
        0..=MAX_BACKENDS => Ok(()),
        _ => Err(refuse(layers, MAX_BACKENDS, "backends.url", format!("at most {MAX_BACKENDS} backends are allowed"))),
    }
}

/// Refuses a home that is not the name of a backend.
fn check_home(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let Some(home) = &config.fleet.home else { return Ok(()) };
    let members = config.members();
    if members.iter().any(|member| member.backend.name == *home) {
        return Ok(());
    }
    let names: Vec<_> = members.iter().map(|member| format!("`{}`", member.backend.name)).collect();
    Err(layers.refuse("fleet.home", format!("expected the name of a backend: {}", names.join(", "))))
}

/// Refuses a certificate without its key, and a key without its certificate.
fn check_pairs(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let (clients, backend) = (&config.tls, &config.backend_tls.identity);
    check_pair(layers, clients.as_ref(), "tls.cert_file", "tls.key_file")?;
    check_pair(layers, backend.as_ref(), "backend_tls.cert_file", "backend_tls.key_file")?;
    let (prometheus, alertmanager) = (&config.prometheus.tls.identity, &config.alertmanager.tls.identity);
    check_pair(layers, prometheus.as_ref(), "prometheus.cert_file", "prometheus.key_file")?;
    check_pair(layers, alertmanager.as_ref(), "alertmanager.cert_file", "alertmanager.key_file")?;
    let own = layers.elements.iter().zip(&config.elements);
    own.into_iter().try_for_each(|((_, layers), element)| {
        check_pair(layers, element.tls.identity.as_ref(), "backends.tls.cert_file", "backends.tls.key_file")
    })
}

/// Refuses two kinds of credentials for one service.
fn check_remotes(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let (prometheus, alertmanager) = (&config.prometheus, &config.alertmanager);
    for (key, remote) in [("prometheus.token_file", prometheus), ("alertmanager.token_file", alertmanager)] {
        if remote.token_file.is_some() && remote.basic_auth_file.is_some() {
            return Err(layers.refuse(key, "basic_auth_file is set beside it: give either of them"));
        }
    }
    Ok(())
}

/// Refuses a set of keys without what tokens have to say, and the other way round.
fn check_tokens(layers: &Layers, config: &Config) -> Result<(), ConfigError> {
    let access = &config.access;
    let set = [
        ("access.jwks_file", access.jwks_file.is_some()),
        ("access.issuer", access.issuer.is_some()),
        ("access.audience", access.audience.is_some()),
    ];
    let missing = set.iter().find(|(_, is_set)| !is_set);
    match (set.iter().find(|(_, is_set)| *is_set), missing) {
        (Some((key, _)), Some((missing, _))) => Err(layers.refuse(key, format!("{missing} must be set beside it"))),
        _ => Ok(()),
    }
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
fn exposure_warnings(config: &Config) -> Vec<String> {
    let listen = config.listen;
    // Of the two addresses that show the same, the one that is exposed.
    let exposed = config.dashboard_listen.filter(|address| !address.ip().to_canonical().is_loopback());
    let admin = exposed.unwrap_or(config.admin_listen);
    let mut warnings = Vec::new();
    if !listen.ip().to_canonical().is_loopback() {
        warnings.push(format!(
            "clients are served on {listen}, beyond this machine: whoever reaches it can use the backend"
        ));
    }
    if !admin.ip().to_canonical().is_loopback() && config.admin_web_config_file.is_none() {
        let (shown, rest) = match (config.access.has_credentials(), config.access.open) {
            (true, _) => ("metrics", ""),
            (false, true) => ("metrics, page and dashboard", ""),
            (false, false) => (
                "metrics",
                "; page and dashboard are shown to nobody there, until there are passwords, API keys (access.keys_file) \
                 or tokens (access.jwks_file), or --dashboard-open shows them to everybody",
            ),
        };
        warnings.push(format!(
            "{shown} are served on {admin}, beyond this machine: whoever reaches it sees which models are used \
             (admin_web_config_file asks for a password){rest}"
        ));
    }
    warnings
}

/// Warns of TLS settings that no backend uses.
fn unused_tls_warning(config: &Config) -> Option<String> {
    let secure = config.members().iter().any(|member| member.backend.address.tls);
    let used = secure || config.backend_tls == client::Settings::default();
    (!used)
        .then(|| "backend_tls is set, and the backend is spoken to without TLS: write https:// in --backend".to_owned())
}
