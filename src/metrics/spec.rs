//! What is declared of a family of metrics: its name, kind, labels, help text and buckets.
//!
//! A name carries its unit as its last word (before the `_total` of a counter), as `OpenMetrics` requires, so the unit is
//! not stated a second time. [`Spec::check`] runs when the crate is compiled: a declaration that breaks the naming rules
//! does not build.

use std::collections::HashMap;

use prometheus::core::Desc;

use super::buckets::BucketLayout;

/// How the values of a family behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and starts at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by upper bounds.
    Histogram,
}

impl Kind {
    /// As a `# TYPE` line writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The declaration of one family.
#[derive(Debug)]
pub struct Spec {
    /// The whole name, with prefix, unit and `_total`.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// Label names, in the order in which label values are passed.
    pub labels: &'static [&'static str],
    /// A sentence for the `# HELP` line, with its full stop; neither quotes nor backslashes.
    pub help: &'static str,
    /// The upper bounds of a histogram; `None` for every other kind.
    pub buckets: Option<BucketLayout>,
}

/// The units that a name may state.
const UNITS: [&str; 9] = ["seconds", "bytes", "tokens", "ratio", "percent", "celsius", "watts", "milliwatts", "joules"];

/// Endings that no name has: units that are not base units, and what the formats append themselves.
const FORBIDDEN_ENDINGS: [&str; 9] =
    ["_ms", "_milliseconds", "_microseconds", "_minutes", "_kilobytes", "_mb", "_sum", "_count", "_bucket"];

/// The prefix of every family of this program. Other families (DCGM's) keep the spelling of their owner.
const PREFIX: &str = "ollama_proxy_";

impl Spec {
    /// Whether this program chose the name, rather than the project whose dashboards it serves.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        starts_with(self.name, PREFIX)
    }

    /// Panics where the declaration breaks a rule; evaluated at compile time by the `families!` macro.
    pub(super) const fn check(&self) {
        let is_counter = matches!(self.kind, Kind::Counter);
        let is_histogram = matches!(self.kind, Kind::Histogram);
        assert!(self.buckets.is_some() == is_histogram, "a histogram names its buckets, and no other kind does");
        assert!(ends_with(self.help, "."), "the help text is a sentence and ends in a full stop");
        assert!(!contains(self.help, b'"') && !contains(self.help, b'\\'), "the help text needs no escaping");
        if self.is_own() {
            assert!(ends_with(self.name, "_total") == is_counter, "a counter's name ends in _total, and no other does");
            let mut at = 0;
            while at < FORBIDDEN_ENDINGS.len() {
                assert!(!ends_with(self.name, FORBIDDEN_ENDINGS[at]), "the name ends in a base unit or in none");
                at += 1;
            }
        }
    }

    /// As the prometheus crate wants it of a collector.
    pub(super) fn desc(&self) -> Desc {
        let labels = self.labels.iter().map(ToString::to_string).collect();
        Desc::new(self.name.into(), self.help.into(), labels, HashMap::new())
            .expect("names and labels are valid constants")
    }
}

/// The unit in a family's name (without `_total`), where it ends in one. A rate (`…_per_second`) has none.
pub(super) fn unit(family: &str) -> Option<&'static str> {
    let last = family.rsplit('_').next()?;
    UNITS.into_iter().find(|unit| *unit == last && family.len() > unit.len())
}

const fn starts_with(text: &str, start: &str) -> bool {
    text.len() >= start.len() && same_bytes(text, 0, start)
}

const fn ends_with(text: &str, end: &str) -> bool {
    text.len() >= end.len() && same_bytes(text, text.len() - end.len(), end)
}

/// Whether `part` stands in `text` at this offset. The standard library's searches cannot run at compile time.
const fn same_bytes(text: &str, offset: usize, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let mut at = 0;
    while at < part.len() {
        if text[offset + at] != part[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn contains(text: &str, byte: u8) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        if text[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Spec =
        Spec { name: "ollama_proxy_up", kind: Kind::Gauge, labels: &[], help: "Up or not.", buckets: None };

    #[test]
    fn a_unit_is_the_last_word_and_a_rate_has_none() {
        assert_eq!(unit("a_time_seconds"), Some("seconds"));
        assert_eq!(unit("a_tokens_per_second"), None);
        assert_eq!(unit("a_milliseconds"), None);
        assert_eq!(unit("seconds"), None);
    }

    #[test]
    fn a_declaration_that_breaks_a_rule_is_refused() {
        GOOD.check();
        Spec { name: "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", kind: Kind::Counter, ..GOOD }.check();
        for bad in [
            Spec { help: "No full stop", ..GOOD },
            Spec { help: "Needs \"escaping\".", ..GOOD },
            Spec { kind: Kind::Counter, ..GOOD },
            Spec { name: "ollama_proxy_up_total", ..GOOD },
            Spec { name: "ollama_proxy_wait_ms", ..GOOD },
            Spec { name: "ollama_proxy_rows_count", ..GOOD },
            Spec { kind: Kind::Histogram, ..GOOD },
            Spec { buckets: Some(BucketLayout::Size), ..GOOD },
        ] {
            assert!(std::panic::catch_unwind(|| bad.check()).is_err(), "{bad:?}");
        }
    }
}
