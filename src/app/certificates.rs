//! Looks once a minute whether a certificate of ours ends soon.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::components::Components;
use super::material::Material;
use crate::history::journal::Journal;
use crate::history::journal::event::{Event, EventKind};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(60);

/// How long before its end a certificate ends soon: most are renewed a month before.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// A certificate: the key that names its file, and its end as it is now.
type Certificate = (&'static str, Box<dyn Fn() -> Option<SystemTime> + Send>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    /// It ends later, or when is not known.
    Fine,
    Soon,
    Over,
}

/// Starts to look, until `stop` is true.
pub(super) fn watch(material: &Material, components: &Components, stop: &watch::Receiver<bool>) {
    let (certificates, journal, mut stop) = (certificates(material), components.history.journal(), stop.clone());
    if certificates.is_empty() {
        return;
    }
    tokio::spawn(async move {
        let mut said = vec![Term::Fine; certificates.len()];
        loop {
            for ((name, end), said) in certificates.iter().zip(&mut said) {
                let (end, now) = (end(), SystemTime::now());
                let term = term(end, now);
                if std::mem::replace(said, term) != term {
                    report(&journal, name, term, end.and_then(|end| end.duration_since(now).ok()));
                }
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
}

fn certificates(material: &Material) -> Vec<Certificate> {
    let mut found: Vec<Certificate> = Vec::new();
    if let Some(clients) = material.clients.clone() {
        found.push(("tls.cert_file", Box::new(move || clients.expires())));
    }
    if let Some(backend) = material.backend.clone() {
        found.push(("backend_tls.cert_file", Box::new(move || backend.expires())));
    }
    let admin = material.admin.clone();
    if admin.speaks_tls() {
        found.push(("tls_server_config.cert_file", Box::new(move || admin.certificate_expires())));
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

fn report(journal: &Journal, name: &'static str, term: Term, left: Option<Duration>) {
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
