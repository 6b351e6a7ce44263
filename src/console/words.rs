//! Figures as text, as the page has them.

use serde_json::Value;

/// What is unknown.
pub(super) const DASH: &str = "–";

/// A number, or a dash.
pub(super) fn figure(value: &Value, write: impl Fn(f64) -> String) -> String {
    value.as_f64().map_or_else(|| DASH.to_owned(), write)
}

/// A text, or a dash.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or(DASH).to_owned()
}

/// Three digits that say something.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 99.95 || size == 0.0 {
        0
    } else if size >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

pub(super) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 999.5 => format!("{} ms", number(ms)),
        ms if ms < 99_950.0 => format!("{} s", number(ms / 1e3)),
        ms => span(ms / 1e3),
    }
}

/// Seconds as minutes, hours or days.
pub(super) fn span(seconds: f64) -> String {
    // Times are positive, and far below the largest whole number.
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

pub(super) fn count(value: f64) -> String {
    match value {
        value if value < 10_000.0 => format!("{value:.0}"),
        value if value < 1e7 => format!("{} k", number(value / 1e3)),
        value => format!("{} M", number(value / 1e6)),
    }
}

pub(super) fn percent(value: f64) -> String {
    format!("{} %", number(value))
}

/// Of one.
pub(super) fn share(value: f64) -> String {
    percent(value * 100.0)
}

pub(super) fn mebibytes(value: f64) -> String {
    if value < 1024.0 { format!("{} MiB", number(value)) } else { format!("{} GiB", number(value / 1024.0)) }
}

/// The clock of an instant in UTC: `12:30:05` of `2026-11-29T12:30:05.123Z`.
pub(super) fn clock(value: &Value) -> String {
    value.as_str().and_then(|text| text.get(11..19)).unwrap_or(DASH).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_have_the_unit_that_people_take_and_the_unknown_is_a_dash() {
        for (ms, text) in
            [(0.0, "0 ms"), (4.4, "4.40 ms"), (250.0, "250 ms"), (1234.0, "1.23 s"), (130_000.0, "2 m 10 s")]
        {
            assert_eq!(duration(ms), text);
        }
        assert_eq!((count(9999.0), count(12_345.0), share(0.05)), ("9999".into(), "12.3 k".into(), "5.00 %".into()));
        assert_eq!((mebibytes(512.0), span(90_000.0)), ("512 MiB".into(), "1 d 1 h".into()));
        assert_eq!(clock(&json!("2026-11-29T12:30:05.123Z")), "12:30:05");
        assert_eq!((figure(&json!(null), number), clock(&json!("x"))), (DASH.into(), DASH.into()));
    }
}
