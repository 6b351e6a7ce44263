//! Lines over time as a picture within a page, which needs no script.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 120.0;

/// Of lines, in their order; colour-blind people tell them apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#8a5bb5"];

/// A line: its name, and its values with gaps.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// The metrics of an answer of `/dashboard/series`.
pub(super) fn lines(answer: &Value, metrics: &[(&'static str, &'static str)]) -> Vec<Line> {
    let series = answer["series"].as_array().map_or(&[][..], Vec::as_slice);
    let values = |metric: &str| {
        let found = series.iter().find(|one| one["metric"] == metric);
        found.and_then(|one| one["values"].as_array()).map(|all| all.iter().map(Value::as_f64).collect())
    };
    metrics.iter().map(|(metric, name)| Line { name, values: values(metric).unwrap_or_default() }).collect()
}

/// The picture, with the newest values and the largest in words.
pub(super) fn chart(lines: &[Line], write: impl Fn(f64) -> String) -> String {
    let top = lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\">");
    let mut legend = String::new();
    for (line, colour) in lines.iter().zip(COLOURS) {
        // Writing to a string does not fail.
        let _ = write!(out, "<path d=\"{}\" stroke=\"{colour}\"/>", path(&line.values, top));
        let last = line.values.iter().rev().flatten().next().map_or_else(|| "–".to_owned(), |value| write(*value));
        let _ = write!(legend, "<span><i style=\"background:{colour}\"></i>{} <b>{last}</b></span>", line.name);
    }
    let _ = write!(out, "</svg><p class=\"legend\">{legend}<span>at most <b>{}</b></span></p>", write(top));
    out
}

fn path(values: &[Option<f64>], top: f64) -> String {
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let (mut out, mut pen) = (String::new(), 'M');
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen = 'M';
            continue;
        };
        let height = if top > 0.0 { value / top * (HEIGHT - 4.0) } else { 0.0 };
        let _ = write!(out, "{pen}{:.1} {:.1}", at as f64 * step, HEIGHT - 2.0 - height);
        pen = 'L';
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_gaps_and_the_largest_value_is_at_the_top() {
        let values = [Some(0.0), Some(2.0), None, Some(1.0)];
        assert_eq!(path(&values, 2.0), "M0.0 118.0L253.3 2.0M760.0 60.0");
        assert_eq!(path(&[], 0.0), "");
        let drawn = chart(&[Line { name: "a", values: vec![None] }], |value| value.to_string());
        assert!(drawn.contains("a <b>–</b>"), "{drawn}");
    }
}
