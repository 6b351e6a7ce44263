//! Reads each topic in one place, while somebody listens to it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Notify, broadcast, watch};

use super::lists::Tail;
use super::places::Places;
use super::topic::{Push, Topic, push};
use crate::api::endpoints::{alerts, compat, in_flight, jobs, metrics, models, stats, workers};
use crate::api::state::Parts;
use crate::api::unknown::resolve;

/// Entries of a list that wait for a listener.
const MAX_ENTRIES: usize = 256;

/// How often lists are looked at, and the least time between two readings of a figure.
const TURN: Duration = Duration::from_secs(1);

/// The newest state of each figure, and the entries of each list. Clones share them.
#[derive(Clone)]
pub(in crate::api) struct Hub(Arc<Shared>);

struct Shared {
    figures: Vec<(Topic, watch::Sender<Option<Push>>)>,
    lists: Vec<(Topic, broadcast::Sender<Push>)>,
    /// Notified when somebody begins to listen.
    begun: Notify,
    places: Arc<Places>,
    /// When each figure was last read.
    read: RwLock<Vec<Option<Instant>>>,
}

impl Hub {
    /// Begins to read; until `parts.stop` is true.
    pub(in crate::api) fn start(parts: Arc<Parts>) -> Self {
        let figures: Vec<_> = Topic::NAMED.into_iter().chain([Topic::Summary]).filter(|it| !it.is_list()).collect();
        let count = figures.len();
        let hub = Self(Arc::new(Shared {
            figures: figures.into_iter().map(|topic| (topic, watch::Sender::default())).collect(),
            lists: [Topic::Logs, Topic::Exchanges].map(|topic| (topic, broadcast::Sender::new(MAX_ENTRIES))).into(),
            begun: Notify::new(),
            places: Arc::default(),
            read: RwLock::new(vec![None; count]),
        }));
        tokio::spawn(hub.clone().run(parts));
        hub
    }

    pub(in crate::api) fn places(&self) -> &Arc<Places> {
        &self.0.places
    }

    /// The newest state of a figure, at once where it is fresh; `None` for a list.
    pub(super) fn figure(&self, topic: Topic) -> Option<watch::Receiver<Option<Push>>> {
        let (index, (_, sender)) = self.0.figures.iter().enumerate().find(|(_, (known, _))| *known == topic)?;
        let mut receiver = sender.subscribe();
        // A state that was read for an earlier listener may be old: it is sent only while it is fresh.
        let read = self.0.read.read().unwrap_or_else(PoisonError::into_inner)[index];
        if read.is_some_and(|at| at.elapsed() < topic.period() + TURN) {
            receiver.mark_changed();
        }
        self.0.begun.notify_one();
        Some(receiver)
    }

    /// The entries of a list from now on; `None` for a figure.
    pub(super) fn list(&self, topic: Topic) -> Option<broadcast::Receiver<Push>> {
        let (_, sender) = self.0.lists.iter().find(|(known, _)| *known == topic)?;
        let receiver = sender.subscribe();
        self.0.begun.notify_one();
        Some(receiver)
    }

    async fn run(self, parts: Arc<Parts>) {
        let mut stop = parts.stop.clone();
        let mut tail = Tail::default();
        loop {
            // First: a list begins with the first look after somebody began to listen.
            tail.read(&parts, |topic| self.listeners(topic), |topic, push| self.publish(topic, push)).await;
            self.read_figures(&parts).await;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.0.begun.notified() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }

    fn listeners(&self, topic: Topic) -> usize {
        self.0.lists.iter().find(|(known, _)| *known == topic).map_or(0, |(_, sender)| sender.receiver_count())
    }

    fn publish(&self, topic: Topic, push: Push) {
        if let Some((_, sender)) = self.0.lists.iter().find(|(known, _)| *known == topic) {
            // Without a listener it goes nowhere.
            let _ = sender.send(push);
        }
    }

    /// Reads the figures that somebody listens to and that have aged.
    async fn read_figures(&self, parts: &Parts) {
        for (index, (topic, sender)) in self.0.figures.iter().enumerate() {
            let now = Instant::now();
            let read = self.0.read.read().unwrap_or_else(PoisonError::into_inner)[index];
            // A little early, so that turns of a second do not make three of two.
            let is_due = read.is_none_or(|at| now.duration_since(at) + TURN / 4 >= topic.period());
            if sender.receiver_count() > 0 && is_due {
                let push = read_figure(*topic, parts, now).await;
                self.0.read.write().unwrap_or_else(PoisonError::into_inner)[index] = Some(now);
                sender.send_replace(Some(push));
            }
        }
    }
}

async fn read_figure(topic: Topic, parts: &Parts, now: Instant) -> Push {
    let data = match topic {
        Topic::Stats => resolve(&stats::read(parts, now)),
        Topic::Metrics => resolve(&metrics::read(parts, now).await),
        Topic::Alerts => resolve(&alerts::read(parts, now)),
        Topic::Models => resolve(&models::read(parts, now).await),
        Topic::Workers => resolve(&workers::read(parts, now).await),
        Topic::Jobs => jobs::read(parts, None, jobs::USUAL, now).await.map_or(Value::Null, |jobs| resolve(&jobs)),
        Topic::InFlight => resolve(&in_flight::read(parts, now)),
        Topic::Summary => return resolve(&compat::read(parts, now).await).to_string().into(),
        Topic::Logs | Topic::Exchanges => Value::Null,
    };
    push(topic, &parts.text(now), &data)
}
