//! Who may ask the second listener, as its web configuration file says.

use std::path::Path;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::password::Users;
use super::web_config;
use crate::tls::FileError;
use crate::tls::server::Server;

/// What anyone may ask: orchestrators probe without credentials. Compared with the raw path, so that every other spelling
/// is protected.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// TLS and credentials of the second listener.
#[derive(Default)]
pub struct Access {
    pub(super) tls: Option<Server>,
    pub(super) users: Option<Users>,
}

impl Access {
    /// Plain HTTP, for anyone.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Reads the file and those that it names.
    ///
    /// # Errors
    /// When one is missing or holds something else.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        web_config::load(path)
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a request for this path may be answered.
    pub(super) async fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        let Some(users) = &self.users else { return true };
        if OPEN.contains(&path) {
            return true;
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(credentials), None) => users.admit(credentials).await,
            _ => false,
        }
    }
}
