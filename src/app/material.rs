//! What the files that the configuration names hold: certificates, keys and passwords.
//!
//! Everything is read and checked before any of it is used: at start before listening, and at a reload before applying.

use crate::admin::access::Access;
use crate::config::Config;
use crate::tls::client::TlsClient;
use crate::tls::server::{ClientVerification, Settings, TlsServer, TlsVersion};
use crate::tls::{FileError, Identity};

/// Ready for use.
pub struct Material {
    /// For an `https://` backend; `None` where no backend speaks TLS.
    pub(super) backend: Option<TlsClient>,
    /// For the clients' listener; `None` is plain HTTP.
    pub(super) clients: Option<TlsServer>,
    /// For the second listener.
    pub(super) admin: Access,
}

impl Material {
    /// Reads every file that is named.
    ///
    /// # Errors
    /// When one is missing, is malformed, or does not fit another.
    pub fn load(config: &Config) -> Result<Self, FileError> {
        let secure = config.backends.iter().find(|backend| backend.address.tls);
        let backend = secure.map(|backend| TlsClient::load(&config.backend_tls, &backend.address.host)).transpose()?;
        let admin = match &config.admin_web_config_file {
            Some(path) => Access::load(path)?,
            None => Access::open(),
        };
        let clients = config.tls.as_ref().map(|identity| server(identity, config.proxy.http2)).transpose()?;
        Ok(Self { backend, clients, admin })
    }
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
