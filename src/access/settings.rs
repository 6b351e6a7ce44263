//! The settings of who may ask.

use std::path::PathBuf;

use super::limits::Limits;
use super::network::Network;

/// As the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether anyone is answered beyond this machine, where no credentials are set.
    pub open: bool,
    /// Names by which this program is asked there, beside addresses and `localhost`.
    pub names: Vec<String>,
    /// The file of API keys; `None` has none.
    pub keys_file: Option<PathBuf>,
    /// The set of keys that verify tokens; `None` accepts no token.
    pub jwks_file: Option<PathBuf>,
    /// Who issues tokens; set where `jwks_file` is.
    pub issuer: Option<String>,
    /// For which audience; set where `jwks_file` is.
    pub audience: Option<String>,
    /// Users of the web configuration file that may change something.
    pub admins: Vec<String>,
    /// How often each may ask.
    pub limits: Limits,
    /// Proxies that are believed which client they speak for.
    pub trusted_proxies: Vec<Network>,
}

impl Settings {
    /// Whether it names credentials of its own.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.keys_file.is_some() || self.jwks_file.is_some()
    }
}
