//! Time limits of one connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that costs nothing while it is not needed.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Timer {
    /// Arms the timer if it is not (or `anew`), and waits for it. Pending for ever without a limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>, anew: bool) -> Poll<()> {
        let Some(limit) = limit else {
            self.armed = false;
            return Poll::Pending;
        };
        if !self.armed || anew {
            let deadline = Instant::now() + limit;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                None => self.sleep = Some(Box::pin(sleep_until(deadline))),
            }
            self.armed = true;
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.armed = false;
        Poll::Ready(())
    }

    /// What was waited for has happened.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}
