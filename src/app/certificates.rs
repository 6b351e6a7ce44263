//! Looks once a minute whether a certificate of ours ends soon.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::components::Components;
use super::material::Material;
use crate::admin::access::Access;
use crate::backend::monitor::Monitors;
use crate::history::journal::Journal;
use crate::history::journal::event::{Event, EventKind};
use crate::tls::server::TlsServer;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(60);

/// How long before its end a certificate ends soon: most are renewed a month before.
const SOON: Duration = Duration::from_secs(14 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    /// It ends later, or when is not known.
    Fine,
    Soon,
    Over,
}

/// Starts to look, until `stop` is true.
pub(super) fn watch(material: &Material, components: &Components, stop: &watch::Receiver<bool>) {
    let (journal, mut stop, monitors) = (components.history.journal(), stop.clone(), components.monitors.clone());
    let (clients, admin) = (material.clients.clone(), material.admin.clone());
    tokio::spawn(async move {
        let mut said = HashMap::new();
        loop {
            let now = SystemTime::now();
            for (name, end) in ends(clients.as_ref(), &admin, &monitors) {
                let term = term(end, now);
                if said.insert(name.clone(), term).unwrap_or(Term::Fine) != term {
                    report(&journal, &name, term, end.and_then(|end| end.duration_since(now).ok()));
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}

/// The end of each certificate as it is now, with the key that names its file.
fn ends(clients: Option<&TlsServer>, admin: &Access, monitors: &Monitors) -> Vec<(String, Option<SystemTime>)> {
    let mut found = Vec::new();
    found.extend(clients.map(|clients| ("tls.cert_file".to_owned(), clients.expires())));
    let monitors = monitors.all();
    for monitor in monitors.iter() {
        let of = if monitors.len() > 1 { format!(" ({})", monitor.backend.name) } else { String::new() };
        found.extend(monitor.dialer.tls().map(|tls| (format!("backend_tls.cert_file{of}"), tls.expires())));
    }
    if admin.speaks_tls() {
        found.push(("tls_server_config.cert_file".to_owned(), admin.certificate_expires()));
    }
    found
}

fn term(end: Option<SystemTime>, now: SystemTime) -> Term {
    match end.map(|end| end.duration_since(now)) {
        None => Term::Fine,
        Some(Err(_)) => Term::Over,
        Some(Ok(left)) if left <= SOON => Term::Soon,
        Some(Ok(_)) => Term::Fine,
    }
}

fn report(journal: &Journal, name: &str, term: Term, left: Option<Duration>) {
    let days = left.map_or(0, |left| left.as_secs() / 86_400);
    let kind = match term {
        Term::Fine => return,
        Term::Soon => {
            tracing::warn!(certificate = name, days, "a certificate ends soon: renew its file and send SIGHUP");
            EventKind::CertificateExpiring
        }
        Term::Over => {
            tracing::error!(certificate = name, "a certificate has ended: renew its file and send SIGHUP");
            EventKind::CertificateExpired
        }
    };
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    let event = Event::new(kind).about(name);
    journal.event(if term == Term::Soon { event.with("days", days) } else { event });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_soon_in_its_last_two_weeks() {
        let now = SystemTime::now();
        let days = |days: u64| Duration::from_secs(days * 86_400);
        for (end, expected) in [
            (None, Term::Fine),
            (Some(now + days(15)), Term::Fine),
            (Some(now + days(14)), Term::Soon),
            (Some(now + days(1)), Term::Soon),
            (Some(now - days(1)), Term::Over),
        ] {
            assert_eq!(term(end, now), expected, "{end:?}");
        }
    }
}
