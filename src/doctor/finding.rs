//! What was found, and how it is printed.

use crate::config::error::ConfigError;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Allowed, and perhaps not what was meant.
    Note,
    /// Something does not work.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word.
    pub about: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What to do about it. Empty where nothing needs to be done, or `what` says it.
    pub remedy: String,
}

impl Finding {
    pub(super) fn fine(about: &'static str, what: impl Into<String>) -> Self {
        Self { about, severity: Severity::Fine, what: what.into(), remedy: String::new() }
    }

    pub(super) fn note(about: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about, severity: Severity::Note, what: what.into(), remedy: remedy.into() }
    }

    pub(super) fn fault(about: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about, severity: Severity::Fault, what: what.into(), remedy: remedy.into() }
    }

    /// A configuration that cannot be used.
    #[must_use]
    pub fn refused(error: &ConfigError) -> Self {
        let remedy = match error {
            ConfigError::UnknownKey { similar: Some(similar), .. } => format!("write `{similar}`"),
            ConfigError::UnknownKey { similar: None, .. } => {
                "take it out; a file of a newer version may hold keys that this one does not know".to_owned()
            }
            ConfigError::Value { .. } => "write a value that is allowed".to_owned(),
            ConfigError::Syntax { .. } => "mend that line; inferometer --print-config shows a whole file".to_owned(),
            ConfigError::Read { .. } => "name a file that is there and that this user can read".to_owned(),
        };
        Self::fault("configuration", error.to_string(), remedy)
    }
}

/// The findings as text: a line each, and below it what to do.
#[must_use]
pub fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { about, severity, what, remedy } in findings {
        let mark = match severity {
            Severity::Fine => "fine",
            Severity::Note => "note",
            Severity::Fault => "FAULT",
        };
        text += &format!("{mark:<6} {about:<14} {what}\n");
        if !remedy.is_empty() {
            text += &format!("{:<21} → {remedy}\n", "");
        }
    }
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    text + &match faults {
        0 => "no fault was found\n".to_owned(),
        1 => "1 fault was found\n".to_owned(),
        more => format!("{more} faults were found\n"),
    }
}
