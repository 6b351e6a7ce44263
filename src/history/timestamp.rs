//! Instants as people read and type them: RFC 3339 in UTC.

use super::day::Day;

/// Milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Parses `2026-11-29`, which is its beginning, `2026-11-29T12:30`, `2026-11-29T12:30:15` and `2026-11-29T12:30:15.250`,
    /// each with or without `Z`. Other zones are not understood.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((day, time)) = text.split_once(['T', 't', ' ']) else { return Some(Self(Day::parse(text)?.begin())) };
        let time = time.strip_suffix(['Z', 'z']).unwrap_or(time);
        let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
        let number = |text: &str, width: usize, below: i64| {
            let is_number = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &i64| is_number && *number < below)
        };
        let mut parts = time.split(':');
        let (hours, minutes) = (number(parts.next()?, 2, 24)?, number(parts.next()?, 2, 60)?);
        let seconds = match (parts.next(), fraction) {
            (Some(seconds), _) => number(seconds, 2, 60)?,
            (None, None) => 0,
            (None, Some(_)) => return None,
        };
        let millis = match fraction {
            Some("") => return None,
            Some(fraction) => number(&format!("{fraction:0<3}"), 3, 1_000)?,
            None => 0,
        };
        let is_whole = parts.next().is_none();
        let since = ((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis;
        is_whole.then_some(Self(Day::parse(day)?.begin() + since))
    }
}

/// As `2026-11-29T12:30:15.250Z`.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = Day::of(self.0);
        let millis = self.0 - day.begin();
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        write!(out, "{day}T{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_and_read() {
        for (millis, text) in [(0, "1970-01-01T00:00:00.000Z"), (1_764_419_415_250, "2025-11-29T12:30:15.250Z")] {
            assert_eq!(Timestamp(millis).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp(millis)));
        }
        let noon = Timestamp::parse("2026-11-29T12:00:00.000Z");
        for text in ["2026-11-29T12:00", "2026-11-29 12:00:00", "2026-11-29t12:00:00.0z"] {
            assert_eq!(Timestamp::parse(text), noon, "{text}");
        }
        assert_eq!(Timestamp::parse("2026-11-29").map(|at| at.0 + 43_200_000), noon.map(|at| at.0));
        for text in [
            "",
            "T12:00",
            "2026-11-29T",
            "2026-11-29T24:00",
            "2026-11-29T1:00",
            "2026-11-29T12:00:00+01:00",
            "2026-11-29T12:00.5",
            "2026-11-29T12:00:00.",
            "2026-11-29T12:00:00.0000",
            "12:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
