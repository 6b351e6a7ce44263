//! What is kept beside exchanges.

/// What is kept beside exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalKind {
    /// Something happened to the program or to a backend.
    Event,
    /// Somebody changed something, or signed in.
    Audit,
    /// A pull, push or create.
    Job,
    /// A line of the log.
    LogLine,
}

impl JournalKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Event, Self::Audit, Self::Job, Self::LogLine];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Audit => "audit",
            Self::Job => "job",
            Self::LogLine => "log",
        }
    }
}

/// How grave an event or an audit entry is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Info,
    /// Something to look at.
    Warning,
    /// Something does not work.
    Error,
    /// Nothing can be served.
    Critical,
}

impl Severity {
    /// Every severity, ascending.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}
