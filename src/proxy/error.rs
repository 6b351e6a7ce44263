//! What went wrong between us and the backend, in bounded words.

use std::error::Error;
use std::io;

use super::shared::Shared;
use crate::exchange::outcome::ErrorType;
use crate::tls::Fault;

/// Names an error of the backend's connection. The client's own faults surface there too: they were flagged where they
/// happened, and never count against the backend.
pub(super) fn classify(error: &hyper::Error, shared: &Shared) -> ErrorType {
    if shared.bad_body.get() {
        return ErrorType::ClientBody;
    }
    if shared.too_slow.get() {
        return ErrorType::ClientTimeout;
    }
    if Fault::find(error).is_some() {
        return ErrorType::Tls;
    }
    match find_io(error) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) => {
            ErrorType::Reset
        }
        Some(io::ErrorKind::UnexpectedEof) => ErrorType::Incomplete,
        _ if error.is_parse() => ErrorType::Protocol,
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => ErrorType::Protocol,
        _ if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => ErrorType::Incomplete,
        Some(_) => ErrorType::Reset,
        None => ErrorType::Protocol,
    }
}

/// Whether a body failed because of its framing, rather than because it broke off.
pub(super) fn is_malformed(error: &hyper::Error) -> bool {
    matches!(find_io(error), Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

/// The kind of the first I/O error in the chain of causes.
fn find_io(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_incomplete_message()
        {
            return Some(io::ErrorKind::UnexpectedEof);
        }
        cause = error.source();
    }
    None
}
