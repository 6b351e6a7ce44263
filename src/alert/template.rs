//! Texts with labels and a value in `{{ }}`, as the annotations of a rule have them.

use super::labels::Labels;

/// The text with its labels and its value. What is not known stays as it is.
pub(super) fn filled(text: &str, labels: &Labels, value: f64) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((inner, end)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        match part(inner.trim(), labels, value) {
            Some(text) => filled.push_str(&text),
            None => filled.extend(["{{", inner, "}}"]),
        }
        rest = end;
    }
    filled + rest
}

fn part(inner: &str, labels: &Labels, value: f64) -> Option<String> {
    if let Some(name) = inner.strip_prefix("$labels.") {
        return Some(labels.get(name).to_owned());
    }
    Some(match inner {
        "$value" => value.to_string(),
        "$value | humanize" => humanize(value),
        "$value | humanizePercentage" => format!("{}%", significant(value * 100.0)),
        "$value | humanizeDuration" => duration(value),
        "printf \"%.0f\" $value" => format!("{value:.0}"),
        "printf \"%.1f\" $value" => format!("{value:.1}"),
        _ => return None,
    })
}

/// Four significant digits, without zeros at the end.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}").replace("inf", "+Inf");
    }
    let digits = 3 - i32::try_from(value.abs().log10().floor() as i64).unwrap_or(0);
    let text = format!("{value:.*}", usize::try_from(digits.max(0)).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value);
    }
    let (mut value, mut steps) = (value, 0_usize);
    if value.abs() >= 1.0 {
        while value.abs() >= 1000.0 && steps < 8 {
            (value, steps) = (value / 1000.0, steps + 1);
        }
        return significant(value) + ["", "k", "M", "G", "T", "P", "E", "Z", "Y"][steps];
    }
    while value.abs() < 1.0 && steps < 8 {
        (value, steps) = (value * 1000.0, steps + 1);
    }
    significant(value) + ["", "m", "u", "n", "p", "f", "a", "z", "y"][steps]
}

fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return significant(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        return humanize(seconds) + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", significant(seconds.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_as_prometheus_fills_them() {
        let labels = Labels::default().with("backend", "gpu");
        for (text, value, expected) in [
            ("on {{ $labels.backend }}{{ $labels.none }}.", 0.0, "on gpu."),
            ("{{ $value | humanizePercentage }}", 0.104_166_6, "10.42%"),
            ("{{ $value | humanizePercentage }}", 1.0, "100%"),
            ("{{ $value | humanizeDuration }}", 605.0, "10m 5s"),
            ("{{ $value | humanizeDuration }}", 12.5, "12.5s"),
            ("{{ $value | humanizeDuration }}", 0.025, "25ms"),
            ("{{ $value | humanizeDuration }}", 90_061.0, "1d 1h 1m 1s"),
            ("{{ $value | humanize }}", 12_345.0, "12.35k"),
            ("{{ printf \"%.0f\" $value }} of {{ $value }}", 2.6, "3 of 2.6"),
            ("{{ unknown }} {{", 1.0, "{{ unknown }} {{"),
        ] {
            assert_eq!(filled(text, &labels, value), expected, "{text}");
        }
    }
}
