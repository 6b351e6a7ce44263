//! Content negotiation: the format and compression of the metrics, from a scraper's `Accept` headers.
//!
//! Promises: there is always an answer (a scraper that accepts none of our formats gets the text format, as Prometheus
//! expects); a quality of 0 is a refusal (RFC 9110, 12.4.2). `OpenMetrics` is sent only where it is asked for by name,
//! in the version that we write; `*/*` is the text format, for people with `curl`.

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName};

/// A format of the metrics. Which one a scraper gets depends on its `Accept` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus text format 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

/// A weight in thousandths, 0 to 1000; 0 is a refusal.
type Quality = u16;

const FULL: Quality = 1000;

/// The format of the highest quality; of two with the same, `OpenMetrics`, which says more.
pub(super) fn format(headers: &HeaderMap) -> ExpositionFormat {
    let (mut open, mut text) = (None, None);
    for (range, parameters, quality) in elements(headers, ACCEPT) {
        match &*range {
            "application/openmetrics-text" if is_version(&parameters, "1.0.0") => open = open.max(Some(quality)),
            "text/plain" if is_version(&parameters, "0.0.4") => text = text.max(Some(quality)),
            "*/*" | "text/*" => text = text.max(Some(quality)),
            _ => {}
        }
    }
    match open {
        Some(open) if open > 0 && open >= text.unwrap_or(0) => ExpositionFormat::OpenMetrics,
        _ => ExpositionFormat::Text,
    }
}

/// Whether a person asks: HTML is named, as browsers do.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    elements(headers, ACCEPT).any(|(range, _, quality)| range == "text/html" && quality > 0)
}

/// Without an `Accept-Encoding`, gzip is not accepted.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    accepts(headers, "gzip")
}

/// Whether a content coding is accepted: it is named, or `*` stands for it. Not without an `Accept-Encoding`.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let (mut named, mut any) = (None, None);
    for (coding, _, quality) in elements(headers, ACCEPT_ENCODING) {
        match &*coding {
            coding if coding.strip_prefix("x-").unwrap_or(coding) == wanted => named = named.max(Some(quality)),
            "*" => any = any.max(Some(quality)),
            _ => {}
        }
    }
    named.or(any).is_some_and(|quality| quality > 0)
}

/// Whether the range names this version, or none.
fn is_version(parameters: &[(String, String)], version: &str) -> bool {
    parameters.iter().all(|(name, value)| name != "version" || value == version)
}

/// A range or coding, its parameters without the quality, and its quality.
type MediaRange = (String, Vec<(String, String)>, Quality);

fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = MediaRange> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(element)
}

fn element(text: &str) -> MediaRange {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut parameters, mut weight) = (Vec::new(), FULL);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
        if name == "q" {
            weight = quality(value);
        } else {
            parameters.push((name, value.to_owned()));
        }
    }
    (range, parameters, weight)
}

/// An unreadable quality counts as a refusal.
fn quality(text: &str) -> Quality {
    let value = text.parse::<f32>().ok().filter(|value| (0.0..=1.0).contains(value));
    // Between 0 and 1000: a quality has at most three decimals.
    value.map_or(0, |value| (value * f32::from(FULL)).round() as Quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), line.parse().expect("a value"))).collect()
    }

    #[test]
    fn each_scraper_gets_what_it_wants_most() {
        use ExpositionFormat::{OpenMetrics, Text};
        let table: &[(&[&str], ExpositionFormat)] = &[
            (&[], Text),
            (&["*/*"], Text),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Text),
            // Prometheus 2.42.
            (
                &["application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                   application/openmetrics-text;version=0.0.1;q=0.5,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"],
                OpenMetrics,
            ),
            // Prometheus with native histograms, and one configured to prefer the text format.
            (
                &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                   application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"],
                OpenMetrics,
            ),
            (&["text/plain;version=0.0.4;q=0.6, application/openmetrics-text;version=1.0.0;q=0.5"], Text),
            (&["application/openmetrics-text;q=0.5", "text/plain;q=0.5"], OpenMetrics),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"], OpenMetrics),
            (&["application/openmetrics-text;version=2.0.0"], Text),
            (&["application/openmetrics-text;version=1.0.0;q=0"], Text),
            (&["application/openmetrics-text;q=high"], Text),
            (&["application/json"], Text),
        ];
        for (lines, expected) in table {
            assert_eq!(format(&headers(ACCEPT, lines)), *expected, "{lines:?}");
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_wanted() {
        let table: &[(&[&str], bool)] = &[
            (&[], false),
            (&["gzip"], true),
            (&["deflate, gzip;q=0.5, *;q=0"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*"], true),
            (&["identity", "GZIP"], true),
            (&["br"], false),
        ];
        for (lines, expected) in table {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, lines)), *expected, "{lines:?}");
        }
    }
}
