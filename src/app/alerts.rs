//! Evaluates the rules of alerts on what this program exposes, asks Prometheus where one is configured, and tells whoever
//! wants to know.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::components::Components;
use super::material::Material;
use super::their_alerts::TheirAlerts;
use super::webhook::Webhook;
use crate::alert::board::{AlertSource, Findings, WatchedRule};
use crate::alert::course::Course;
use crate::alert::engine::{Change, Engine};
use crate::alert::kept::{kept, restored};
use crate::alert::labels::Labels;
use crate::alert::raised::Alert;
use crate::alert::rules;
use crate::alert::samples::MAX_SERIES;
use crate::config::Config;
use crate::history::journal::Journal;
use crate::history::query::Range;
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::readers::Readers;
use crate::host;
use crate::metrics::{Format, Metrics};
use crate::priority;

/// The label `job` of the shipped `prometheus.yml`, so that alerts have the same labels here and there.
const JOB: &str = "ollama_proxy";

/// The part of one processor that the rules may take: a look that took more is followed by a longer pause.
const SHARE: u32 = 20;

/// The longest pause that follows from that: rules look at the last minutes, and an alert is not to come much later.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The rules and what they are evaluated on.
struct Evaluation {
    engine: Engine,
    metrics: Arc<Metrics>,
    target: Labels,
    last: i64,
    /// The processor time that the last look took: on a machine with much to do more time passes.
    spent: Duration,
    limits: Limits,
}

/// What has been said of the limits.
#[derive(Default)]
struct Limits {
    is_slow: bool,
    has_refused: bool,
}

/// Starts to evaluate in every period, until `stop` is true. `admin` is the address that Prometheus would ask.
pub(super) fn start(
    config: &Config,
    components: &Components,
    admin: SocketAddr,
    material: &Material,
    stop: &watch::Receiver<bool>,
) {
    let address = || format!("{}:{}", host::node(), admin.port());
    let instance = config.history.instance.clone().unwrap_or_else(address);
    let webhook = Webhook::start(config, (material, components), &instance, stop);
    let Some(period) = config.alerts.period else { return };
    let target = Labels::default().with("job", JOB).with("instance", &instance);
    let evaluation = Evaluation {
        engine: Engine::new(rules::all()),
        metrics: components.metrics.clone(),
        target,
        last: i64::MIN,
        spent: Duration::ZERO,
        limits: Limits::default(),
    };
    let (journal, readers) = (components.history.journal(), components.readers.clone());
    let (board, mut stop) = (components.alerts.clone(), stop.clone());
    let mut theirs = TheirAlerts::of(material);
    tokio::spawn(async move {
        let mut evaluation = evaluation;
        let mut course = Course::default();
        let before = unresolved(readers.as_ref()).await;
        board.restore(&before);
        let own = before.iter().filter(|alert| alert.labels.get("instance") == instance).cloned().collect::<Vec<_>>();
        match &theirs {
            Some(_) => course.restore(&before, true),
            None => course.restore(&own, false),
        }
        evaluation.engine.restore(own, now());
        loop {
            // Other work of this thread goes on meanwhile.
            let evaluated = tokio::task::spawn_blocking(move || evaluation.step());
            let asked = async {
                match &mut theirs {
                    Some(theirs) => theirs.ask(now()).await,
                    None => None,
                }
            };
            let (Ok((evaluated, own)), theirs) = tokio::join!(evaluated, asked) else { return };
            evaluation = evaluated;
            let findings = match theirs {
                Some(Ok(theirs)) => theirs,
                Some(Err(why)) => Findings { source: AlertSource::Unreachable(why), ..own },
                None => own,
            };
            let changes = course.step(&findings);
            let changes = board.publish(findings, changes);
            // Queued before it is written to the history: the next run sends nothing for an alert that it finds there.
            if let Some(webhook) = webhook.as_ref().filter(|_| !changes.is_empty()) {
                webhook.tell(&changes, &instance).await;
            }
            changes.iter().for_each(|change| report(change, &journal));
            let pause = evaluation.pause(period);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}

impl Evaluation {
    fn step(mut self) -> (Self, Findings) {
        // A clock that goes back must not put samples before those that are there.
        let at = now().max(self.last + 1);
        self.last = at;
        let begun = priority::processor_time();
        let page = self.metrics.encode(Format::Text);
        self.engine.samples().scrape(&String::from_utf8_lossy(&page), &self.target, at);
        self.engine.step(at);
        self.spent = priority::processor_time().saturating_sub(begun);
        let findings = Findings {
            at,
            source: AlertSource::BuiltIn,
            alerts: self.engine.alerts().collect(),
            rules: self.engine.states().map(WatchedRule::of).collect(),
        };
        (self, findings)
    }

    /// The time until the next look. Says once what goes beyond a limit.
    fn pause(&mut self, period: Duration) -> Duration {
        let (pause, spent) = (pause_after(self.spent, period), self.spent);
        let is_slow = pause > period;
        if is_slow && !std::mem::replace(&mut self.limits.is_slow, is_slow) {
            tracing::warn!(
                ?spent,
                ?pause,
                "the rules of alerts take long: they are evaluated less often than they should be"
            );
        }
        let refused = self.engine.samples().refused();
        if refused > 0 && !std::mem::replace(&mut self.limits.has_refused, true) {
            tracing::warn!(
                most = MAX_SERIES,
                "there are more series than the rules of alerts look at: some are left out"
            );
        }
        pause
    }
}

/// The pause after a look that took so long.
fn pause_after(spent: Duration, period: Duration) -> Duration {
    spent.saturating_mul(SHARE - 1).min(LONGEST_PAUSE).max(period)
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Alerts that fired when earlier runs ended, of every process that has the same history.
async fn unresolved(readers: Option<&Readers>) -> Vec<Alert> {
    let Some(readers) = readers else { return Vec::new() };
    let query = ListQuery {
        range: Range { from: 0, to: i64::MAX },
        filter: ListFilter { state: Some("firing".into()), ..ListFilter::default() },
        offset: 0,
        limit: crate::alert::board::MAX_ACTIVE,
    };
    let found = readers.ask(move |reading| reading.alerts_here(&query)).await;
    let entries = found.ok().and_then(Result::ok).map(|found| found.entries).unwrap_or_default();
    entries.iter().map(restored).collect()
}

fn report(change: &Change, journal: &Journal) {
    let alert = match change {
        Change::Fired(alert) => {
            tracing::warn!(alert = &*alert.rule, severity = alert.severity.as_str(), "{}", alert.summary);
            alert
        }
        Change::Resolved(alert) => {
            tracing::info!(alert = &*alert.rule, "an alert is over: {}", alert.summary);
            alert
        }
    };
    journal.alert(kept(alert));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_take_a_twentieth_of_a_processor_and_are_never_late_by_more_than_a_minute() {
        let period = Duration::from_secs(10);
        let millis = |spent| pause_after(Duration::from_millis(spent), period).as_millis();
        assert_eq!([1, 500, 1_000, 2_000, 100_000].map(millis), [10_000, 10_000, 19_000, 38_000, 60_000]);
    }
}
