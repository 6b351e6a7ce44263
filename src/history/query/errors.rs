//! How grave an error is, and what it means: the one table of it.

use crate::exchange::outcome::ErrorType;
use crate::history::journal::kind::Severity;

/// How grave an error is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// The client's doing, or a limit that was set.
    Low,
    /// An answer that is not whole.
    Medium,
    /// A backend, or a part of the program, does not work.
    High,
    /// Nothing can be served.
    Critical,
}

impl Grade {
    /// Every grade, ascending.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Of an event; `None` where it is no error.
    #[must_use]
    pub const fn of_event(severity: Severity) -> Option<Self> {
        match severity {
            Severity::Info | Severity::Warning => None,
            Severity::Error => Some(Self::High),
            Severity::Critical => Some(Self::Critical),
        }
    }
}

/// How many errors of a kind there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// What went wrong.
    pub what: Box<str>,
    /// How grave it is.
    pub grade: Grade,
    /// How many.
    pub count: u64,
}

/// What the error of an exchange means: its grade and a sentence.
#[must_use]
pub const fn of_exchange(error: ErrorType) -> (Grade, &'static str) {
    match error {
        ErrorType::ConnectRefused => (Grade::High, "the backend refused the connection"),
        ErrorType::ConnectTimeout => (Grade::High, "the backend did not accept the connection in time"),
        ErrorType::Dns => (Grade::High, "the backend's name does not resolve"),
        ErrorType::Tls => (Grade::High, "the TLS handshake with the backend failed"),
        ErrorType::Reset => (Grade::High, "the backend reset the connection"),
        ErrorType::FirstByteTimeout => (Grade::High, "the backend did not begin its answer in time"),
        ErrorType::Incomplete => (Grade::High, "the backend's answer ended too early"),
        ErrorType::Protocol => (Grade::High, "the backend broke HTTP"),
        ErrorType::Http5xx => (Grade::High, "the backend answered with a server error"),
        ErrorType::Internal => (Grade::High, "a bug in the proxy"),
        ErrorType::NoBackend => (Grade::High, "no backend may serve it"),
        ErrorType::StreamError => (Grade::Medium, "the backend reported an error within its answer"),
        ErrorType::Truncated => (Grade::Medium, "the answer ended without its last event"),
        ErrorType::ClientBody => (Grade::Low, "the client's body is malformed"),
        ErrorType::ClientTimeout => (Grade::Low, "the client was too slow"),
        ErrorType::BadRequest => (Grade::Low, "the request cannot be forwarded"),
        ErrorType::Limit => (Grade::Low, "a limit of the proxy was reached"),
        ErrorType::Draining => (Grade::Low, "the proxy was shutting down"),
        ErrorType::Stopped => (Grade::Low, "an operator stopped it"),
    }
}

/// The words of a list of grades from one on; `None` where there is no such word.
#[must_use]
pub fn at_least(words: &[&'static str], least: &str) -> Option<Vec<&'static str>> {
    let at = words.iter().position(|word| *word == least)?;
    Some(words[at..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_does_is_less_grave_than_what_a_backend_does() {
        use crate::exchange::outcome::Origin;
        for error in ErrorType::ALL {
            let (grade, message) = of_exchange(*error);
            match error.origin() {
                Origin::Downstream => assert_eq!(grade, Grade::Low, "{message}"),
                Origin::Upstream => assert!(grade >= Grade::Medium, "{message}"),
                Origin::Internal => {}
            }
        }
        assert_eq!(Severity::ALL.map(Grade::of_event), [None, None, Some(Grade::High), Some(Grade::Critical)]);
    }

    #[test]
    fn a_level_means_those_above_it_too() {
        let words = Grade::ALL.map(Grade::as_str);
        assert_eq!(at_least(&words, "high"), Some(vec!["high", "critical"]));
        assert_eq!(at_least(&words, "low").map(|words| words.len()), Some(4));
        assert_eq!(at_least(&words, "grave"), None);
    }
}
