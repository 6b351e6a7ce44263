//! Certificates and keys in PEM files.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::FileError;

/// Every certificate of a file, at least one.
pub(super) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let refuse = |reason: String| FileError::new(key, Some(path), reason);
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| refuse(explain(&error)))?;
    if found.is_empty() {
        return Err(refuse("it holds no certificate (expected PEM: `-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(found)
}

/// The first private key of a file.
pub(super) fn key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        let reason = match error {
            Error::NoItemsFound => {
                "it holds no private key without a passphrase (expected PEM: `-----BEGIN PRIVATE KEY-----`)".to_owned()
            }
            error => explain(&error),
        };
        FileError::new(key, Some(path), reason)
    })
}

fn explain(error: &Error) -> String {
    match error {
        Error::Io(cause) => format!("cannot be read: {cause}"),
        error => format!("is not PEM: {error}"),
    }
}
