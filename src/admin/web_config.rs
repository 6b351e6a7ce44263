//! The web configuration file, in the shape that Prometheus exporters use.
//!
//! ```yaml
//! tls_server_config:
//!   cert_file: admin.crt
//!   key_file: admin.key
//!   client_auth_type: RequireAndVerifyClientCert   # or VerifyClientCertIfGiven, NoClientCert (the default)
//!   client_ca_file: clients.crt
//!   min_version: TLS12                             # or TLS13
//! basic_auth_users:
//!   prometheus: $2y$10$...                         # bcrypt, as `htpasswd -nB` writes it
//! ```
//!
//! Paths are relative to the file. What exporters know besides (cipher suites, headers, certificates within the file)
//! is refused by name rather than ignored; `docs/security.md` lists it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::policy::Policy;
use crate::access::Users;
use crate::tls::server::{ClientVerification, Settings, TlsServer, TlsVersion};
use crate::tls::{FileError, Identity};

const KEY: &str = "admin_web_config_file";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    tls_server_config: Option<Tls>,
    basic_auth_users: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: ClientAuth,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    min_version: MinVersion,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum ClientAuth {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// What the file says.
#[derive(Default)]
pub(super) struct WebConfig {
    pub(super) policy: Policy,
    /// `None` where there are none.
    pub(super) users: Option<Users>,
    /// Whether each connection has a certificate that was verified.
    pub(super) needs_certificate: bool,
}

/// Reads the file, and the certificates and keys that it names.
pub(super) fn load(path: &Path) -> Result<WebConfig, FileError> {
    let file = parse(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let needs_certificate = file
        .tls_server_config
        .as_ref()
        .is_some_and(|tls| matches!(tls.client_auth_type, ClientAuth::RequireAndVerifyClientCert));
    let tls = file.tls_server_config.map(|tls| server(tls, path, folder)).transpose()?;
    let users = Users::new(file.basic_auth_users).map_err(|reason| FileError::new(KEY, Some(path), reason))?;
    Ok(WebConfig { policy: Policy { tls }, users, needs_certificate })
}

/// Whether the file switches TLS on.
pub(super) fn wants_tls(path: &Path) -> Result<bool, FileError> {
    Ok(parse(path)?.tls_server_config.is_some())
}

/// An empty file is one without settings.
fn parse(path: &Path) -> Result<File, FileError> {
    let refuse = |reason: String| FileError::new(KEY, Some(path), reason);
    let text = std::fs::read_to_string(path).map_err(|cause| refuse(format!("cannot be read: {cause}")))?;
    let file: Option<File> = serde_yaml_ng::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    Ok(file.unwrap_or_default())
}

fn server(tls: Tls, path: &Path, folder: &Path) -> Result<TlsServer, FileError> {
    let ca = tls.client_ca_file.map(|file| folder.join(file));
    let clients = match (tls.client_auth_type, ca) {
        (ClientAuth::NoClientCert, None) => ClientVerification::Anyone,
        (ClientAuth::VerifyClientCertIfGiven, Some(ca)) => ClientVerification::VerifyIfGiven(ca),
        (ClientAuth::RequireAndVerifyClientCert, Some(ca)) => ClientVerification::RequireAndVerify(ca),
        (ClientAuth::NoClientCert, Some(_)) => {
            let reason = "client_ca_file is set, but client_auth_type asks for no certificate: set \
                          RequireAndVerifyClientCert or VerifyClientCertIfGiven";
            return Err(FileError::new(KEY, Some(path), reason));
        }
        (_, None) => {
            let reason = "client_auth_type asks for certificates: set client_ca_file to who signs them";
            return Err(FileError::new(KEY, Some(path), reason));
        }
    };
    TlsServer::load(&Settings {
        identity: Identity { cert_file: folder.join(tls.cert_file), key_file: folder.join(tls.key_file) },
        clients,
        min_version: match tls.min_version {
            MinVersion::Tls12 => TlsVersion::Tls12,
            MinVersion::Tls13 => TlsVersion::Tls13,
        },
        http2: false,
        table: "tls_server_config",
    })
}
