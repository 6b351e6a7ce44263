//! What becomes of the `Host` field on the way to a backend.

/// What to do with the `Host` field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// It stays as the client sent it.
    #[default]
    Preserve,
    /// It becomes the backend's address.
    Upstream,
    /// It becomes this.
    Literal(http::HeaderValue),
}

impl HostHeader {
    /// The policy as it is configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Preserve => "preserve",
            Self::Upstream => "upstream",
            // A host that was configured is visible ASCII.
            Self::Literal(host) => host.to_str().unwrap_or_default(),
        }
    }
}
