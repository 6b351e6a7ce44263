//! Why a handshake with a backend failed.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// Why the handshake with a backend failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its certificate is not signed by a trusted authority.
    Untrusted,
    /// Its certificate is marked as that of an authority.
    Authority,
    /// Its certificate is not valid at this time.
    Expired,
    /// Its certificate is for another name.
    WrongName,
    /// It rejects the client certificate, or requires one.
    ClientCertificate,
    /// Its answer is not TLS.
    NotTls,
    /// It accepted the connection and did not answer the handshake in time.
    Silent,
    /// Anything else.
    Other,
}

impl Fault {
    /// Every value.
    pub const ALL: [Self; 8] = [
        Self::Untrusted,
        Self::Authority,
        Self::Expired,
        Self::WrongName,
        Self::ClientCertificate,
        Self::NotTls,
        Self::Silent,
        Self::Other,
    ];

    /// The reason and its remedy, for logs and error bodies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => {
                "its certificate is not signed by a trusted authority: set backend_tls.ca_file to the authority's certificate"
            }
            Self::Authority => {
                "its certificate is marked as an authority's own: give the backend one that is signed by it (CA:FALSE)"
            }
            Self::Expired => "its certificate has expired or is not valid yet: renew it, or set this machine's clock",
            Self::WrongName => {
                "its certificate is for another name: use that name in --backend, or set backend_tls.server_name"
            }
            Self::ClientCertificate => {
                "it does not accept our certificate, or wants one: set backend_tls.cert_file and backend_tls.key_file"
            }
            Self::NotTls => "it does not speak TLS there: use http:// in --backend",
            Self::Silent => "it did not answer the TLS handshake in time: check --backend and --connect-timeout",
            Self::Other => "the TLS handshake failed",
        }
    }

    /// Finds a TLS error among the causes of an I/O error; `None` where there is none.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<TlsError>() {
                return Some(Self::of(tls));
            }
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            cause = match inner {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn of(error: &TlsError) -> Self {
        match error {
            TlsError::InvalidCertificate(why) => Self::of_certificate(why),
            TlsError::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate,
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            _ => Self::Other,
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
            // The verifier has no variant for it.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Self::Authority,
            _ => Self::Untrusted,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Error for Fault {}
