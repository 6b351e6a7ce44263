//! Asks Prometheus for its alerts and rules, and its Alertmanager for silences.

use std::sync::Arc;

use super::material::Material;
use crate::alert::board::{AlertSource, Findings};
use crate::alert::heard::{self, Heard};
use crate::alert::silence::{self, Silences};
use crate::remote::Remote;

pub(super) struct TheirAlerts {
    prometheus: Arc<Remote>,
    alertmanager: Option<Arc<Remote>>,
    /// The state that was logged last.
    state: Option<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    NoRules,
    NoSilences,
    Away,
}

impl TheirAlerts {
    /// `None` where no Prometheus is configured.
    pub(super) fn of(material: &Material) -> Option<Self> {
        let prometheus = material.prometheus.clone()?;
        Some(Self { prometheus, alertmanager: material.alertmanager.clone(), state: None })
    }

    /// What it says at an instant, in milliseconds since the epoch; `None` where it has no alerting rules, and this
    /// program's own are all that there is.
    pub(super) async fn ask(&mut self, now: i64) -> Option<Result<Findings, Box<str>>> {
        let Heard { mut alerts, rules } = match self.rules(now).await {
            Ok(heard) => heard,
            Err(why) => {
                self.enter(State::Away, &why);
                return Some(Err(why));
            }
        };
        if rules.is_empty() {
            self.enter(State::NoRules, "");
            return None;
        }
        let source = match self.silences().await {
            Ok(silences) => {
                alerts.iter_mut().for_each(|alert| alert.silence = silences.of(alert));
                self.enter(State::Asked, "");
                AlertSource::Prometheus
            }
            Err(why) => {
                self.enter(State::NoSilences, &why);
                AlertSource::WithoutSilences(why)
            }
        };
        Some(Ok(Findings { at: now, source, alerts, rules }))
    }

    async fn rules(&self, now: i64) -> Result<Heard, Box<str>> {
        let body = self.prometheus.get(heard::RULES).await.map_err(text)?;
        heard::heard(&body, now).map_err(text)
    }

    /// None where no Alertmanager is configured.
    async fn silences(&self) -> Result<Silences, Box<str>> {
        let Some(alertmanager) = &self.alertmanager else { return Ok(Silences::default()) };
        let (alerts, silences) = tokio::join!(alertmanager.get(silence::ALERTS), alertmanager.get(silence::SILENCES));
        let (alerts, silences) = (alerts.map_err(text)?, silences.map_err(text)?);
        Silences::parse(&alerts, &silences).ok_or_else(|| "it does not answer as Alertmanager does".into())
    }

    fn enter(&mut self, state: State, why: &str) {
        let before = self.state.replace(state);
        if before == Some(state) {
            return;
        }
        match state {
            State::Asked if before.is_none() => {}
            State::Asked => tracing::info!("Prometheus answers for alerts again"),
            State::NoRules => {
                tracing::warn!("Prometheus has no alerting rules: the program's own say what is wrong");
            }
            State::NoSilences => tracing::warn!(why, "Alertmanager does not answer: silences are not known"),
            State::Away => tracing::warn!(why, "Prometheus does not answer: the program's own rules say what is wrong"),
        }
    }
}

fn text(error: impl std::fmt::Display) -> Box<str> {
    error.to_string().into()
}
