//! TLS and credentials, as the web configuration file says.

use super::credentials::Users;
use crate::tls::server::TlsServer;

/// What the second listener asks of its clients. The default is plain HTTP for anyone.
#[derive(Default)]
pub(super) struct Policy {
    /// `None` is plain HTTP.
    pub(super) tls: Option<TlsServer>,
    /// `None` asks for no password.
    pub(super) users: Option<Users>,
}
