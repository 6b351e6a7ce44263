//! What is known of alerts now: written in one place, read by dashboards.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::{Change, RuleState};
use super::raised::{Acknowledgement, Alert};
use super::rule::Severity;

/// Alerts that are over and stay known.
pub const MAX_RESOLVED: usize = 200;

/// Most alerts that are shown at once.
pub const MAX_ACTIVE: usize = 1_000;

/// Who says what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AlertSource {
    /// Nobody: it is switched off.
    #[default]
    Off,
    /// This program, for itself.
    BuiltIn,
    /// Prometheus, for all that it watches.
    Prometheus,
    /// Prometheus, without the silences of Alertmanager, which does not answer; the text is for people.
    WithoutSilences(Box<str>),
    /// This program, for itself, because Prometheus does not answer; the text is for people.
    Unreachable(Box<str>),
}

impl AlertSource {
    /// One word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::BuiltIn => "built_in",
            Self::Prometheus => "prometheus",
            Self::WithoutSilences(_) => "prometheus_without_silences",
            Self::Unreachable(_) => "prometheus_unreachable",
        }
    }

    /// Whether Prometheus says so.
    #[must_use]
    pub const fn is_theirs(&self) -> bool {
        matches!(self, Self::Prometheus | Self::WithoutSilences(_))
    }
}

/// A rule as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedRule {
    /// Its name.
    pub name: Box<str>,
    /// The condition.
    pub condition: Box<str>,
    /// How grave its alerts are; `None` where it does not say.
    pub severity: Option<Severity>,
    /// What it is about.
    pub category: Box<str>,
    /// How long the condition must hold, in seconds.
    pub hold: f64,
    /// How it is: one word.
    pub state: Box<str>,
    /// Whether anybody evaluates it.
    pub enabled: bool,
    /// Why not.
    pub reason: Option<Box<str>>,
}

/// What is known at an instant.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// When the rules were last evaluated, in milliseconds since the epoch; `None` before that.
    pub at: Option<i64>,
    /// Who evaluates them.
    pub source: AlertSource,
    /// Alerts that fire, the gravest first, of these those that began last first.
    pub firing: Vec<Alert>,
    /// Alerts whose condition has not held for long enough.
    pub pending: Vec<Alert>,
    /// Alerts that are over, the newest first.
    pub resolved: VecDeque<Alert>,
    /// The rules.
    pub rules: Vec<WatchedRule>,
}

impl View {
    /// How many alerts of this severity fire.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.firing.iter().filter(|alert| alert.severity == severity).count()
    }
}

/// What is known of alerts. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    view: Arc<View>,
    /// By the ids of alerts that fire.
    acknowledged: BTreeMap<Box<str>, Acknowledgement>,
}

/// What an evaluation found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who evaluated.
    pub source: AlertSource,
    /// Every alert whose condition holds.
    pub alerts: Vec<Alert>,
    /// The rules.
    pub rules: Vec<WatchedRule>,
}

impl Board {
    /// What is known now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).view.clone()
    }

    /// Goes on with what an earlier run has acknowledged.
    pub fn restore(&self, alerts: &[Alert]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = alerts.iter().filter_map(|alert| Some((alert.id.clone(), alert.acknowledged.clone()?)));
        state.acknowledged.extend(known);
    }

    /// Replaces what is known, and returns the changes with who has acknowledged them.
    pub fn publish(&self, findings: Findings, changes: Vec<Change>) -> Vec<Change> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let with = |mut alert: Alert, known: &BTreeMap<_, Acknowledgement>| {
            alert.acknowledged = known.get(&alert.id).cloned().or(alert.acknowledged);
            alert
        };
        let changes: Vec<_> = changes
            .into_iter()
            .map(|change| match change {
                Change::Fired(alert) => Change::Fired(with(alert, &state.acknowledged)),
                Change::Resolved(alert) => Change::Resolved(with(alert, &state.acknowledged)),
            })
            .collect();
        let alerts = findings.alerts.into_iter().map(|alert| with(alert, &state.acknowledged));
        let (mut firing, mut pending): (Vec<_>, Vec<_>) = alerts.partition(|alert| alert.fired.is_some());
        firing.sort_by_key(|alert| std::cmp::Reverse((alert.severity, alert.started)));
        firing.truncate(MAX_ACTIVE);
        pending.truncate(MAX_ACTIVE);
        let mut resolved = state.view.resolved.clone();
        for change in &changes {
            if let Change::Resolved(alert) = change {
                resolved.push_front(alert.clone());
            }
        }
        resolved.truncate(MAX_RESOLVED);
        state.acknowledged.retain(|id, _| firing.iter().any(|alert| alert.id == *id));
        let (at, source, rules) = (Some(findings.at), findings.source, findings.rules);
        state.view = Arc::new(View { at, source, firing, pending, resolved, rules });
        changes
    }

    /// Notes that somebody has seen an alert that fires. Returns the alert; `None` where none of this id fires.
    pub fn acknowledge(&self, id: &str, acknowledgement: Acknowledgement) -> Option<Alert> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::clone(&state.view);
        let alert = view.firing.iter_mut().find(|alert| *alert.id == *id)?;
        // Who was first stays.
        if alert.acknowledged.is_none() {
            alert.acknowledged = Some(acknowledgement.clone());
            state.acknowledged.insert(alert.id.clone(), acknowledgement);
        }
        let alert = alert.clone();
        state.view = Arc::new(view);
        Some(alert)
    }
}

impl WatchedRule {
    /// Of a rule that this program knows.
    #[must_use]
    pub fn of((rule, state): (&'static super::rule::Rule, RuleState)) -> Self {
        let reason = match state {
            RuleState::Elsewhere(reason) => Some(reason.into()),
            _ => None,
        };
        Self {
            name: rule.name.into(),
            condition: rule.condition().into(),
            severity: Some(rule.severity),
            category: rule.category.as_str().into(),
            hold: f64::from(rule.hold),
            state: state.as_str().into(),
            enabled: reason.is_none(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::engine::Engine;
    use crate::alert::labels::Labels;
    use crate::alert::rules::find;

    fn step(engine: &mut Engine, board: &Board, failed: f64, at: i64) -> Vec<Change> {
        engine.samples().push("ollama_proxy_gpu_row_remap_failed", &Labels::default().with("gpu", "0"), failed, at);
        let changes = engine.step(at);
        let (alerts, rules) = (engine.alerts().collect(), engine.states().map(WatchedRule::of).collect());
        board.publish(Findings { at, source: AlertSource::BuiltIn, alerts, rules }, changes)
    }

    #[test]
    fn what_is_acknowledged_stays_so_to_its_end_and_not_beyond() {
        let (mut engine, board) = (Engine::new(find("InferometerGpuRowRemapFailed")), Board::default());
        step(&mut engine, &board, 1.0, 1_000);
        let id = board.view().firing[0].id.clone();
        let by = |name: &str, at| Acknowledgement { by: Some(name.into()), at };
        assert!(board.acknowledge("no such id", by("anna", 2_000)).is_none());
        assert!(board.acknowledge(&id, by("anna", 2_000)).is_some());
        board.acknowledge(&id, by("otto", 3_000));
        step(&mut engine, &board, 1.0, 4_000);
        assert_eq!(board.view().firing[0].acknowledged, Some(by("anna", 2_000)), "the first one counts");
        let changes = step(&mut engine, &board, 0.0, 5_000);
        let [Change::Resolved(alert)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(alert.acknowledged, Some(by("anna", 2_000)));
        assert_eq!(board.view().resolved.len(), 1);
        step(&mut engine, &board, 1.0, 6_000);
        assert_eq!(board.view().firing[0].acknowledged, None, "it is another alert");
    }

    #[test]
    fn alerts_that_are_over_are_bounded() {
        let (mut engine, board) = (Engine::new(find("InferometerGpuRowRemapFailed")), Board::default());
        for at in 0..2 * i64::try_from(MAX_RESOLVED).expect("small") + 20 {
            step(&mut engine, &board, ((at + 1) % 2) as f64, at * 1_000);
        }
        let view = board.view();
        assert_eq!(view.resolved.len(), MAX_RESOLVED);
        assert!(view.resolved[0].resolved > view.resolved[1].resolved, "the newest first");
    }
}
