//! Answers of the proxy's own, and what they leave of the connection.

use std::future::poll_fn;
use std::task::Poll;

use super::relay::RelayEnd;
use super::{AfterExchange, Connection};
use crate::exchange::outcome::{End, ErrorType};
use crate::proxy::answer::{Answer, Merged, to_merged};
use crate::proxy::client::ClientLost;
use crate::proxy::explain::{blame, stopped};
use crate::proxy::forward::Forward;
use crate::proxy::response::{Persistence, Version};

impl Connection {
    pub(super) async fn answer_merged(&mut self, mut forward: Box<Forward>, merged: &Merged) -> AfterExchange {
        forward.merged(merged, self.polls.begun());
        let request = forward.request;
        drop(forward);
        let closes = !request.keeps || self.worker.is_draining();
        let bytes = to_merged(merged, request.version, Self::persistence(closes, request.version));
        self.send_whole(&bytes, false, closes).await
    }

    const fn persistence(closes: bool, version: Version) -> Persistence {
        match (closes, version) {
            (true, _) => Persistence::Close,
            (false, Version::Http10) => Persistence::KeepAlive,
            (false, Version::Http11) => Persistence::Implied,
        }
    }

    /// Ends an exchange that never reached a backend.
    pub(super) async fn end_without_backend(&mut self, mut forward: Box<Forward>, end: RelayEnd) -> AfterExchange {
        match end {
            RelayEnd::Answer(answer) => self.answer(forward, answer).await,
            RelayEnd::BadBody => self.answer(forward, blame(ErrorType::ClientBody)).await,
            RelayEnd::Lost(ClientLost::Slow) => self.answer(forward, blame(ErrorType::ClientTimeout)).await,
            RelayEnd::Lost(ClientLost::Stopped) => self.answer(forward, stopped()).await,
            _ => {
                forward.tap.end(End::ClientLeft);
                AfterExchange::Cut
            }
        }
    }

    /// What happens to the connection after a complete answer.
    pub(super) fn after_answer(&self, closes: bool) -> AfterExchange {
        match closes || self.worker.is_draining() {
            false => AfterExchange::Request,
            true if self.client.has_more() => AfterExchange::Linger,
            true => AfterExchange::Close,
        }
    }

    /// Sends an answer of the proxy's own.
    pub(super) async fn answer(&mut self, mut forward: Box<Forward>, answer: Answer) -> AfterExchange {
        forward.give_up(&answer);
        let unread = !forward.upload.is_over() || forward.broken;
        let request = forward.request;
        drop(forward);
        let closes = unread || !request.keeps || self.admission.over_limit || self.worker.is_draining();
        let persistence = Self::persistence(closes, request.version);
        let bytes = answer.to_bytes(request.shape, request.version, persistence, request.head_only);
        self.send_whole(&bytes, unread, closes).await
    }

    /// Sends an answer in one piece.
    async fn send_whole(&mut self, bytes: &[u8], unread: bool, closes: bool) -> AfterExchange {
        let sent = poll_fn(|cx| Poll::Ready(self.client.send(cx, bytes))).await;
        let drained = match sent {
            Ok(()) => poll_fn(|cx| self.client.poll_drain(cx)).await,
            Err(lost) => Err(lost),
        };
        match drained {
            Err(_) => AfterExchange::Cut,
            Ok(()) if unread || (closes && self.client.has_more()) => AfterExchange::Linger,
            Ok(()) if closes => AfterExchange::Close,
            Ok(()) => AfterExchange::Request,
        }
    }
}
