//! What the files that the configuration names hold: certificates, keys and passwords.
//!
//! Everything is read and checked before any of it is used: at start before listening, and at a reload before applying.

use std::path::PathBuf;
use std::sync::Arc;

use crate::access::private_file;
use crate::admin::access::Access;
use crate::config::{Config, Member, RemoteSettings};
use crate::remote::{Credentials, Remote};
use crate::tls::client::TlsClient;
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
    /// Prometheus; `None` if none is configured.
    pub(super) prometheus: Option<Arc<Remote>>,
    /// Its Alertmanager; `None` if none is configured.
    pub(super) alertmanager: Option<Arc<Remote>>,
    /// Other programs of this kind, by the names that they have here.
    pub(super) peers: Vec<(Arc<str>, Arc<Remote>)>,
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
        let hook = RemoteSettings {
            address: alerts.webhook.clone(),
            token_file: alerts.webhook_token_file.clone(),
            ..RemoteSettings::default()
        };
        let peers = config.peers.iter().filter_map(|peer| {
            let remote = remote("peers.", &peer.remote).transpose()?;
            Some(remote.map(|remote| (peer.name(), remote)))
        });
        Ok(Self {
            peers: peers.collect::<Result<_, _>>()?,
            backends,
            clients,
            admin,
            webhook: remote("alerts.webhook_", &hook)?,
            prometheus: remote("prometheus.", &config.prometheus)?,
            alertmanager: remote("alertmanager.", &config.alertmanager)?,
        })
    }

    /// For the backend of this name; `None` where it does not speak TLS.
    pub(super) fn of_backend(&self, name: &str) -> Option<&TlsClient> {
        self.backends.iter().find(|(known, _)| **known == *name).map(|(_, tls)| tls)
    }
}

/// A service with its credentials; `None` where it has no address. `prefix` is what the names of their keys begin with.
fn remote(prefix: &str, settings: &RemoteSettings) -> Result<Option<Arc<Remote>>, FileError> {
    let Some(address) = &settings.address else { return Ok(None) };
    let table = prefix.trim_end_matches(['.', '_']);
    let tls = address.tls.then(|| TlsClient::load_from(table, &settings.tls, &address.host)).transpose()?;
    let read = |name: &str, file: &Option<PathBuf>| {
        let key = format!("{prefix}{name}");
        file.as_ref().map(|path| private_file::read(&key, path).map(|text| (key, text.trim().to_owned()))).transpose()
    };
    let token = read("token_file", &settings.token_file)?;
    let basic = read("basic_auth_file", &settings.basic_auth_file)?;
    let credentials = match (&token, &basic) {
        (Some((_, token)), _) => Some(Credentials::Bearer(token)),
        (None, Some((key, pair))) if !pair.contains(':') => {
            let file = settings.basic_auth_file.as_deref();
            return Err(FileError::new(key.clone(), file, "is not user:password".to_owned()));
        }
        (None, Some((_, pair))) => Some(Credentials::Basic(pair)),
        (None, None) => None,
    };
    let remote = Remote::new(address.clone(), tls, credentials.as_ref());
    let refuse = |error: crate::remote::InvalidToken| {
        let key = token.as_ref().or(basic.as_ref()).map_or(prefix, |(key, _)| key);
        FileError::new(key.to_owned(), settings.token_file.as_deref(), error.to_string())
    };
    remote.map(|remote| Some(Arc::new(remote))).map_err(refuse)
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
