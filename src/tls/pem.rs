//! Reads certificates and keys from PEM files.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::FileError;

/// Reads every certificate of a file, at least one. `key` names the file in errors.
pub(super) fn read_certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let refuse = |reason: String| FileError::new(key, Some(path), reason);
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| refuse(explain(&error)))?;
    if found.is_empty() {
        return Err(refuse("it holds no certificate (expected PEM: `-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(found)
}

/// Reads the first private key of a file.
pub(super) fn read_key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
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
