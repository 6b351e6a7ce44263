//! The policy for the `Host` field of requests to a backend.

/// The `Host` field that a backend receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's, unchanged.
    #[default]
    Preserve,
    /// The backend's address.
    Upstream,
    /// This value.
    Literal(http::HeaderValue),
}

impl HostHeader {
    /// The configured text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Preserve => "preserve",
            Self::Upstream => "upstream",
            // The configuration accepts visible ASCII only.
            Self::Literal(host) => host.to_str().unwrap_or_default(),
        }
    }
}
