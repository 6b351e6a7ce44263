//! What the running program says of itself on its second listener.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::ask::Listener;
use super::finding::Finding;
use crate::backend::probe;
use crate::backend::status::ProbeFailure;
use crate::cli::VERSION;
use crate::config::Config;
use crate::tls::Fault;

/// Longer than any usual interval of scrapes.
const SCRAPED_RECENTLY: Duration = Duration::from_secs(150);

/// What answers on the second listener.
pub(super) enum Running {
    /// This program, with its `/health`.
    There { url: String, health: Value },
    /// This program, whose `/health` needs what this one has not: a password or a certificate.
    Guarded { url: String, wants: &'static str },
    /// Nothing.
    Absent,
    /// Something else, or a listener with other settings.
    Foreign { url: String, why: String },
}

impl Running {
    pub(super) async fn ask(admin: &Listener) -> Self {
        let url = admin.url();
        match admin.get("/health").await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => Self::Guarded { url, wants: "a password" },
            Ok(answer) => match serde_json::from_slice::<Value>(&answer.body) {
                Ok(health) if health["uptime_seconds"].is_u64() => Self::There { url, health },
                _ => Self::Foreign { url, why: format!("it answers {} to /health", answer.status) },
            },
            Err(error) => match probe::failure(&error) {
                ProbeFailure::Refused => Self::Absent,
                ProbeFailure::Tls(Fault::ClientCertificate) => Self::Guarded { url, wants: "a client's certificate" },
                failure => Self::Foreign { url, why: failure.as_str().to_owned() },
            },
        }
    }

    /// Whether this program runs.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::There { .. } | Self::Guarded { .. })
    }

    /// The findings about the program itself.
    pub(super) fn examine(&self, config: &Config) -> Vec<Finding> {
        match self {
            Self::Absent => Vec::new(),
            Self::Guarded { url, wants } => {
                let remedy = "what it says of itself, and whether it is scraped, is not examined: look at its page";
                vec![Finding::note("program", format!("{url} wants {wants}"), remedy)]
            }
            Self::Foreign { url, why } => {
                let remedy = "if that is inferometer, give doctor the --config that it runs with (TLS, certificates); else \
                              choose another --admin-listen";
                vec![Finding::fault("program", format!("{url} is not inferometer's second listener: {why}"), remedy)]
            }
            Self::There { health, .. } => examine_health(health, config),
        }
    }

    /// Whether Prometheus asks for metrics.
    pub(super) fn scrapes(&self) -> Option<Finding> {
        let Self::There { url, health } = self else { return None };
        let up = health["uptime_seconds"].as_u64().unwrap_or_default();
        let job = format!("add {url}/metrics to scrape_configs, as prometheus/prometheus.yml does");
        Some(match health["last_scrape_seconds"].as_f64() {
            Some(ago) if ago <= SCRAPED_RECENTLY.as_secs_f64() => {
                Finding::fine("scrapes", format!("metrics were scraped {ago:.0} s ago"))
            }
            Some(ago) => {
                let what = format!("metrics were scraped {ago:.0} s ago, and not since");
                Finding::fault("scrapes", what, "see whether Prometheus runs, and what its page Status > Targets says")
            }
            None => Finding::note("scrapes", format!("nobody has scraped metrics in the {up} s since the start"), job),
        })
    }
}

fn examine_health(health: &Value, config: &Config) -> Vec<Finding> {
    let text = |key: &str| health[key].as_str().unwrap_or_default();
    let mut findings = vec![match text("status") {
        "serving" => {
            let up = health["uptime_seconds"].as_u64().unwrap_or_default();
            Finding::fine("program", format!("inferometer {} serves clients, for {up} s", text("version")))
        }
        state => {
            let remedy = "wait until it has ended and start it again; a second SIGTERM ends it at once";
            Finding::fault("program", format!("inferometer is {}", state.escape_debug()), remedy)
        }
    }];
    if text("version") != VERSION {
        let what = format!("version {} runs, and this is {VERSION}", text("version").escape_debug());
        findings.push(Finding::note("program", what, "restart it to run what is installed"));
    }
    let addresses = health["backends"].as_array().into_iter().flatten().filter_map(|one| one["address"].as_str());
    let running: Vec<_> = addresses.collect();
    let configured: Vec<_> = config.members().iter().map(|member| member.backend.address.to_string()).collect();
    if running != configured {
        let what = format!("it forwards to {}, the configuration says {}", running.join(", "), configured.join(", "));
        let remedy = "send it SIGHUP; or give doctor the flags and the --config that it runs with";
        findings.push(Finding::fault("program", what.escape_debug().to_string(), remedy));
    }
    findings
}
