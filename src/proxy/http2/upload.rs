//! The body of a request over HTTP/2, as HTTP/1.1 has it.

use bytes::Bytes;
use http::HeaderMap;

use super::head;

/// How far the request's body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadStage {
    Sized,
    Chunked,
    Done,
}

/// A part of the request's body.
pub(super) enum UploadPiece {
    Data(Bytes),
    /// Its end, with its trailers.
    End(HeaderMap),
}

impl UploadStage {
    /// Passes a piece to `out` as HTTP/1.1 has it.
    pub(super) fn write(&mut self, piece: UploadPiece, mut out: impl FnMut(&[u8])) {
        let chunked = *self == Self::Chunked;
        match piece {
            UploadPiece::Data(data) if chunked && !data.is_empty() => {
                out(format!("{:x}\r\n", data.len()).as_bytes());
                out(&data);
                out(b"\r\n");
            }
            UploadPiece::Data(data) => out(&data),
            UploadPiece::End(trailers) => {
                *self = Self::Done;
                if chunked {
                    out(&head::last_chunk(&trailers));
                }
            }
        }
    }
}
