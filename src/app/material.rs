//! What the files that the configuration names hold: certificates, keys and passwords.
//!
//! Everything is read and checked before any of it is used: at start before listening, and at a reload before applying.

use std::path::Path;
use std::sync::Arc;

use crate::access::private_file;
use crate::admin::access::Access;
use crate::backend::address::Address;
use crate::config::{Config, Member};
use crate::remote::Remote;
use crate::tls::client::{self, TlsClient};
use crate::tls::server::{ClientVerification, Settings, TlsServer, TlsVersion};
use crate::tls::{FileError, Identity};

/// Ready for use.
pub struct Material {
    /// For each `https://` backend, by its name.
    backends: Vec<(Arc<str>, TlsClient)>,
    /// For the clients' listener; `None` is plain HTTP.
    pub(super) clients: Option<TlsServer>,
    /// For the second listener.
    pub(super) admin: Access,
    /// The webhook that is notified of alerts; `None` if none is configured.
    pub(super) webhook: Option<Arc<Remote>>,
}

impl Material {
    /// Reads every file that is named.
    ///
    /// # Errors
    /// When one is missing, is malformed, or does not fit another.
    pub fn load(config: &Config) -> Result<Self, FileError> {
        let members = config.members();
        let secure = members.iter().filter(|member| member.backend.address.tls);
        let backends = secure.map(|Member { backend, tls, tls_table, .. }| {
            Ok((backend.name.clone(), TlsClient::load_from(tls_table, tls, &backend.address.host)?))
        });
        let backends = backends.collect::<Result<_, FileError>>()?;
        let admin = Access::load(config.admin_web_config_file.as_deref(), &config.access)?;
        let clients = config.tls.as_ref().map(|identity| server(identity, config.proxy.http2)).transpose()?;
        let alerts = &config.alerts;
        let webhook = alerts
            .webhook
            .as_ref()
            .map(|address| remote("alerts.webhook", address, alerts.webhook_token_file.as_deref()).map(Arc::new));
        Ok(Self { backends, clients, admin, webhook: webhook.transpose()? })
    }

    /// For the backend of this name; `None` where it does not speak TLS.
    pub(super) fn of_backend(&self, name: &str) -> Option<&TlsClient> {
        self.backends.iter().find(|(known, _)| **known == *name).map(|(_, tls)| tls)
    }
}

/// A service at this address, with the token of a file. `key` is what their keys begin with.
fn remote(key: &str, address: &Address, token_file: Option<&Path>) -> Result<Remote, FileError> {
    let token_key = format!("{key}_token_file");
    let token = token_file.map(|path| private_file::read(&token_key, path)).transpose()?;
    let tls =
        address.tls.then(|| TlsClient::load_from(key, &client::Settings::default(), &address.host)).transpose()?;
    let token = token.as_deref().map(str::trim);
    Remote::new(address.clone(), tls, token).map_err(|error| FileError::new(token_key, token_file, error.to_string()))
}

fn server(identity: &Identity, http2: bool) -> Result<TlsServer, FileError> {
    TlsServer::load(&Settings {
        identity: identity.clone(),
        clients: ClientVerification::Anyone,
        min_version: TlsVersion::Tls12,
        http2,
        table: "tls",
    })
}
