//! Waiting for what a Prometheus takes in: it sends its samples on (remote write), and each delivery is an event.
//!
//! Promises: a condition is looked at once, and again after each delivery, never by the clock. Left out: the samples, which are
//! asked for over the HTTP API.

use crate::support::backend::Backend;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many deliveries have come.
#[derive(Default)]
pub(super) struct Arrivals {
    count: Mutex<u64>,
    more: Condvar,
}

impl Arrivals {
    /// The count, and the address to which samples are to be sent.
    pub(super) fn listen() -> (Arc<Self>, SocketAddr) {
        let arrivals = Arc::new(Self::default());
        let noted = arrivals.clone();
        let receiver = Backend::start(move |connection| {
            while connection.request().is_some() {
                connection.write(b"HTTP/1.1 204 No Content\r\n\r\n");
                *noted.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                noted.more.notify_all();
            }
        });
        (arrivals, receiver.address)
    }

    /// Whether the condition comes to hold within `patience`. A delivery may come a moment before its samples can be queried;
    /// as Prometheus scrapes every second, the next one comes soon.
    pub(super) fn until(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + patience;
        loop {
            // Before the look, so that what comes during it is not missed.
            let seen = *self.count.lock().unwrap_or_else(PoisonError::into_inner);
            if holds() {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
            let left = end.saturating_duration_since(Instant::now());
            drop(self.more.wait_timeout_while(count, left, |count| *count == seen));
        }
    }
}
