//! Notifies a webhook of alerts that fire and of alerts that are resolved.
//!
//! Promises: notifications are delivered in order. One that was accepted is not sent again; one that was not is retried until
//! it is accepted, or until the webhook refuses it for good. At most [`WAITING`] are queued; more are dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::sync::{mpsc, watch};

use super::components::Components;
use super::material::Material;
use crate::alert::engine::Change;
use crate::alert::webhook;
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
    queue: mpsc::Sender<Bytes>,
    dropped: IntCounter,
}

impl Webhook {
    /// Begins to deliver, until `stop` is true; `None` where no webhook is configured.
    pub(super) fn start(material: &Material, components: &Components, stop: &watch::Receiver<bool>) -> Option<Self> {
        let remote = material.webhook.clone()?;
        let (dropped, (queue, waiting)) = (components.metrics.sink_dropped("webhook"), mpsc::channel(WAITING));
        tokio::spawn(deliver(remote, waiting, dropped.clone(), stop.clone()));
        Some(Self { queue, dropped })
    }

    /// Queues a notification of these changes.
    pub(super) fn tell(&self, changes: &[Change], instance: &str) {
        let (over, firing): (Vec<_>, Vec<_>) = changes.iter().partition(|change| matches!(change, Change::Resolved(_)));
        for group in [over, firing].into_iter().filter(|group| !group.is_empty()) {
            let body = webhook::body(&group, instance, |at| Timestamp(at).to_string());
            if self.queue.try_send(body.to_string().into()).is_err() {
                self.dropped.inc();
            }
        }
    }
}

async fn deliver(
    remote: Arc<Remote>,
    mut waiting: mpsc::Receiver<Bytes>,
    dropped: IntCounter,
    mut stop: watch::Receiver<bool>,
) {
    let mut failing = false;
    while let Some(body) = waiting.recv().await {
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
        if std::mem::take(&mut failing) {
            tracing::info!("the webhook of alerts is told again");
        }
    }
}
