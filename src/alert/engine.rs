//! Evaluates the rules on samples, and follows each alert from its beginning to its end.

use std::collections::BTreeMap;

use super::labels::Labels;
use super::promql::eval::{Look, Vector, common};
use super::promql::expr::Expr;
use super::promql::parse::parse;
use super::raised::Alert;
use super::rule::{Evaluated, Rule};
use super::samples::Samples;
use super::template::filled;

/// Most alerts of a rule: more say nothing that these do not.
pub const MAX_ALERTS: usize = 100;

/// How long an alert of an earlier run goes on without its condition, in milliseconds: until backends have been probed,
/// sources were read, and the rules have looked twice, a minute apart at most.
const GRACE: i64 = 150_000;

/// The rules with their alerts.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Watched>,
    /// What their conditions have in common.
    common: Vec<Expr>,
    samples: Samples,
}

#[derive(Debug)]
struct Watched {
    rule: &'static Rule,
    /// `None` where Prometheus alone can evaluate it.
    condition: Option<Condition>,
    active: BTreeMap<Labels, Active>,
    state: RuleState,
}

#[derive(Debug)]
struct Condition {
    expr: Expr,
    /// For alerts that fire.
    lasting: Option<Expr>,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    started: i64,
    fired: Option<i64>,
    value: f64,
    /// An alert of an earlier run, until then.
    until: Option<i64>,
}

/// How a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Its condition does not hold.
    Quiet,
    /// Its condition holds, and not for long enough.
    Pending,
    /// There are alerts.
    Firing,
    /// Too little was seen to say anything.
    NotYet,
    /// Nothing that it looks at is there.
    NoSamples,
    /// Only Prometheus can evaluate it, for this reason.
    Elsewhere(&'static str),
}

impl RuleState {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::NotYet => "not_yet",
            Self::NoSamples => "no_samples",
            Self::Elsewhere(_) => "needs_prometheus",
        }
    }
}

/// What has become of an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It fires.
    Fired(Alert),
    /// It is over.
    Resolved(Alert),
}

impl Engine {
    /// Of these rules.
    ///
    /// # Panics
    /// When a rule has an expression that is not known here. A test parses every rule.
    pub fn new(rules: impl IntoIterator<Item = &'static Rule>) -> Self {
        let rules: Vec<_> = rules.into_iter().map(Watched::new).collect();
        let mut wanted = Vec::new();
        for condition in rules.iter().filter_map(|watched| watched.condition.as_ref()) {
            for expr in std::iter::once(&condition.expr).chain(&condition.lasting) {
                expr.selectors(&mut |selector, window, counts| wanted.push((selector.metric.as_str(), window, counts)));
            }
        }
        let samples = Samples::of_metrics(wanted);
        let conditions = || rules.iter().filter_map(|watched| watched.condition.as_ref());
        // Guards are looked at once more, alone.
        let mut guards = Vec::new();
        conditions().for_each(|condition| condition.expr.guards(&mut guards));
        let exprs = conditions().flat_map(|condition| std::iter::once(&condition.expr).chain(&condition.lasting));
        let common = common(exprs.chain(guards));
        Self { rules, common, samples }
    }

    /// The samples that the rules look at.
    pub fn samples(&mut self) -> &mut Samples {
        &mut self.samples
    }

    /// Goes on with alerts that fired when an earlier run ended. `now` is in milliseconds since the epoch.
    pub fn restore(&mut self, alerts: impl IntoIterator<Item = Alert>, now: i64) {
        for alert in alerts {
            let Some(watched) = self.rules.iter_mut().find(|watched| *watched.rule.name == *alert.rule) else {
                continue;
            };
            let value = alert.value.unwrap_or(f64::NAN);
            let active = Active { started: alert.started, fired: alert.fired, value, until: Some(now + GRACE) };
            watched.active.insert(alert.labels, active);
        }
    }

    /// Evaluates every rule at an instant, in milliseconds since the epoch.
    pub fn step(&mut self, at: i64) -> Vec<Change> {
        let look = Look::at(&self.samples, at, &self.common);
        self.rules.iter_mut().flat_map(|watched| watched.step(&look)).collect()
    }

    /// The alerts whose condition holds, those that fire and those that do not yet.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> {
        self.rules.iter().flat_map(|it| it.active.iter().map(|(labels, active)| it.alert(labels, *active)))
    }

    /// Each rule with its state.
    pub fn states(&self) -> impl Iterator<Item = (&'static Rule, RuleState)> {
        self.rules.iter().map(|watched| (watched.rule, watched.state))
    }
}

impl Watched {
    fn new(rule: &'static Rule) -> Self {
        let parsed = |text: &str| parse(text).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
        let (condition, state) = match rule.evaluated {
            Evaluated::ByPrometheus(reason) => (None, RuleState::Elsewhere(reason)),
            Evaluated::Here => {
                let lasting = rule.lasting_expr().map(|text| parsed(&text));
                (Some(Condition { expr: parsed(rule.expr), lasting }), RuleState::NoSamples)
            }
        };
        Self { rule, condition, active: BTreeMap::new(), state }
    }

    fn step(&mut self, look: &Look<'_>) -> Vec<Change> {
        let Some(condition) = &self.condition else { return Vec::new() };
        let at = look.instant();
        let mut holds = look.evaluate(&condition.expr);
        if let Some(lasting) = &condition.lasting {
            let fires = |labels: &Labels| self.active.get(labels).is_some_and(|active| active.fired.is_some());
            let goes_on = look.evaluate(lasting).into_iter().filter(|(labels, _)| fires(labels));
            goes_on.for_each(|(labels, value)| {
                holds.entry(labels).or_insert(value);
            });
        }
        let mut changes = self.end_others(&holds, at);
        let hold = i64::from(self.rule.hold) * 1_000;
        for (labels, value) in holds {
            if self.active.len() >= MAX_ALERTS && !self.active.contains_key(&labels) {
                continue;
            }
            let new = Active { started: at, fired: None, value, until: None };
            let active = self.active.entry(labels.clone()).or_insert(new);
            (active.value, active.until) = (value, None);
            if active.fired.is_none() && at - active.started >= hold {
                active.fired = Some(at);
                let active = *active;
                changes.push(Change::Fired(self.alert(&labels, active)));
            }
        }
        self.state = self.now(look);
        changes
    }

    /// Ends the alerts whose condition does not hold.
    fn end_others(&mut self, holds: &Vector, at: i64) -> Vec<Change> {
        let is_over = |labels: &Labels, active: &Active| {
            !holds.contains_key(labels) && active.until.is_none_or(|until| until <= at)
        };
        let all = std::mem::take(&mut self.active);
        let (over, active): (BTreeMap<_, _>, _) = all.into_iter().partition(|(labels, active)| is_over(labels, active));
        self.active = active;
        let fired = over.into_iter().filter(|(_, active)| active.fired.is_some());
        fired
            .map(|(labels, active)| Change::Resolved(Alert { resolved: Some(at), ..self.alert(&labels, active) }))
            .collect()
    }

    fn now(&self, look: &Look<'_>) -> RuleState {
        let Some(condition) = &self.condition else { return self.state };
        if self.active.values().any(|active| active.fired.is_some()) {
            return RuleState::Firing;
        }
        if !self.active.is_empty() {
            return RuleState::Pending;
        }
        let (mut is_there, mut guards) = (false, Vec::new());
        condition.expr.selectors(&mut |selector, _, _| is_there |= look.samples().has(&selector.metric));
        condition.expr.guards(&mut guards);
        if !is_there {
            RuleState::NoSamples
        } else if !guards.is_empty() && guards.iter().all(|guard| look.evaluate(guard).is_empty()) {
            RuleState::NotYet
        } else {
            RuleState::Quiet
        }
    }

    fn alert(&self, labels: &Labels, active: Active) -> Alert {
        let rule = self.rule;
        let text = |text: &str| filled(text, labels, active.value).into_boxed_str();
        Alert {
            id: Alert::id(rule.name, labels, active.started),
            rule: rule.name.into(),
            severity: rule.severity,
            category: rule.category.as_str().into(),
            labels: labels.clone(),
            value: Some(active.value).filter(|value| value.is_finite()),
            threshold: self.condition.as_ref().and_then(|condition| condition.expr.threshold()),
            started: active.started,
            fired: active.fired,
            resolved: None,
            summary: text(rule.summary),
            description: text(rule.description),
            runbook: Some(rule.runbook().into()),
            actions: rule.actions.iter().map(|action| (*action).into()).collect::<Vec<_>>().into(),
            acknowledged: None,
            silence: None,
        }
    }
}

#[cfg(test)]
mod tests;
