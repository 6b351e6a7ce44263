//! Asks Prometheus for the hardware of other machines, in the background: nobody waits for it.

use std::time::Duration;

use tokio::sync::watch;

use super::components::Components;
use super::material::Material;
use crate::metrics::machines::query;

/// Between two questions.
const PERIOD: Duration = Duration::from_secs(10);

/// Begins to ask, where a Prometheus is configured, until `stop` is true.
pub(super) fn start(material: &Material, components: &Components, stop: &watch::Receiver<bool>) {
    let Some(prometheus) = material.prometheus.clone() else { return };
    let (machines, mut stop) = (components.machines.clone(), stop.clone());
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    let target = format!("/api/v1/query?{}", pairs.append_pair("query", &query()).finish());
    machines.begin();
    tokio::spawn(async move {
        let mut is_failing = false;
        loop {
            let why = match prometheus.get(&target).await {
                Ok(body) if machines.heard(&body) => None,
                Ok(_) => Some("its answer cannot be read".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if why.is_some() {
                machines.lost();
            }
            // That it does not answer at all is said where it is asked for alerts.
            if let (Some(why), false) = (&why, is_failing) {
                tracing::debug!(why, "the hardware of other machines is not known");
            }
            is_failing = why.is_some();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}
