//! Closes client connections so that a client cannot mistake a cut response for a complete one, or lose a complete one.

use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::AsyncWriteExt;

use super::admission::Ticket;
use super::slot::Seat;
use super::worker::Worker;
use crate::tls::{Stream, linger as tls};

/// Time limit for the closing message of TLS, for a last answer that the client may not read, and for lingering while
/// another connection waits for the place.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// Connections that linger at the same time, over all threads: a quarter of the connection limit, within these bounds.
/// Those above are closed without waiting. A lingering connection counts toward the limit and is closed early when its
/// place is needed.
const MIN_LINGERING: u64 = 64;
const MAX_LINGERING: u64 = 1024;

/// While the process drains: how long a connection without an exchange may take to close, or to complete a request that
/// it has begun. It also ends lingering.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Closes after a complete answer.
pub(super) async fn close(mut stream: Stream) {
    if stream.is_tls() {
        drop(tokio::time::timeout(FAREWELL, stream.shutdown()).await);
    }
}

/// Closes after an answer to a client that may still be sending. Whether the rest arrives or not, the connection is
/// over.
pub(super) async fn linger(worker: &Worker, seat: &Seat, stream: Stream) {
    let (_place, taken) = Ticket::take(&worker.lingering);
    if taken > (worker.settings.max_connections / 4).clamp(MIN_LINGERING, MAX_LINGERING) {
        return close(stream).await;
    }
    if !seat.rest_unless_leaving(Instant::now()) {
        // Another connection waits for this one's place.
        drop(tokio::time::timeout(FAREWELL, tls::linger(stream)).await);
        return;
    }
    tokio::select! {
        () = tls::linger(stream) => {}
        () = seat.asked_to_leave() => {}
        () = async { worker.draining().await; tokio::time::sleep(GRACE).await } => {}
    }
}

/// Sends an answer that says why nothing is served, and closes.
pub(super) async fn refuse(worker: &Worker, seat: &Seat, mut stream: Stream, refusal: &[u8]) {
    if send_last(&mut stream, refusal).await {
        linger(worker, seat, stream).await;
    }
}

/// Sends a last answer. False where the client does not read it: there is no point in waiting longer.
pub(super) async fn send_last(stream: &mut Stream, words: &[u8]) -> bool {
    tokio::time::timeout(FAREWELL, stream.write_all(words)).await.is_ok_and(|said| said.is_ok())
}

/// Makes every end of the connection from now on a reset: where a body ends with its connection, only a reset
/// distinguishes a cut body from a complete one.
pub(super) fn reset_at_end(stream: &Stream) {
    set_linger(stream, Some(Duration::ZERO));
}

/// Everything was sent: makes the end of the connection an orderly one again.
pub(super) fn end_in_order(stream: &Stream) {
    set_linger(stream, None);
}

fn set_linger(stream: &Stream, linger: Option<Duration>) {
    // On a socket that is closed already this fails, which does not matter.
    drop(SockRef::from(stream.tcp()).set_linger(linger));
}
