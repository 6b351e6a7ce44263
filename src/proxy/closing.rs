//! How a client's connection is closed, so that it cannot take what it has for more or less than it is.

use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::AsyncWriteExt;

use super::admission::Ticket;
use super::slot::Seat;
use super::worker::Worker;
use crate::tls::{Stream, linger as tls};

/// For the farewell of TLS, for last words that the client may not even read, and for lingering where the place is needed.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// Connections that linger at once, over all threads: a quarter of those allowed, within these bounds. What is above is
/// closed without waiting. Each of them has its place among the connections, and leaves it where it is needed.
const MIN_LINGERING: u64 = 64;
const MAX_LINGERING: u64 = 1024;

/// While the process drains: how long a connection without an exchange may take to say goodbye, or to make a request of
/// what it has begun to send. A connection that lingers ends with it too.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Closes after a whole answer.
pub(super) async fn close(mut stream: Stream) {
    if stream.is_tls() {
        drop(tokio::time::timeout(FAREWELL, stream.shutdown()).await);
    }
}

/// Closes after an answer to a client that may still be sending. Whether the rest arrives or not, the connection is over.
pub(super) async fn linger(worker: &Worker, seat: &Seat, stream: Stream) {
    let (_place, taken) = Ticket::take(&worker.lingering);
    if taken > (worker.settings.max_connections / 4).clamp(MIN_LINGERING, MAX_LINGERING) {
        return close(stream).await;
    }
    if !seat.rest_unless_leaving(Instant::now()) {
        // Another connection waits for its place.
        drop(tokio::time::timeout(FAREWELL, tls::linger(stream)).await);
        return;
    }
    tokio::select! {
        () = tls::linger(stream) => {}
        () = seat.asked_to_leave() => {}
        () = async { worker.draining().await; tokio::time::sleep(GRACE).await } => {}
    }
}

/// Says why nothing is served and closes.
pub(super) async fn refuse(worker: &Worker, seat: &Seat, mut stream: Stream, refusal: &[u8]) {
    if say(&mut stream, refusal).await {
        linger(worker, seat, stream).await;
    }
}

/// Says the last words. False where the client does not even read those: it is not waited for.
pub(super) async fn say(stream: &mut Stream, words: &[u8]) -> bool {
    tokio::time::timeout(FAREWELL, stream.write_all(words)).await.is_ok_and(|said| said.is_ok())
}

/// From now on an end of the connection is a reset, however it comes: where the end of a body is the end of the
/// connection, only that tells a cut one from a whole one.
pub(super) fn reset_at_end(stream: &Stream) {
    set_linger(stream, Some(Duration::ZERO));
}

/// All was said: the end of the connection is an ordinary one again.
pub(super) fn end_in_order(stream: &Stream) {
    set_linger(stream, None);
}

fn set_linger(stream: &Stream, linger: Option<Duration>) {
    // A socket that is closed already needs no more.
    drop(SockRef::from(stream.tcp()).set_linger(linger));
}
