//! Our side of a connection to an `https://` backend.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::Counted;
use super::{Fault, FileError, Identity, Stream, WRITE_BUFFER, pem, provider};

/// What is configured. Nothing at all trusts the system's authorities and shows no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<Identity>,
    /// The name that the certificate must be for, instead of the address's host.
    pub server_name: Option<String>,
}

/// Opens TLS over fresh sockets to one backend. Its clones stay one: what [`Client::renew`] changes, all of them show.
#[derive(Clone)]
pub struct Client {
    opener: Arc<RwLock<Opener>>,
}

#[derive(Clone)]
struct Opener {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("name", &self.opener().name).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the files. `host` is the backend's, as it is dialled.
    ///
    /// # Errors
    /// When a file is missing, holds something else, or nothing is trusted.
    pub fn load(settings: &Settings, host: &str) -> Result<Self, FileError> {
        let name = settings.server_name.as_deref().unwrap_or(host);
        let name = server_name(name).ok_or_else(|| {
            FileError::new("backend_tls.server_name", None, format!("`{name}` is no name for a certificate"))
        })?;
        let roots = match &settings.ca_file {
            Some(path) => own_roots(path)?,
            None => system_roots()?,
        };
        let refuse = |reason: String| FileError::new("backend_tls", None, reason);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert_file, key_file }) => {
                let chain = pem::certificates("backend_tls.cert_file", cert_file)?;
                let key = pem::key("backend_tls.key_file", key_file)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| FileError::new("backend_tls.key_file", Some(key_file), error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let opener = Opener { connector: Arc::new(config).into(), name };
        Ok(Self { opener: Arc::new(RwLock::new(opener)) })
    }

    /// From the next connection on, does what `other` does.
    pub fn renew(&self, other: &Self) {
        let renewed = other.opener();
        *self.opener.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    fn opener(&self) -> Opener {
        self.opener.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shakes hands. Dropping the future closes the socket.
    ///
    /// # Errors
    /// What TLS said in the first place, else what the socket did.
    pub async fn connect(&self, socket: TcpStream) -> Result<Stream, ConnectError> {
        let limit = |connection: &mut rustls::ClientConnection| connection.set_buffer_limit(Some(WRITE_BUFFER));
        let Opener { connector, name } = self.opener();
        match connector.connect_with(name, Counted::new(socket), limit).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream.into()))),
            Err(error) => Err(Fault::find(&error).map_or(ConnectError::Socket(error), ConnectError::Tls)),
        }
    }
}

/// A handshake failed.
#[derive(Debug)]
pub enum ConnectError {
    /// One side does not accept the other.
    Tls(Fault),
    /// The socket broke.
    Socket(io::Error),
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    // A rooted name (`host.`) is the same host; certificates never carry the dot.
    ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned()).ok()
}

fn own_roots(path: &std::path::Path) -> Result<RootCertStore, FileError> {
    let key = "backend_tls.ca_file";
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(key, path)? {
        roots.add(certificate).map_err(|error| FileError::new(key, Some(path), error.to_string()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Systems ship some certificates that this library does not read; the others count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = "the system has no trusted certificates (package ca-certificates); install them, or set it";
        return Err(FileError::new("backend_tls.ca_file", None, reason));
    }
    Ok(roots)
}
