//! Where a backend is: what people write for Ollama, understood.

/// The address of a backend, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or address to dial, without brackets. `0.0.0.0` has become `127.0.0.1`.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path put before every target, without a slash at its end. Often empty.
    pub prefix: String,
}

impl Address {
    /// Host and port as a `Host` field has them.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}
