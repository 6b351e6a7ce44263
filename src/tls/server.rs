//! The server side of TLS, for both listeners.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stream::CountedSocket;
use super::{FileError, Identity, Stream, WRITE_BUFFER, expiry, pem, provider};

/// The configuration of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The certificate that clients get.
    pub identity: Identity,
    /// The certificates required of clients.
    pub clients: ClientVerification,
    /// Older versions are refused.
    pub min_version: TlsVersion,
    /// Whether HTTP/2 is offered (ALPN) in addition to HTTP/1.1.
    pub http2: bool,
    /// The configuration table that names the files, for errors.
    pub table: &'static str,
}

/// The certificates required of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientVerification {
    /// None.
    Anyone,
    /// None, or one signed by an authority in this file.
    VerifyIfGiven(PathBuf),
    /// One signed by an authority in this file.
    RequireAndVerify(PathBuf),
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// Performs TLS handshakes with clients. Clones share the configuration, also after [`TlsServer::renew`].
#[derive(Clone)]
pub struct TlsServer {
    served: Arc<RwLock<Served>>,
}

#[derive(Clone)]
struct Served {
    acceptor: TlsAcceptor,
    /// When the certificate ends.
    expires: Option<SystemTime>,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing or invalid, or the key does not belong to the certificate.
    pub fn load(settings: &Settings) -> Result<Self, FileError> {
        let Identity { cert_file, key_file } = &settings.identity;
        let named = |name: &str| format!("{}.{name}", settings.table);
        let chain = pem::read_certificates(&named("cert_file"), cert_file)?;
        let key = pem::read_key(&named("key_file"), key_file)?;
        let expires = expiry::of_chain(&chain);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(settings.min_version))
            .map_err(|error| FileError::new(settings.table, None, error.to_string()))?;
        let builder = match verifier(settings)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| FileError::new(named("key_file"), Some(key_file), error.to_string()))?;
        let http2 = settings.http2.then(|| b"h2".to_vec());
        config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
        let served = Served { acceptor: Arc::new(config).into(), expires };
        Ok(Self { served: Arc::new(RwLock::new(served)) })
    }

    /// Takes over the configuration of `other` from the next connection on. Earlier sessions cannot be resumed.
    pub fn renew(&self, other: &Self) {
        let renewed = other.served();
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    /// When the certificate ends; `None` where it does not say so in a way that is understood.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.served().expires
    }

    fn served(&self) -> Served {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Performs the handshake. Dropping the future closes the socket.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let limit = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(WRITE_BUFFER));
        let stream = self.served().acceptor.accept_with(CountedSocket::new(socket), limit).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

fn versions(min: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match min {
        TlsVersion::Tls12 => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => vec![&rustls::version::TLS13],
    }
}

fn verifier(settings: &Settings) -> Result<Option<Arc<dyn ClientCertVerifier>>, FileError> {
    let (path, optional) = match &settings.clients {
        ClientVerification::Anyone => return Ok(None),
        ClientVerification::VerifyIfGiven(path) => (path, true),
        ClientVerification::RequireAndVerify(path) => (path, false),
    };
    let key = format!("{}.client_ca_file", settings.table);
    let refuse = |reason: String| FileError::new(&key, Some(path), reason);
    let mut roots = RootCertStore::empty();
    for certificate in pem::read_certificates(&key, path)? {
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map(Some).map_err(|error| refuse(error.to_string()))
}
