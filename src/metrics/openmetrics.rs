//! Where `OpenMetrics` 1.0 differs from the text format 0.0.4, and exemplars.
//!
//! Sections are those of the specification
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::spec::Kind;
use crate::exchange::trace::TraceId;

/// The last line: an exposition without it counts as truncated.
pub(super) const END: &str = "# EOF\n";

/// The name and type that an `OpenMetrics` family has. A counter's samples end in `_total` and its family does not
/// ("Counter"); a counter whose foreign name lacks the suffix can only be `unknown`.
pub(super) fn family(name: &str, kind: Kind) -> (&str, &'static str) {
    match kind {
        Kind::Counter => name.strip_suffix("_total").map_or((name, "unknown"), |family| (family, "counter")),
        Kind::Gauge => (name, "gauge"),
        Kind::Histogram => (name, "histogram"),
    }
}

/// The value of an `le` label: whole numbers carry their `.0`, so that every exporter writes the same label
/// ("Considerations: Canonical Numbers").
pub(super) fn bound(bound: f64) -> String {
    // Rust's `Debug` writes the `.0`, and an exponent only outside this range.
    if (1e-4..1e15).contains(&bound) { format!("{bound:?}") } else { canonical_small(bound) }
}

/// A small number as Go writes it: `1e-05`, `2e-05`.
fn canonical_small(bound: f64) -> String {
    let text = format!("{bound:e}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() == 1 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

/// A link from a bucket to one exchange that it counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    /// The observation, in the unit of the histogram.
    pub(super) value: f64,
    /// The trace of the exchange.
    pub(super) trace: TraceId,
    /// When it was observed; before 1970 it is written without a time.
    pub(super) at: SystemTime,
}

impl Exemplar {
    /// Appends itself to the line of its bucket ("Exemplars").
    pub(super) fn write(&self, out: &mut String) {
        // Writing to a string does not fail.
        let _ = write!(out, " # {{trace_id=\"{}\"}} {}", self.trace, self.value);
        if let Ok(at) = self.at.duration_since(UNIX_EPOCH) {
            let _ = write!(out, " {}.{:03}", at.as_secs(), at.subsec_millis());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_counter_that_lacks_its_suffix_is_unknown() {
        assert_eq!(family("a_total", Kind::Counter), ("a", "counter"));
        assert_eq!(family("DCGM_FI_DEV_XID_ERRORS", Kind::Counter), ("DCGM_FI_DEV_XID_ERRORS", "unknown"));
        assert_eq!(family("a_total", Kind::Gauge), ("a_total", "gauge"));
    }

    #[test]
    fn bounds_are_canonical() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.005, "0.005"),
            (2.5, "2.5"),
            (3600.0, "3600.0"),
            (1_073_741_824.0, "1073741824.0"),
            (10e-6, "1e-05"),
            (50e-6, "5e-05"),
            (100e-6, "0.0001"),
        ] {
            assert_eq!(bound(value), text);
        }
    }

    #[test]
    fn an_exemplar_names_its_trace_its_value_and_its_time() {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        let mut text = String::new();
        Exemplar { value: 0.25, trace: TraceId::from_random(0xab), at }.write(&mut text);
        assert_eq!(text, format!(" # {{trace_id=\"{:032x}\"}} 0.25 1700000000.042", 0xab));
    }
}
