//! The client side of TLS, for `https://` backends.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::CountedSocket;
use super::{Fault, FileError, Identity, Stream, WRITE_BUFFER, expiry, pem, provider, unverified};

/// The table of the configuration that holds for every backend.
const TABLE: &str = "backend_tls";

/// The configuration. The default trusts the system's authorities and presents no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and its key; `None` presents none.
    pub identity: Option<Identity>,
    /// The name that the backend's certificate must be for; `None` is the host of its address.
    pub server_name: Option<String>,
}

/// Performs TLS handshakes with one backend. Clones share the configuration, also after [`TlsClient::renew`].
#[derive(Clone)]
pub struct TlsClient {
    opener: Arc<RwLock<Opener>>,
}

#[derive(Clone)]
struct Opener {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// When the certificate ends that is shown to the backend.
    expires: Option<SystemTime>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsClient").field("name", &self.opener().name).finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Reads the files. `host` is the host of the backend's address.
    ///
    /// # Errors
    /// When a file is missing or invalid, or there is no trusted authority.
    pub fn load(settings: &Settings, host: &str) -> Result<Self, FileError> {
        Self::load_from(TABLE, settings, host)
    }

    /// The same for files that this table of the configuration names.
    ///
    /// # Errors
    /// When a file is missing or invalid, or there is no trusted authority.
    pub fn load_from(table: &str, settings: &Settings, host: &str) -> Result<Self, FileError> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = server_name(name).ok_or_else(|| {
            FileError::new(format!("{table}.server_name"), None, format!("`{name}` is no name for a certificate"))
        })?;
        let roots = match &settings.ca_file {
            Some(path) => own_roots(path, &format!("{table}.ca_file"))?,
            None => system_roots(&format!("{table}.ca_file"))?,
        };
        let refuse = |reason: String| FileError::new(table, None, reason);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.to_string()))?
            .with_root_certificates(roots);
        let mut expires = None;
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert_file, key_file }) => {
                let chain = pem::read_certificates(&format!("{table}.cert_file"), cert_file)?;
                let (named, key) =
                    (format!("{table}.key_file"), pem::read_key(&format!("{table}.key_file"), key_file)?);
                expires = expiry::of_chain(&chain);
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| FileError::new(named, Some(key_file), error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let opener = Opener { connector: Arc::new(config).into(), name, expires };
        Ok(Self { opener: Arc::new(RwLock::new(opener)) })
    }

    /// Accepts every certificate: for questions that carry no secret to a listener of this program.
    #[must_use]
    pub fn accepting_any_certificate() -> Self {
        let config = unverified::config().expect("the default versions fit the provider");
        // Sent as the name only where it is one: an address is not (RFC 6066, 3).
        let name = ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
        Self { opener: Arc::new(RwLock::new(Opener { connector: Arc::new(config).into(), name, expires: None })) }
    }

    /// Takes over the configuration of `other` from the next connection on.
    pub fn renew(&self, other: &Self) {
        let renewed = other.opener();
        *self.opener.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    /// When the certificate ends that is shown to the backend; `None` where none is.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.opener().expires
    }

    fn opener(&self) -> Opener {
        self.opener.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Performs the handshake. Dropping the future closes the socket.
    ///
    /// # Errors
    /// When the handshake fails; a TLS error is preferred to the socket's.
    pub async fn connect(&self, socket: TcpStream) -> Result<Stream, ConnectError> {
        let limit = |connection: &mut rustls::ClientConnection| connection.set_buffer_limit(Some(WRITE_BUFFER));
        let Opener { connector, name, .. } = self.opener();
        match connector.connect_with(name, CountedSocket::new(socket), limit).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream.into()))),
            Err(error) => Err(Fault::find(&error).map_or(ConnectError::Socket(error), ConnectError::Tls)),
        }
    }
}

/// Why a handshake failed.
#[derive(Debug)]
pub enum ConnectError {
    /// One side rejected the other.
    Tls(Fault),
    /// The socket failed.
    Socket(io::Error),
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    // A fully qualified name (`host.`) is the same host; certificates never have the dot.
    ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned()).ok()
}

/// The configuration for another protocol than HTTP, such as PostgreSQL's: with `ca_file`, else with the system's
/// authorities.
///
/// # Errors
/// When the file is invalid, or there is no trusted authority.
pub fn verifying(ca_file: Option<&std::path::Path>) -> Result<ClientConfig, FileError> {
    let key = format!("{TABLE}.ca_file");
    let roots = ca_file.map_or_else(|| system_roots(&key), |path| own_roots(path, &key))?;
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.expect("the default versions fit the provider");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The same, without a look at the server's certificate: against those who only listen.
#[must_use]
pub fn encrypting() -> ClientConfig {
    unverified::config().expect("the default versions fit the provider")
}

fn own_roots(path: &std::path::Path, key: &str) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::read_certificates(key, path)? {
        roots.add(certificate).map_err(|error| FileError::new(key, Some(path), error.to_string()))?;
    }
    Ok(roots)
}

fn system_roots(key: &str) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Some systems have certificates that this library cannot parse; the others are used.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = "the system has no trusted certificates (package ca-certificates); install them, or set it";
        return Err(FileError::new(key, None, reason));
    }
    Ok(roots)
}
