//! Our side of a connection that a client opens.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stream::Counted;
use super::{FileError, Identity, Stream, WRITE_BUFFER, pem, provider};

/// What is configured for one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What clients see.
    pub identity: Identity,
    /// What is asked of them.
    pub clients: Clients,
    /// Older versions are refused.
    pub least: Version,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// The table that named the files, for errors.
    pub table: &'static str,
}

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Nothing.
    Anyone,
    /// A certificate signed by one of these authorities, where they show one.
    VerifyIfGiven(PathBuf),
    /// A certificate signed by one of these authorities.
    RequireAndVerify(PathBuf),
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// Accepts TLS over fresh sockets. Its clones stay one: what [`Server::renew`] changes, all of them show.
#[derive(Clone)]
pub struct Server {
    acceptor: Arc<RwLock<TlsAcceptor>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing, holds something else, or does not belong to the other.
    pub fn load(settings: &Settings) -> Result<Self, FileError> {
        let Identity { cert_file, key_file } = &settings.identity;
        let named = |name: &str| format!("{}.{name}", settings.table);
        let chain = pem::certificates(&named("cert_file"), cert_file)?;
        let key = pem::key(&named("key_file"), key_file)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions(settings.least))
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
        Ok(Self { acceptor: Arc::new(RwLock::new(Arc::new(config).into())) })
    }

    /// From the next connection on, does what `other` does. Sessions that were begun before cannot be resumed.
    pub fn renew(&self, other: &Self) {
        let renewed = other.acceptor();
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shakes hands. Dropping the future closes the socket.
    ///
    /// # Errors
    /// Whatever ended the handshake.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let limit = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(WRITE_BUFFER));
        let stream = self.acceptor().accept_with(Counted::new(socket), limit).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

fn versions(least: Version) -> Vec<&'static SupportedProtocolVersion> {
    match least {
        Version::Tls12 => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        Version::Tls13 => vec![&rustls::version::TLS13],
    }
}

fn verifier(settings: &Settings) -> Result<Option<Arc<dyn ClientCertVerifier>>, FileError> {
    let (path, optional) = match &settings.clients {
        Clients::Anyone => return Ok(None),
        Clients::VerifyIfGiven(path) => (path, true),
        Clients::RequireAndVerify(path) => (path, false),
    };
    let key = format!("{}.client_ca_file", settings.table);
    let refuse = |reason: String| FileError::new(&key, Some(path), reason);
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&key, path)? {
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map(Some).map_err(|error| refuse(error.to_string()))
}
