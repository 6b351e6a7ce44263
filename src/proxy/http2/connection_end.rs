//! How a connection ended, and whether an error of the HTTP library is the client's fault.

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// The HTTP library has ended it, with a `GOAWAY` where one is due.
    Done,
    /// The client violated the protocol, and the library has reported it.
    Broken,
    /// The client left while an exchange was in progress.
    Left,
    /// The client does not read what it is sent.
    Slow,
    /// Ended by the proxy through no fault of the client: its place is needed, it was idle too long, or the process
    /// drains.
    Dismissed,
    /// A head was not complete in time.
    Late,
    /// The client sent too many frames that carry nothing.
    Flood,
}

impl ConnectionEnd {
    /// The error code still to be sent (RFC 9113, 7): `NO_ERROR` or `ENHANCE_YOUR_CALM`; `None` where the library sends
    /// its own or the client is gone.
    pub(super) const fn code(self) -> Option<u32> {
        match self {
            Self::Done | Self::Broken | Self::Left | Self::Slow => None,
            Self::Dismissed | Self::Late => Some(0x0),
            Self::Flood => Some(0xb),
        }
    }
}

/// Whether a stream or connection ended because its client violated the protocol, rather than because the client left.
pub(super) fn is_client_fault(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(h2::Error::is_library)
}
