//! Notifies a webhook of alerts that fire and of alerts that are resolved.
//!
//! Promises: notifications are delivered in order. One that was accepted is not sent again; one that was not is retried until
//! it is accepted, or until the webhook refuses it for good. At most [`WAITING`] are queued; more are dropped and counted.
//! With a history the queue is in a file as well, and the next run goes on with it. What was accepted in the moment before a
//! crash, or before the end of the program, may be sent once more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::sync::{Notify, watch};

use super::components::Components;
use super::history;
use super::material::Material;
use crate::alert::engine::Change;
use crate::alert::webhook;
use crate::config::Config;
use crate::history::outbox::Outbox;
use crate::history::timestamp::Timestamp;
use crate::remote::Remote;

/// Notifications that may wait.
const WAITING: usize = 256;

/// The wait before the second attempt. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Takes notifications.
pub(super) struct Webhook {
    queue: Arc<Queue>,
    dropped: IntCounter,
}

impl Webhook {
    /// Starts to deliver until `stop` is true, first what an earlier run of this instance could not. `None` without a
    /// configured webhook; what an earlier run left is then removed.
    pub(super) fn start(
        config: &Config,
        (material, components): (&Material, &Components),
        instance: &str,
        stop: &watch::Receiver<bool>,
    ) -> Option<Self> {
        let outbox = history::directory(config).map(|directory| Outbox::new(directory, instance));
        let Some(remote) = material.webhook.clone() else {
            // A webhook that is configured later must not get notifications of alerts that ended long ago.
            if let Some(Err(error)) = outbox.map(|outbox| outbox.keep::<&str>(&[])) {
                tracing::warn!(%error, "notifications of alerts that were never accepted cannot be removed");
            }
            return None;
        };
        let dropped = components.metrics.sink_dropped("webhook");
        let queue = Arc::new(Queue::of(outbox));
        tokio::spawn(deliver(remote, queue.clone(), dropped.clone(), stop.clone()));
        Some(Self { queue, dropped })
    }

    /// Queues a notification of these changes. Returns once it is in the file.
    pub(super) async fn tell(&self, changes: &[Change], instance: &str) {
        let (over, firing): (Vec<_>, Vec<_>) = changes.iter().partition(|change| matches!(change, Change::Resolved(_)));
        for group in [over, firing].into_iter().filter(|group| !group.is_empty()) {
            let body = webhook::body(&group, instance, |at| Timestamp(at).to_string());
            if !self.queue.push(body.to_string().into()) {
                self.dropped.inc();
            }
        }
        self.queue.save().await;
        self.queue.added.notify_one();
    }
}

/// Notifications that were not accepted yet, the oldest first, in memory and in a file.
struct Queue {
    waiting: Mutex<VecDeque<Bytes>>,
    added: Notify,
    /// `None` without a history. Locked while the file is written, so that the last state is written last.
    outbox: Option<Mutex<Outbox>>,
    is_failing: AtomicBool,
}

impl Queue {
    /// A queue that begins with the notifications that an earlier run could not deliver.
    fn of(outbox: Option<Outbox>) -> Self {
        let left = outbox.as_ref().map(Outbox::read).unwrap_or_else(|| Ok(Vec::new()));
        let left = left.unwrap_or_else(|error| {
            tracing::warn!(%error, "notifications of alerts that an earlier run has left cannot be read");
            Vec::new()
        });
        let is_whole = |text: &String| serde_json::from_str::<serde_json::Value>(text).is_ok();
        let waiting = left.into_iter().filter(is_whole).map(Bytes::from).take(WAITING).collect();
        Self {
            waiting: Mutex::new(waiting),
            added: Notify::new(),
            outbox: outbox.map(Mutex::new),
            is_failing: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn push(&self, body: Bytes) -> bool {
        let mut waiting = self.waiting();
        let has_room = waiting.len() < WAITING;
        if has_room {
            waiting.push_back(body);
        }
        has_room
    }

    fn first(&self) -> Option<Bytes> {
        self.waiting().front().cloned()
    }

    async fn remove_first(self: &Arc<Self>) {
        self.waiting().pop_front();
        self.save().await;
    }

    /// Writes the queue to the file. Where that fails, the queue goes on in memory.
    async fn save(self: &Arc<Self>) {
        let queue = self.clone();
        // It blocks on the disk. A panic in it is in the log already.
        let _ended = tokio::task::spawn_blocking(move || queue.write()).await;
    }

    fn write(&self) {
        let Some(outbox) = &self.outbox else { return };
        let outbox = outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: Vec<Bytes> = self.waiting().iter().cloned().collect();
        match outbox.keep(&waiting) {
            Ok(()) => self.is_failing.store(false, Ordering::Relaxed),
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "notifications of alerts are in memory alone: a restart loses them");
            }
            Err(_) => {}
        }
    }
}

async fn deliver(remote: Arc<Remote>, queue: Arc<Queue>, dropped: IntCounter, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        let Some(body) = queue.first() else {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = queue.added.notified() => continue,
            }
        };
        let mut wait = FIRST_WAIT;
        loop {
            let error = match remote.post("", body.clone()).await {
                Ok(()) => break,
                Err(error) => error,
            };
            if !error.may_pass() {
                tracing::error!(%error, "the webhook of alerts refuses a notification: it is dropped");
                dropped.inc();
                break;
            }
            if !std::mem::replace(&mut failing, true) {
                tracing::warn!(%error, "the webhook of alerts cannot be told: it is tried again");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        queue.remove_first().await;
        if std::mem::take(&mut failing) {
            tracing::info!("the webhook of alerts is told again");
        }
    }
}
