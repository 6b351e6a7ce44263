//! What becomes of alerts, whoever says that they fire: each is reported once when it begins, and once when it is over.

use std::collections::BTreeMap;

use super::board::{AlertSource, Findings};
use super::engine::Change;
use super::raised::Alert;

/// The alerts that were reported and are not over.
#[derive(Clone, Debug, Default)]
pub struct Course(BTreeMap<Box<str>, Reported>);

#[derive(Clone, Debug)]
struct Reported {
    alert: Alert,
    /// Prometheus has said it.
    is_theirs: bool,
}

impl Course {
    /// Goes on with alerts that an earlier run has reported.
    pub fn restore(&mut self, alerts: &[Alert], is_theirs: bool) {
        let of = |alert: &Alert| (alert.id.clone(), Reported { alert: alert.clone(), is_theirs });
        self.0.extend(alerts.iter().map(of));
    }

    /// What has changed. While Prometheus does not answer, nothing is known of its alerts, and none of them is over.
    pub fn step(&mut self, findings: &Findings) -> Vec<Change> {
        let is_theirs = findings.source.is_theirs();
        let firing: BTreeMap<_, _> = findings
            .alerts
            .iter()
            .filter(|alert| alert.fired.is_some())
            .map(|alert| (alert.id.clone(), Reported { alert: alert.clone(), is_theirs }))
            .collect();
        let answers = !matches!(findings.source, AlertSource::Unreachable(_));
        let is_over = |id: &str, known: &Reported| !firing.contains_key(id) && (answers || !known.is_theirs);
        let (over, known): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|(id, known)| is_over(id, known));
        self.0 = known;
        let over = over.into_values().map(|it| Change::Resolved(Alert { resolved: Some(findings.at), ..it.alert }));
        let mut changes: Vec<_> = over.collect();
        for (id, reported) in firing {
            if !self.0.contains_key(&id) {
                changes.push(Change::Fired(reported.alert.clone()));
            }
            self.0.insert(id, reported);
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::heard::heard;

    fn alert(name: &str) -> Alert {
        let body = format!(
            r#"{{"data":{{"groups":[{{"rules":[{{"name":"{name}","alerts":[{{"labels":{{}},"state":"firing",
               "activeAt":"1970-01-01T00:00:01Z","value":"1"}}]}}]}}]}}}}"#
        );
        heard(body.as_bytes(), 2_000).expect("an answer").alerts.remove(0)
    }

    fn step(course: &mut Course, at: i64, source: AlertSource, alerts: &[&str]) -> Vec<String> {
        let alerts = alerts.iter().map(|name| alert(name)).collect();
        let changes = course.step(&Findings { at, source, alerts, rules: Vec::new() });
        let text = |change: Change| match change {
            Change::Fired(alert) => format!("+{}", alert.rule),
            Change::Resolved(alert) => format!("-{} {:?}", alert.rule, alert.resolved),
        };
        let mut texts: Vec<_> = changes.into_iter().map(text).collect();
        texts.sort();
        texts
    }

    #[test]
    fn an_alert_is_reported_once_whoever_says_it_and_is_not_over_because_nobody_answers() {
        let away = || AlertSource::Unreachable("it does not answer".into());
        let mut course = Course::default();
        assert_eq!(step(&mut course, 1, AlertSource::Prometheus, &["A", "B"]), ["+A", "+B"]);
        assert_eq!(step(&mut course, 2, AlertSource::Prometheus, &["A", "B"]), [""; 0]);
        assert_eq!(step(&mut course, 3, away(), &["C"]), ["+C"], "A and B go on for all that is known");
        assert_eq!(step(&mut course, 4, away(), &[]), ["-C Some(4)"]);
        assert_eq!(step(&mut course, 5, away(), &["C"]), ["+C"]);
        assert_eq!(step(&mut course, 6, AlertSource::Prometheus, &["B"]), ["-A Some(6)", "-C Some(6)"]);
        let mut later = Course::default();
        later.restore(&[alert("B"), alert("D")], true);
        assert_eq!(step(&mut later, 7, AlertSource::WithoutSilences("why".into()), &["B"]), ["-D Some(7)"]);
    }
}
