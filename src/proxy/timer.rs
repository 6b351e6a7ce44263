//! Time limits of one connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that costs nothing until it is first armed.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Timer {
    /// Arms the timer if it is not armed, or if `restart`, and waits for it. Pending for ever without a limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>, restart: bool) -> Poll<()> {
        self.armed &= limit.is_some() && !restart;
        let deadline = if self.armed { None } else { limit.map(|limit| Instant::now() + limit) };
        self.poll_armed(cx, deadline)
    }

    /// Arms the timer if it is not armed, and waits for it. Pending for ever without a deadline.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.armed &= deadline.is_some();
        let deadline = if self.armed { None } else { deadline };
        self.poll_armed(cx, deadline)
    }

    /// Waits for the timer, after arming it if there is a new deadline.
    fn poll_armed(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        if let Some(deadline) = deadline {
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                None => self.sleep = Some(Box::pin(sleep_until(deadline))),
            }
            self.armed = true;
        }
        let Some(sleep) = self.sleep.as_mut().filter(|_| self.armed) else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.armed = false;
        Poll::Ready(())
    }

    /// To be called when what the timer limits has happened.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}
