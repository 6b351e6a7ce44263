//! Events: what happened to the program, to a backend or to a model.

use std::sync::Arc;

use super::entry::{Detail, Entry};
use super::kind::{JournalKind, Severity};

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $word:literal $severity:ident $component:literal,)+) => {
        /// The kinds of events: each with its word, its severity and the room that it comes from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $variant,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// One word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// How grave it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }

            const fn component(self) -> &'static str {
                match self {
                    $(Self::$variant => $component,)+
                }
            }
        }
    };
}

events! {
    /// The program listens.
    Started = "started" Info "app",
    /// A signal asked the program to end: no new connections.
    Draining = "draining" Info "app",
    /// Nothing is in flight any more.
    Drained = "drained" Info "app",
    /// The configuration was read again and is in force.
    Reloaded = "reloaded" Info "config",
    /// The configuration was read again and refused.
    ReloadFailed = "reload_failed" Error "config",
    /// A backend answers.
    BackendUp = "backend_up" Info "backend",
    /// A backend does not answer.
    BackendDown = "backend_down" Error "backend",
    /// A model is in memory.
    ModelLoaded = "model_loaded" Info "backend",
    /// A model is no longer in memory.
    ModelEvicted = "model_evicted" Info "backend",
    /// A source of the machine's facts cannot be read.
    CollectorFailing = "collector_failing" Warning "host",
    /// It can be read again.
    CollectorRecovered = "collector_recovered" Info "host",
    /// A certificate ends soon.
    CertificateExpiring = "certificate_expiring" Warning "tls",
    /// A certificate has ended.
    CertificateExpired = "certificate_expired" Error "tls",
    /// Nothing can be written to the files of the history.
    HistoryPaused = "history_paused" Error "history",
    /// It can be written again.
    HistoryResumed = "history_resumed" Info "history",
    /// A file of the history was damaged and put aside.
    HistoryDamaged = "history_damaged" Error "history",
}

impl EventKind {
    /// The event that reports the end of what this one reports, as `backend_up` does of `backend_down`; `None` without one.
    #[must_use]
    pub const fn ended_by(self) -> Option<Self> {
        match self {
            Self::BackendDown => Some(Self::BackendUp),
            Self::HistoryPaused => Some(Self::HistoryResumed),
            Self::CollectorFailing => Some(Self::CollectorRecovered),
            Self::ReloadFailed => Some(Self::Reloaded),
            Self::Started
            | Self::Draining
            | Self::Drained
            | Self::Reloaded
            | Self::BackendUp
            | Self::ModelLoaded
            | Self::ModelEvicted
            | Self::CollectorRecovered
            | Self::CertificateExpiring
            | Self::CertificateExpired
            | Self::HistoryResumed
            | Self::HistoryDamaged => None,
        }
    }
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event(Entry);

impl Event {
    /// Of this kind, with its severity.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self(Entry {
            kind: JournalKind::Event,
            severity: kind.severity(),
            component: kind.component(),
            what: kind.as_str(),
            who: None,
            backend: None,
            subject: None,
            trace: None,
            result: None,
            details: Vec::new(),
        })
    }

    /// On this backend.
    #[must_use]
    pub fn on(mut self, backend: &Arc<str>) -> Self {
        self.0.backend = Some(backend.clone());
        self
    }

    /// About this model, collector, file or whatever its kind is about.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// With another severity than its kind has.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.0.severity = severity;
        self
    }

    /// With a further fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.0.details.push((name, value.into()));
        self
    }

    pub(in crate::history) fn into_entry(self) -> Entry {
        self.0
    }
}
