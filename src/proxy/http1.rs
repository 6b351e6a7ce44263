//! A client connection that speaks HTTP/1, from accept to close.
//!
//! Heads are read, judged and written anew; bodies are copied as they are on the wire, framing included, from one
//! socket to the other through memory that the thread lends. An idle connection holds no buffer. One task does all of
//! it and polls both sockets itself.

mod answering;
#[cfg(test)]
mod draining;
mod holding;
#[cfg(test)]
mod orders;
mod relay;
#[cfg(test)]
mod tunnels;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use super::admission::Admission;
use super::answer::{Answer, to_refusal, to_too_many};
use super::attempt::Attempt;
use super::client::{Client, ClientLost};
use super::closing;
use super::explain::{blame, explain, stopped};
use super::forward::Forward;
use super::grammar::HeadScan;
use super::guard::{Refusal, Verdict, parse_head};
use super::merge::{self, Gathered};
use super::polls::Polls;
use super::timer::Timer;
use super::upgrade::Upgraded;
use super::worker::Worker;
use super::{handshake, http2};
use crate::exchange::outcome::{End, ErrorType, Malformed};
use crate::tls::Stream;
use crate::wire::listing::Listing;
use relay::{Relay, RelayEnd};

/// Ends an exchange that broke off. Returns the answer for the client, unless it has part of another one already.
fn break_off(relay: &mut Relay, end: RelayEnd) -> Option<Answer> {
    let begun = relay.reply.begun;
    let (outcome, answer) = match end {
        RelayEnd::Lost(ClientLost::Left) => (End::ClientLeft, None),
        RelayEnd::Lost(ClientLost::Slow) => {
            (End::Rejected(ErrorType::ClientTimeout), Some(blame(ErrorType::ClientTimeout)))
        }
        RelayEnd::Lost(ClientLost::Stopped) => (End::Rejected(ErrorType::Stopped), Some(stopped())),
        RelayEnd::Failed(failure) => {
            (End::BackendFailed(failure.why()), Some(explain(relay.forward.member(), &failure)))
        }
        RelayEnd::Answer(answer) => return Some(answer),
        RelayEnd::BadBody | RelayEnd::Complete | RelayEnd::Switch(_) | RelayEnd::Stale => {
            (End::Rejected(ErrorType::ClientBody), Some(blame(ErrorType::ClientBody)))
        }
    };
    // After the response has begun nothing can be answered, and a partial response must not look complete.
    let answer = answer.filter(|_| !begun);
    if answer.is_none() {
        relay.forward.tap.end(outcome);
    }
    answer
}

/// What happens to a connection after an exchange.
enum AfterExchange {
    /// It waits for the next request.
    Request,
    /// It closes after a complete answer.
    Close,
    /// It closes after a complete answer to a client that may still be sending.
    Linger,
    /// It closes at once: after a partial answer, or as the client is gone.
    Cut,
    /// It closes after refusing a head.
    Refuse(Refusal),
    /// It closes without a request, after answering that there are too many connections.
    TooMany,
    /// It speaks HTTP/2.
    Http2,
    /// It becomes a tunnel.
    Tunnel(Box<Upgraded>),
}

/// Serves one client until either side is done. Dropping the future cancels the exchange in progress.
pub(super) async fn serve(worker: Rc<Worker>, polls: Rc<Polls>, stream: TcpStream, admission: Admission) {
    let stream = match &worker.tls {
        None => Stream::Plain(stream),
        // Large futures that few connections need are boxed, so that not every connection's task has room for them.
        Some(server) => match Box::pin(handshake::accept_tls(&worker, stream, server, &admission)).await {
            Some(stream) => stream,
            None => return,
        },
    };
    if stream.is_http2() {
        return Box::pin(http2::serve(worker, stream, Vec::new(), admission)).await;
    }
    let client = Client::new(stream, worker.settings.client, &admission, polls.clone());
    let mut connection = Connection {
        worker,
        polls,
        client,
        admission,
        seen: HeadScan::default(),
        begun: false,
        grace: Timer::default(),
    };
    match connection.serve().await {
        AfterExchange::Request | AfterExchange::Cut => {}
        AfterExchange::Close if !connection.client.socket.stream.is_tls() => {}
        next => Box::pin(connection.finish(next)).await,
    }
}

struct Connection {
    worker: Rc<Worker>,
    polls: Rc<Polls>,
    client: Client,
    admission: Admission,
    /// How far the inbox was scanned for a head.
    seen: HeadScan,
    /// It has had an exchange.
    begun: bool,
    /// While the process drains: the time limit of an incomplete head.
    grace: Timer,
}

impl Connection {
    /// Serves exchanges until the connection is not kept.
    async fn serve(&mut self) -> AfterExchange {
        loop {
            let forward = match poll_fn(|cx| self.poll_request(cx)).await {
                Ok(forward) => forward,
                Err(next) => return next,
            };
            self.begun = true;
            self.admission.seat.begin();
            match self.exchange(forward).await {
                AfterExchange::Request => self.admission.seat.rest(self.polls.begun()),
                next => return next,
            }
        }
    }

    /// Waits for a complete head, and begins an exchange with it.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Box<Forward>, AfterExchange>> {
        let worker = self.worker.clone();
        let mut scratch = worker.thread.scratch.borrow_mut();
        if self.seen.bytes < self.client.inbox.len()
            && let Some(begun) = self.judge_ahead()
        {
            return Poll::Ready(begun);
        }
        loop {
            let (draining, idle) = (self.worker.is_draining(), self.client.inbox.is_empty());
            // An incomplete head may become a request, but a drain waits for it only so long.
            if draining && !idle && self.grace.poll(cx, Some(closing::GRACE), false).is_ready() {
                return Poll::Ready(Err(AfterExchange::Close));
            }
            let read = match self.client.poll_head(cx, &mut scratch) {
                // Unread bytes in the system may be a request: it is read and answered.
                Poll::Pending if draining && idle && !self.client.has_unread() => {
                    return Poll::Ready(Err(AfterExchange::Close));
                }
                Poll::Pending if self.admission.seat.is_leaving() && !self.client.has_unread() => {
                    return Poll::Ready(Err(self.leave()));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(ClientLost::Slow)) if self.admission.over_limit => {
                    return Poll::Ready(Err(AfterExchange::TooMany));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(AfterExchange::Close)),
                Poll::Ready(Ok(read)) => &scratch[..read],
                // Between exchanges there is none to stop.
                Poll::Ready(Err(ClientLost::Left | ClientLost::Stopped)) => {
                    return Poll::Ready(Err(AfterExchange::Cut));
                }
                Poll::Ready(Err(ClientLost::Slow)) => {
                    return Poll::Ready(Err(AfterExchange::Refuse(Refusal::plain(Malformed::Timeout))));
                }
            };
            let begun = if self.client.inbox.is_empty() {
                let begun = self.judge(read);
                if begun.is_none() {
                    self.client.inbox = read.to_vec();
                    self.admission.seat.restart_idle(self.polls.begun());
                }
                begun
            } else {
                self.client.inbox.extend_from_slice(read);
                self.judge_ahead()
            };
            if let Some(begun) = begun {
                return Poll::Ready(begun);
            }
        }
    }

    /// How the connection closes when its place is needed.
    fn leave(&self) -> AfterExchange {
        if self.client.inbox.is_empty() { AfterExchange::Close } else { AfterExchange::TooMany }
    }

    /// Parses the bytes in the inbox.
    fn judge_ahead(&mut self) -> Option<Result<Box<Forward>, AfterExchange>> {
        let ahead = std::mem::take(&mut self.client.inbox);
        let begun = self.judge(&ahead);
        if begun.is_none() {
            self.client.inbox = ahead;
        }
        begun
    }

    /// Parses the bytes that the client has sent and that belong to no exchange yet. Those after the head and its part
    /// of the body go to the inbox. `None` while the head is incomplete.
    fn judge(&mut self, ahead: &[u8]) -> Option<Result<Box<Forward>, AfterExchange>> {
        let mut verdict = parse_head(ahead, &mut self.seen);
        let (judged, left) = match &mut verdict {
            Verdict::More => return None,
            Verdict::Head(request, bytes) => {
                let mut behind = &ahead[*bytes..];
                (Ok(Forward::begin(&self.worker, &self.polls, request, &mut behind)), behind)
            }
            Verdict::Refuse(refusal) => (Err(AfterExchange::Refuse(*refusal)), ahead),
            Verdict::Http2 if self.begun || !self.worker.settings.http2 => {
                (Err(AfterExchange::Refuse(Refusal::plain(Malformed::Version))), ahead)
            }
            Verdict::Http2 => (Err(AfterExchange::Http2), ahead),
        };
        if matches!(&judged, Ok(forward) if !forward.upload.is_over() && !forward.broken) {
            self.client.put_back(left);
        } else {
            self.client.inbox = left.to_vec();
        }
        self.seen = HeadScan::default();
        self.client.head_over();
        Some(judged)
    }

    async fn exchange(&mut self, mut forward: Box<Forward>) -> AfterExchange {
        if let Some(refused) = self.worker.refusal(self.admission.over_limit) {
            return self.answer(forward, refused).await;
        }
        if forward.broken {
            return self.answer(forward, blame(ErrorType::ClientBody)).await;
        }
        if let Err(end) = self.hold(&mut forward).await {
            return self.end_without_backend(forward, end).await;
        }
        if let Some(listing) = forward.listing(&self.worker) {
            match Box::pin(self.merge(&forward, listing)).await {
                Ok(Gathered::Merged(merged)) => return self.answer_merged(forward, &merged).await,
                Ok(Gathered::Alone(member)) => forward.move_to(&member, &self.worker, self.polls.begun()),
                Ok(Gathered::Nothing) => {}
                Err(end) => return self.end_without_backend(forward, end).await,
            }
        }
        loop {
            let mut relay = match self.attempt(&mut forward).await {
                Ok(attempt) => Relay::new(forward, attempt),
                Err(RelayEnd::Answer(failed)) if forward.place_elsewhere(&self.worker, &failed, self.polls.begun()) => {
                    continue;
                }
                Err(end) => return self.end_without_backend(forward, end).await,
            };
            let end = poll_fn(|cx| relay.poll(cx, &mut self.client, &self.worker)).await;
            return match end {
                RelayEnd::Stale => {
                    forward = relay.forward;
                    continue;
                }
                RelayEnd::Complete => {
                    if !self.complete(&mut relay).await {
                        return AfterExchange::Linger;
                    }
                    let closes = relay.reply.closes;
                    relay.finish();
                    self.after_answer(closes)
                }
                RelayEnd::Switch(ahead) => AfterExchange::Tunnel(Box::new(relay.into_tunnel(ahead))),
                end => match break_off(&mut relay, end) {
                    None => AfterExchange::Cut,
                    // Dropping the relay closes the backend's connection.
                    Some(answer) => self.answer(relay.into_forward(), answer).await,
                },
            };
        }
    }

    /// Gets a connection to the backend, unless the client leaves meanwhile.
    async fn attempt(&mut self, forward: &mut Forward) -> Result<Attempt, RelayEnd> {
        let mut beginning = pin!(Attempt::begin(self.worker.clone(), self.polls.clone(), forward));
        poll_fn(|cx| {
            if let Poll::Ready(begun) = beginning.as_mut().poll(cx) {
                return Poll::Ready(begun.map_err(RelayEnd::Answer));
            }
            self.client.poll_lost(cx).map(|lost| Err(RelayEnd::Lost(lost)))
        })
        .await
    }

    /// Asks all backends for their lists, unless the client leaves meanwhile.
    async fn merge(&mut self, forward: &Forward, listing: Listing) -> Result<Gathered, RelayEnd> {
        let mut merging = pin!(merge::merge(self.worker.clone(), &forward.head, listing));
        poll_fn(|cx| {
            if let Poll::Ready(merged) = merging.as_mut().poll(cx) {
                return Poll::Ready(Ok(merged));
            }
            self.client.poll_lost(cx).map(|lost| Err(RelayEnd::Lost(lost)))
        })
        .await
    }

    /// The whole response was sent. Returns false where the rest of the request is not wanted.
    async fn complete(&mut self, relay: &mut Relay) -> bool {
        relay.forward.tap.end(End::Complete);
        if relay.reply.ends_with_connection {
            closing::end_in_order(&self.client.socket.stream);
        }
        relay.forward.upload.is_over() || poll_fn(|cx| relay.poll_rest(cx, &mut self.client, &self.worker)).await
    }

    /// Closes the connection, or hands it on, after its last request.
    async fn finish(self, next: AfterExchange) {
        let Self { worker, client, admission, .. } = self;
        let Ok((stream, ahead)) = client.into_stream() else { return };
        match next {
            AfterExchange::Request | AfterExchange::Cut => {}
            AfterExchange::Close => closing::close(stream).await,
            AfterExchange::Linger => closing::linger(&worker, &admission.seat, stream).await,
            AfterExchange::TooMany => closing::refuse(&worker, &admission.seat, stream, &to_too_many()).await,
            AfterExchange::Refuse(refusal) => {
                worker.sink.refused(refusal.why);
                closing::refuse(&worker, &admission.seat, stream, &to_refusal(refusal)).await;
            }
            AfterExchange::Http2 => http2::serve(worker, stream, ahead, admission).await,
            AfterExchange::Tunnel(upgraded) => upgraded.join(stream, &ahead).await,
        }
    }
}
