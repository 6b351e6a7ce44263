//! Converts a backend's HTTP/1.1 response into HTTP/2 frames.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body::Frame;

use super::head;
use crate::proxy::download::Receiver;
use crate::proxy::framing::Framing;
use crate::proxy::response;
use crate::proxy::upstream::Failure;

/// Collects the frames of one response as it is read.
pub(super) struct ResponseFrames<'a> {
    pub(super) head: &'a mut Option<Response<()>>,
    /// The backend waits for the body.
    pub(super) continues: &'a mut bool,
    pub(super) data: BytesMut,
    pub(super) trailers: &'a mut Vec<u8>,
    pub(super) ready: &'a mut VecDeque<Frame<Bytes>>,
}

impl Receiver for ResponseFrames<'_> {
    /// The HTTP library does not send interim responses; `100 Continue` is sent without it.
    fn interim(&mut self, head: &response::Response<'_>) {
        *self.continues |= head.status == 100;
    }

    fn head(&mut self, head: &response::Response<'_>, _framing: &Framing) -> Result<(), Failure> {
        *self.head = Some(head::to_http2(head).ok_or(Failure::Improper("a field cannot be said in HTTP/2"))?);
        Ok(())
    }

    fn data(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
    }

    fn piece(&mut self, _raw: &[u8], trailers: &[u8]) {
        self.trailers.extend_from_slice(trailers);
        if !self.data.is_empty() {
            self.ready.push_back(Frame::data(self.data.split().freeze()));
        }
    }
}
