//! How every listener reacts when accepting a connection fails.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// The delay after an error that is not about a single connection: a loop without a pause would use a whole core.
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait before the next attempt. `None` where only that connection was lost, such as one reset before it
/// was accepted; Linux also reports pending network errors of the new socket (`accept(2)`).
#[must_use]
pub fn pause(error: &io::Error) -> Option<Duration> {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let lost = matches!(
        errno,
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::AGAIN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::TIMEDOUT
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    );
    (!lost).then_some(PAUSE)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the tests of the listeners share.
    #[cfg(target_os = "linux")]
    pub(crate) mod failing {
        use std::pin::Pin;
        use std::task::{Context, Waker};

        use tokio::net::TcpListener;
        use tokio::task::coop::has_budget_remaining;

        /// A listener that has failed for good: every attempt is refused at once.
        pub(crate) async fn listener() -> TcpListener {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both).expect("it listens");
            assert_eq!(listener.accept().await.expect_err("it is shut down").kind(), std::io::ErrorKind::InvalidInput);
            listener
        }

        /// Polls it once. False where it goes on trying until the runtime takes its turn away.
        pub(crate) fn waits(future: Pin<&mut impl Future>) -> bool {
            future.poll(&mut Context::from_waker(Waker::noop())).is_pending() && has_budget_remaining()
        }
    }

    #[test]
    fn only_after_the_loss_of_a_single_connection_the_next_attempt_follows_at_once() {
        for errno in [Errno::CONNABORTED, Errno::CONNRESET, Errno::INTR, Errno::PROTO, Errno::HOSTUNREACH] {
            assert_eq!(pause(&errno.into()), None, "{errno:?}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::PERM, Errno::INVAL, Errno::BADF] {
            assert_eq!(pause(&errno.into()), Some(PAUSE), "{errno:?}");
        }
        assert_eq!(pause(&io::Error::other("without a number")), Some(PAUSE));
    }
}
