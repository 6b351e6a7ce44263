//! The page that Prometheus reads: every family, in the requested format.
//!
//! Promises: the same samples in both formats; series in a fixed order; writing cannot fail and blocks no exchange (a
//! family's lock is held only to clone a list). Labels are escaped once, when a series is created, not at every scrape.
//! Left out: `_created` samples (Prometheus would store each as a series of its own; the program's start time has the
//! same information) and timestamps.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::openmetrics::{self, Exemplar};
use super::spec::{self, Kind};

/// The format of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// `OpenMetrics` 1.0: units and exemplars too.
    OpenMetrics,
}

/// A part of the page.
pub(super) trait Expose: Send + Sync {
    /// The name by which parts are sorted: that of its family, or of its group of families.
    fn name(&self) -> &'static str;
    /// Writes the families that have samples.
    fn expose(&self, page: &mut Page);
}

/// The parts of the page, sorted by name.
#[derive(Default)]
pub(super) struct Registry {
    parts: Mutex<Vec<Box<dyn Expose>>>,
    /// Bytes of the longest page so far, which the next one allocates at once.
    longest: AtomicUsize,
}

impl Registry {
    /// Inserts a part by its name. Names are constants, so a name that is taken is an error in the code: this panics.
    pub(super) fn add(&self, part: Box<dyn Expose>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let at = parts.binary_search_by(|known| known.name().cmp(part.name()));
        let at = at.expect_err("every name is registered once");
        parts.insert(at, part);
    }

    /// The whole page.
    pub(super) fn write(&self, format: Format) -> String {
        let text = String::with_capacity(self.longest.load(Ordering::Relaxed));
        let mut page = Page { format, text, stem: String::new() };
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|part| part.expose(&mut page));
        if format == Format::OpenMetrics {
            page.text.push_str(openmetrics::END);
        }
        self.longest.fetch_max(page.text.len(), Ordering::Relaxed);
        page.text
    }
}

/// The page so far.
pub(super) struct Page {
    format: Format,
    text: String,
    /// What the bucket lines of the current histogram begin with.
    stem: String,
}

impl Page {
    /// Writes the `# HELP`, `# TYPE` and (in `OpenMetrics`) `# UNIT` lines of a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, help: &str, kind: Kind) {
        // Writing to a string does not fail, here and below.
        let _ = match self.format {
            Format::Text => writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str()),
            Format::OpenMetrics => {
                let (family, kind) = openmetrics::family(name, kind);
                let unit = spec::unit(family).map(|unit| format!("# UNIT {family} {unit}\n"));
                let unit = unit.unwrap_or_default();
                write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}\n{unit}")
            }
        };
    }

    /// Writes one sample. `labels` is as [`labels`] writes it.
    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.text.push_str(name);
        if !labels.is_empty() {
            self.text.extend(["{", labels, "}"]);
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The `le` labels of a histogram with the end of their line's labels, `+Inf` last.
    pub(super) fn bounds(&self, buckets: &[f64]) -> Vec<String> {
        let write = |bound: &f64| match self.format {
            Format::Text => bound.to_string(),
            Format::OpenMetrics => openmetrics::bound(*bound),
        };
        let bounds = buckets.iter().map(write).chain(["+Inf".to_owned()]);
        bounds.map(|bound| format!("le=\"{bound}\"}} ")).collect()
    }

    /// Starts the bucket lines of a histogram.
    pub(super) fn buckets(&mut self, name: &str, labels: &str) -> BucketLines<'_> {
        self.stem.clear();
        self.stem.extend([name, "_bucket{", labels, if labels.is_empty() { "" } else { "," }]);
        BucketLines(self)
    }

    /// Writes the `_sum` and the `_count` of a histogram.
    pub(super) fn total(&mut self, name: &str, labels: &str, sum: f64, count: u64) {
        for (part, value) in [("_sum", &sum as &dyn Display), ("_count", &count)] {
            self.text.extend([name, part]);
            self.sample("", labels, value);
        }
    }
}

/// Writes the bucket lines of one histogram: nine in ten lines of a page.
pub(super) struct BucketLines<'a>(&'a mut Page);

impl BucketLines<'_> {
    /// Writes how many observations were at most `bound`, which is as [`Page::bounds`] writes it.
    pub(super) fn line(&mut self, bound: &str, count: u64, exemplar: Option<&Exemplar>) {
        let Page { format, text, stem } = &mut *self.0;
        text.push_str(stem);
        text.push_str(bound);
        text.push_str(itoa::Buffer::new().format(count));
        if let (Format::OpenMetrics, Some(exemplar)) = (format, exemplar) {
            exemplar.write(text);
        }
        text.push('\n');
    }
}

/// Label pairs as a sample line has them between its braces, sorted by name, values escaped.
pub(super) fn labels(names: &[&str], values: &[&str]) -> String {
    let mut pairs: Vec<_> = names.iter().zip(values).collect();
    pairs.sort_unstable();
    let mut text = String::new();
    for (name, value) in pairs {
        text.extend([if text.is_empty() { "" } else { "," }, name, "=\""]);
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                character => text.push(character),
            }
        }
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> Page {
        Page { format, text: String::new(), stem: String::new() }
    }

    #[test]
    fn strange_label_values_are_escaped() {
        assert_eq!(labels(&["b", "a"], &["x\\\"\n", "é"]), "a=\"é\",b=\"x\\\\\\\"\\n\"");
        assert_eq!(labels(&[], &[]), "");
    }

    #[test]
    fn a_counter_is_named_in_each_format_as_it_wants() {
        for (format, expected) in [
            (Format::Text, "# HELP a_bytes_total B.\n# TYPE a_bytes_total counter\na_bytes_total 1\n"),
            (Format::OpenMetrics, "# HELP a_bytes B.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total 1\n"),
        ] {
            let mut page = page(format);
            page.family("a_bytes_total", "B.", Kind::Counter);
            page.sample("a_bytes_total", "", 1);
            assert_eq!(page.text, expected);
        }
    }

    #[test]
    fn a_family_without_a_unit_has_no_line_for_it() {
        let mut page = page(Format::OpenMetrics);
        page.family("up", "Up.", Kind::Gauge);
        page.sample("up", "a=\"b\"", 0.5);
        assert_eq!(page.text, "# HELP up Up.\n# TYPE up gauge\nup{a=\"b\"} 0.5\n");
    }

    #[test]
    #[should_panic(expected = "registered once")]
    fn a_name_is_registered_once() {
        struct Same;
        impl Expose for Same {
            fn name(&self) -> &'static str {
                "same"
            }
            fn expose(&self, _page: &mut Page) {}
        }
        let registry = Registry::default();
        registry.add(Box::new(Same));
        registry.add(Box::new(Same));
    }
}
