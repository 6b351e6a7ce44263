//! The range of time that an endpoint is asked for.

use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::error::ApiError;
use super::parameters::invalid;
use super::state::Parts;
use crate::history::query::Range;
use crate::history::timestamp::Timestamp;

/// The time up to now.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
pub(super) enum Period {
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "15m")]
    QuarterHour,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "6h")]
    SixHours,
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

impl Period {
    /// As it is asked for.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::QuarterHour => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// In milliseconds.
    pub(super) const fn millis(self) -> i64 {
        60_000
            * match self {
                Self::FiveMinutes => 5,
                Self::QuarterHour => 15,
                Self::Hour => 60,
                Self::SixHours => 6 * 60,
                Self::Day => 24 * 60,
                Self::Week => 7 * 24 * 60,
                Self::Month => 30 * 24 * 60,
            }
    }
}

/// A day that there is, of the years 0000 to 9999.
const DAY: &str = "([0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])\
    |[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)\
    |[0-9]{4}-02-(0[1-9]|1[0-9]|2[0-8])\
    |([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)";

/// The time of a day, to the minute, the second or the millisecond.
const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,3})?)?";

/// The schema of a parameter that [`Timestamp::parse`] reads.
pub(super) enum AnInstant {}

impl PartialSchema for AnInstant {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::String).examples(["2026-11-29T12:30:00Z"]);
        object.pattern(Some(format!("^{DAY}([Tt ]{TIME}[Zz]?)?$"))).into()
    }
}

impl ToSchema for AnInstant {}

/// Of which time an answer's sums are.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct RangeQuery {
    /// The time up to now; 24h without one. Not together with `from`.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period, and before `to`. A day is its beginning.
    #[param(inline, value_type = Option<AnInstant>)]
    from: Option<String>,
    /// The instant after the last; now without one.
    #[param(inline, value_type = Option<AnInstant>)]
    to: Option<String>,
}

impl RangeQuery {
    /// What is asked for; the last 24 hours without a parameter.
    pub(super) fn range(&self, parts: &Parts, now: Instant) -> Result<Range, ApiError> {
        range(self.period, (self.from.as_deref(), self.to.as_deref()), (Period::Day, parts.millis(now)))
    }
}

/// The range of `from` up to, and without, `to`, which is now where it is not given; else the period up to now. `now` is
/// in milliseconds since the epoch.
pub(super) fn range(
    period: Option<Period>,
    (from, to): (Option<&str>, Option<&str>),
    (otherwise, now): (Period, i64),
) -> Result<Range, ApiError> {
    let at = |name: &str, text: &str| {
        let why = "it is no instant: write it as 2026-11-29T12:30:00Z";
        Timestamp::parse(text).map(|at| at.0).ok_or_else(|| invalid(name, why, &json!({"format": "date-time"})))
    };
    // What ends in this millisecond is inside.
    let to = to.map_or(Ok(now + 1), |to| at("to", to))?;
    let from = match (period, from) {
        (Some(_), Some(_)) => return Err(invalid("period", "give either it or from", &json!(null))),
        (period, None) => to - period.unwrap_or(otherwise).millis(),
        (None, Some(from)) => at("from", from)?,
    };
    if from >= to {
        return Err(invalid("from", "it is not before to", &json!(null)));
    }
    Ok(Range { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_period_or_two_instants() {
        let otherwise = (Period::Hour, 10_000_000);
        let of = |period, from, to| range(period, (from, to), otherwise).map(|range| (range.from, range.to));
        assert_eq!(of(None, None, None), Ok((10_000_001 - 3_600_000, 10_000_001)));
        assert_eq!(of(Some(Period::FiveMinutes), None, None), Ok((9_700_001, 10_000_001)));
        assert_eq!(of(None, Some("1970-01-01T00:00:01Z"), Some("1970-01-01T00:00:02Z")), Ok((1_000, 2_000)));
        assert_eq!(of(Some(Period::FiveMinutes), None, Some("1970-01-01T01:00Z")), Ok((3_300_000, 3_600_000)));
        for (period, from, to, named) in [
            (Some(Period::Day), Some("1970-01-01"), None, "period"),
            (None, Some("yesterday"), None, "from"),
            (None, None, Some("12:00"), "to"),
            (None, Some("1970-01-02"), Some("1970-01-01"), "from"),
        ] {
            assert_eq!(of(period, from, to).expect_err("it is refused").details["parameter"], named);
        }
    }
}
