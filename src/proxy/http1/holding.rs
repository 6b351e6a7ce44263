//! Reads a request's body until a backend is chosen for it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::Connection;
use super::relay::RelayEnd;
use crate::proxy::chunks::BodyProgress;
use crate::proxy::explain::no_room;
use crate::proxy::forward::Forward;
use crate::proxy::hold::PATIENCE;
use crate::proxy::response::Version;

impl Connection {
    /// Reads the body until a backend is chosen.
    pub(super) async fn hold(&mut self, forward: &mut Forward) -> Result<(), RelayEnd> {
        let is_over = forward.upload.is_over();
        let placed = forward.place_once_known(&self.worker, is_over, self.polls.begun());
        if placed.map_err(RelayEnd::Answer)? {
            return Ok(());
        }
        let mut interim = forward.request.version == Version::Http11 && forward.head.expects_continue();
        if interim {
            // It has the body, and need not allow it again.
            forward.head.withhold("expect");
        }
        let mut end = None;
        loop {
            let placed = poll_fn(|cx| {
                if std::mem::take(&mut interim) {
                    self.client.send(cx, b"HTTP/1.1 100 Continue\r\n\r\n").map_err(RelayEnd::Lost)?;
                }
                self.poll_hold(cx, forward)
            });
            if placed.await? {
                return Ok(());
            }
            let end = *end.get_or_insert_with(|| Instant::now() + PATIENCE);
            Box::pin(self.wait_for_room(end)).await?;
        }
    }

    /// Reads nothing until the bodies of others make room, unless the client leaves meanwhile.
    async fn wait_for_room(&mut self, end: Instant) -> Result<(), RelayEnd> {
        let Self { worker, client, .. } = self;
        let mut waiting = pin!(worker.held_bodies.wait_for_room(&worker.settings.hold, end));
        poll_fn(|cx| match waiting.as_mut().poll(cx) {
            Poll::Ready(true) => Poll::Ready(Ok(())),
            Poll::Ready(false) => Poll::Ready(Err(RelayEnd::Answer(no_room()))),
            Poll::Pending => client.poll_lost(cx).map(|lost| Err(RelayEnd::Lost(lost))),
        })
        .await
    }

    /// Ready with whether a backend is chosen: false where there is no room to read more.
    fn poll_hold(&mut self, cx: &mut Context<'_>, forward: &mut Forward) -> Poll<Result<bool, RelayEnd>> {
        let Self { worker, client, polls, .. } = self;
        let now = polls.begun();
        let mut scratch = worker.thread.scratch.borrow_mut();
        loop {
            if !client.socket.is_drained() {
                ready!(client.poll_drain(cx)).map_err(RelayEnd::Lost)?;
            }
            let is_over = forward.upload.is_over();
            if forward.place_once_known(worker, is_over, now).map_err(RelayEnd::Answer)? {
                return Poll::Ready(Ok(true));
            }
            if !forward.may_hold(worker) {
                return Poll::Ready(Ok(false));
            }
            if forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let most = forward.tap.reads(scratch.len());
            let read = ready!(client.poll_body(cx, &mut scratch[..most])).map_err(RelayEnd::Lost)?;
            let piece = &scratch[..read];
            let Forward { upload, tap, head, .. } = forward;
            let (followed, kept) = head.keep_piece(upload, piece, &mut |part| tap.request(part));
            if followed.state == BodyProgress::Broken {
                return Poll::Ready(Err(RelayEnd::BadBody));
            }
            forward.hold(kept, worker, now).map_err(RelayEnd::Answer)?;
            client.inbox.extend_from_slice(&piece[followed.bytes..]);
        }
    }
}
