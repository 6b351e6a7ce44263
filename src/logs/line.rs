//! Formats access log lines exactly as the library does, at a small part of the cost: they are most of the log.
//!
//! They go from the record into the queue without an event. All other lines, and all lines on a terminal with colours,
//! are left to the library.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::Subscriber;
use tracing::dispatcher::get_default;
use tracing_subscriber::Layer;

use super::queue::LineQueue;
use crate::exchange::trace::TraceId;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Writes access log lines. It is a layer only so that it can be found through the current subscriber.
pub(super) struct AccessLines {
    pub(super) format: LogFormat,
    pub(super) queue: LineQueue,
}

impl<S: Subscriber> Layer<S> for AccessLines {}

impl AccessLines {
    /// Calls `action` with this layer of the current subscriber; `None` where it has none.
    pub(super) fn with_current<T>(action: impl FnOnce(&Self) -> T) -> Option<T> {
        let mut action = Some(action);
        get_default(|current| Some(action.take()?(current.downcast_ref()?)))
    }

    /// Writes a line of level INFO with this target; `fields` appends its fields.
    pub(super) fn write(&self, target: &str, message: &'static str, fields: impl FnOnce(&mut LineBuilder<'_>)) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.queue.append(|text| {
            let mut line = LineBuilder { text, format: self.format };
            match self.format {
                LogFormat::Text => line.push(&[&format_instant(now), b"  INFO ", message.as_bytes()]),
                LogFormat::Json => line.push(&[
                    b"{\"timestamp\":\"",
                    &format_instant(now),
                    b"\",\"level\":\"INFO\",\"message\":\"",
                    message.as_bytes(),
                    b"\"",
                ]),
            }
            fields(&mut line);
            match self.format {
                LogFormat::Text => line.push(&[b"\n"]),
                LogFormat::Json => line.push(&[b",\"target\":\"", target.as_bytes(), b"\"}\n"]),
            }
        });
    }
}

/// The beginning of a field in each format: its name with the separators.
#[derive(Clone, Copy)]
pub(super) struct FieldName {
    pub(super) text: &'static str,
    pub(super) json: &'static str,
}

/// A line under construction.
pub(super) struct LineBuilder<'a> {
    text: &'a mut Vec<u8>,
    format: LogFormat,
}

impl LineBuilder<'_> {
    #[inline(always)]
    fn push(&mut self, pieces: &[&[u8]]) {
        pieces.iter().for_each(|piece| self.text.extend_from_slice(piece));
    }

    /// Inlined, since each name is a constant at its call.
    #[inline(always)]
    fn push_name(&mut self, name: FieldName) {
        match self.format {
            LogFormat::Text => self.text.extend_from_slice(name.text.as_bytes()),
            LogFormat::Json => self.text.extend_from_slice(name.json.as_bytes()),
        }
    }

    fn push_quoted(&mut self, text: &str) {
        if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
            self.push(&[b"\"", text.as_bytes(), b"\""]);
            return;
        }
        match self.format {
            LogFormat::Text => write!(self.text, "{text:?}").expect("a vector takes everything"),
            LogFormat::Json => self.push(&[serde_json::Value::from(text).to_string().as_bytes()]),
        }
    }

    fn push_number(&mut self, number: u64) {
        self.push(&[itoa::Buffer::new().format(number).as_bytes()]);
    }
}

/// A value that a field can have.
pub(super) trait FieldValue {
    /// Appends the field with this name; nothing for an absent value.
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>);
}

impl<V: FieldValue> FieldValue for Option<V> {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        if let Some(value) = self {
            value.write(name, line);
        }
    }
}

impl FieldValue for &str {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        line.push_name(name);
        line.push_quoted(self);
    }
}

impl FieldValue for u64 {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        line.push_name(name);
        line.push_number(self);
    }
}

impl FieldValue for u16 {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        u64::from(self).write(name, line);
    }
}

impl FieldValue for bool {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        line.push_name(name);
        line.push(&[if self { b"true" } else { b"false" }]);
    }
}

impl FieldValue for f64 {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        line.push_name(name);
        push_decimal(line.text, self);
    }
}

impl FieldValue for TraceId {
    #[inline(always)]
    fn write(self, name: FieldName, line: &mut LineBuilder<'_>) {
        line.push_name(name);
        match line.format {
            LogFormat::Text => line.push(&[&self.digits()]),
            LogFormat::Json => line.push(&[b"\"", &self.digits(), b"\""]),
        }
    }
}

/// Formats a time since 1970 as an instant in UTC, to the microsecond.
fn format_instant(since: Duration) -> [u8; 27] {
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let micros = u64::from(since.subsec_micros());
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (at, value) in [
        (0, year / 100 % 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, second / 3600),
        (14, second / 60 % 60),
        (17, second % 60),
        (20, micros / 10_000),
        (22, micros / 100 % 100),
        (24, micros % 100),
    ] {
        text[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    }
    text
}

/// The numbers below 100, in two digits.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

/// Year, month and day of a day since 1970 (H. Hinnant: `chrono`-compatible low-level date algorithms).
const fn date(days: u64) -> (u64, u64, u64) {
    // From the first of March of the year 0 on, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + (month <= 2) as u64, month, day)
}

/// The bytes that need no escape between quotes.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    plain
};

/// Appends a number of at most three decimals in its shortest form, and other numbers like the library.
fn push_decimal(line: &mut Vec<u8>, value: f64) {
    let whole = (value * 1e3 + 0.5) as u64;
    // Below this limit, a double represents every thousandth.
    if whole >= 1_000_000_000_000 || (whole as f64 / 1e3).to_bits() != value.to_bits() {
        write!(line, "{value:?}").expect("a vector takes everything");
        return;
    }
    line.extend_from_slice(itoa::Buffer::new().format(whole / 1000).as_bytes());
    let digit = |value: u64| b'0' + (value % 10) as u8;
    let places = [b'.', digit(whole / 100), digit(whole / 10), digit(whole)];
    let used = match (places[2], places[3]) {
        (b'0', b'0') => 2,
        (_, b'0') => 3,
        _ => 4,
    };
    line.extend_from_slice(&places[..used]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_those_of_the_calendar() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (4_107_542_399, 20, "2100-02-28T23:59:59.000020Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
            (1_798_761_599, 500_000, "2026-12-31T23:59:59.500000Z"),
        ] {
            let text = format_instant(Duration::new(seconds, micros * 1000));
            assert_eq!(str::from_utf8(&text), Ok(expected));
        }
    }

    #[test]
    fn numbers_are_written_as_the_library_does() {
        let thousandths = (0..20_000).chain((0..30).map(|power| 3_u64.pow(power)));
        let odd = [0.1 + 0.2, 1e-7, 1e15, -1.5, -0.0, f64::MAX, f64::NAN, f64::INFINITY];
        for value in thousandths.map(|it| it as f64 / 1e3).chain(odd) {
            let mut line = Vec::new();
            push_decimal(&mut line, value);
            assert_eq!(String::from_utf8(line), Ok(format!("{value:?}")));
        }
    }
}
