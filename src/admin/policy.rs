//! TLS, as the web configuration file says.

use crate::tls::server::TlsServer;

/// What the second listener asks of its clients. The default is plain HTTP.
#[derive(Default)]
pub(super) struct Policy {
    /// `None` is plain HTTP.
    pub(super) tls: Option<TlsServer>,
}
