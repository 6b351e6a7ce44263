//! The settings in force, as plain values: the room that knows where they come from is not known here.

use std::sync::Arc;

/// Reads the settings in force.
pub type ReadSettings = Arc<dyn Fn() -> Settings + Send + Sync>;

/// What the API shows of the settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Every key with its value as it is written in a file of settings, without what is secret, and where that comes
    /// from.
    pub keys: Vec<(&'static str, String, &'static str)>,
    /// Client connections at once; `None` is no limit.
    pub max_connections: Option<u64>,
    /// Whether clients speak TLS.
    pub clients_speak_tls: bool,
    /// TLS of the second listener.
    pub admin_speaks_tls: bool,
    /// When its certificate ends; `None` where it has none.
    pub certificate_expires: Option<std::time::SystemTime>,
}
