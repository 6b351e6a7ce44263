//! Days in UTC: each has a file of its own.

/// Days since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i64);

/// Milliseconds of a day.
const MILLIS: i64 = 86_400_000;

impl Day {
    /// The day that this time is in, in milliseconds since the epoch.
    #[must_use]
    pub const fn of(millis: i64) -> Self {
        Self(millis.div_euclid(MILLIS))
    }

    /// Its beginning, in milliseconds since the epoch.
    #[must_use]
    pub const fn begin(self) -> i64 {
        self.0 * MILLIS
    }

    /// The day after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Parses `2026-11-29`. Years have four digits: what is multiplied from longer ones may not fit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 10 {
            return None;
        }
        let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
        // Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last.
        let year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let parsed = Self(era * 146_097 + day_of_era - 719_468);
        // A day that its month does not have is written as another one.
        (in_range && parsed.to_string() == text).then_some(parsed)
    }
}

/// As `2026-11-29`.
impl std::fmt::Display for Day {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = self.0 + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_and_read() {
        for (day, text) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_786, "2026-11-29")] {
            assert_eq!(Day(day).to_string(), text);
            assert_eq!(Day::parse(text), Some(Day(day)));
        }
        assert_eq!(Day::of(20_786 * 86_400_000 - 1).to_string(), "2026-11-28");
        for day in -800_000..800_000 {
            assert_eq!(
                Day::parse(&Day(day).to_string()).filter(|_| day > -700_000),
                Some(Day(day)).filter(|_| day > -700_000)
            );
        }
        for text in [
            "",
            "2026-11",
            "2026-02-30",
            "2026-13-01",
            "2026-1-1",
            "x-y-z",
            "2026-11-29.db",
            "10000-01-01",
            "9999999999999999-01-01",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
