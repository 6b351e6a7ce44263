//! The ends that a connection can come to, and whose fault an error of the HTTP library is.

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// The HTTP library has ended it, and has said so where that was to be said.
    Done,
    /// The client broke the protocol, and the library has said so.
    Broken,
    /// The client left amid an exchange.
    Left,
    /// The client does not take what it is sent.
    Slow,
    /// By us, and the client has done nothing wrong: its place is needed, it was idle for long enough, the process drains.
    Dismissed,
    /// A head was not whole in time.
    Late,
    /// The client sends more frames that carry nothing than it may.
    Flood,
}

impl ConnectionEnd {
    /// What is left to say (RFC 9113, 7): `NO_ERROR` or `ENHANCE_YOUR_CALM`.
    pub(super) const fn code(self) -> Option<u32> {
        match self {
            Self::Done | Self::Broken | Self::Left | Self::Slow => None,
            Self::Dismissed | Self::Late => Some(0x0),
            Self::Flood => Some(0xb),
        }
    }
}

/// Whether a stream or a connection ended because its client sent what it must not, rather than because the client left.
pub(super) fn is_client_fault(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(h2::Error::is_library)
}
