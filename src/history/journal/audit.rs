//! The audit: who changed which model, who signed in, who looked at the configuration, who stopped an exchange.
//!
//! Whoever acts is a tenant, a user of the second listener, or the product of a client; never a key. Entries of the second
//! listener have an address in their details, those of the proxy none.

use std::sync::Arc;

use super::entry::{Detail, Entry};
use super::kind::{JournalKind, Severity};
use crate::exchange::trace::TraceId;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A model was pulled from a registry.
    Pull,
    /// A model was pushed to a registry.
    Push,
    /// A model was made.
    Create,
    /// A model got another name.
    Copy,
    /// A model was deleted.
    Delete,
    /// A model was loaded on request.
    Load,
    /// A model was unloaded on request.
    Unload,
    /// A user of the second listener gave credentials.
    SignIn,
    /// A user of the second listener ended a session.
    SignOut,
    /// The configuration was looked at.
    ConfigRead,
    /// The configuration was changed.
    ConfigWrite,
    /// An exchange was stopped.
    Stop,
    /// An alert was acknowledged.
    AlertAck,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 13] = [
        Self::Pull,
        Self::Push,
        Self::Create,
        Self::Copy,
        Self::Delete,
        Self::Load,
        Self::Unload,
        Self::SignIn,
        Self::SignOut,
        Self::ConfigRead,
        Self::ConfigWrite,
        Self::Stop,
        Self::AlertAck,
    ];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Create => "create",
            Self::Copy => "copy",
            Self::Delete => "delete",
            Self::Load => "load",
            Self::Unload => "unload",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::ConfigRead => "config_read",
            Self::ConfigWrite => "config_write",
            Self::Stop => "stop",
            Self::AlertAck => "alert_ack",
        }
    }

    const fn component(self) -> &'static str {
        match self {
            Self::SignIn | Self::SignOut | Self::ConfigRead | Self::ConfigWrite | Self::Stop | Self::AlertAck => {
                "admin"
            }
            _ => "proxy",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionResult {
    /// It was done.
    Success,
    /// It was tried and failed.
    Failure,
    /// It was not allowed.
    Refused,
}

impl ActionResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Refused];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Refused => "refused",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Success => Severity::Info,
            Self::Failure | Self::Refused => Severity::Warning,
        }
    }
}

/// An entry of the audit.
#[derive(Clone, Debug)]
pub struct Audit(Entry);

impl Audit {
    /// That this was done, or tried.
    #[must_use]
    pub fn new(action: Action, result: ActionResult) -> Self {
        Self(Entry {
            kind: JournalKind::Audit,
            severity: result.severity(),
            component: action.component(),
            what: action.as_str(),
            who: None,
            backend: None,
            subject: None,
            trace: None,
            result: Some(result.as_str()),
            details: Vec::new(),
        })
    }

    /// By this tenant, user or product; `None` is unknown.
    #[must_use]
    pub fn by(mut self, who: Option<Arc<str>>) -> Self {
        self.0.who = who;
        self
    }

    /// On this backend; `None` where it concerns none.
    #[must_use]
    pub fn on(mut self, backend: Option<Arc<str>>) -> Self {
        self.0.backend = backend;
        self
    }

    /// To this model or setting; `None` is unknown.
    #[must_use]
    pub fn to(mut self, resource: Option<Arc<str>>) -> Self {
        self.0.subject = resource;
        self
    }

    /// With an exchange of this trace.
    #[must_use]
    pub fn within(mut self, trace: TraceId) -> Self {
        self.0.trace = Some(trace);
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
