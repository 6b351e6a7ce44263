//! The line of an exchange, as the library would write it, for a tenth of its price: it is most of what is logged.
//!
//! Everything else, and everything on a terminal with its colours, is the library's to write.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::{Format, access};

/// Room for most lines.
const ROOM: usize = 512;

/// Writes lines of exchanges in this shape, and leaves the others to `rest`.
pub(super) struct Lines<F> {
    pub(super) format: Format,
    pub(super) rest: F,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        if out.has_ansi_escapes() || !access::is_line(meta) {
            return self.rest.format_event(context, out, event);
        }
        let mut line = String::with_capacity(ROOM);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut fields = Fields { line: &mut line, format: self.format };
        match self.format {
            Format::Text => {
                instant(fields.line, now.as_secs(), now.subsec_micros());
                fields.line.push_str("  INFO");
                event.record(&mut fields);
            }
            Format::Json => {
                fields.line.push_str("{\"timestamp\":\"");
                instant(fields.line, now.as_secs(), now.subsec_micros());
                fields.line.push_str("\",\"level\":\"INFO\"");
                event.record(&mut fields);
                fields.line.push_str(",\"target\":\"");
                fields.line.push_str(meta.target());
                fields.line.push_str("\"}");
            }
        }
        line.push('\n');
        out.write_str(&line)
    }
}

/// An instant in UTC, to the microsecond.
fn instant(line: &mut String, seconds: u64, micros: u32) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    digits(line, year, 4);
    for (mark, value) in [('-', month), ('-', day), ('T', second / 3600), (':', second / 60 % 60), (':', second % 60)] {
        line.push(mark);
        digits(line, value, 2);
    }
    line.push('.');
    digits(line, micros.into(), 6);
    line.push('Z');
}

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

/// A number in so many digits.
fn digits(line: &mut String, value: u64, count: usize) {
    let mut places = [b'0'; 6];
    let mut rest = value;
    for place in places[..count].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    line.extend(places[..count].iter().map(|digit| char::from(*digit)));
}

/// Writes fields behind one another.
struct Fields<'a> {
    line: &'a mut String,
    format: Format,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        let name = field.name();
        match self.format {
            Format::Text if name == "message" => self.line.push(' '),
            Format::Text => {
                self.line.push(' ');
                self.line.push_str(name);
                self.line.push('=');
            }
            Format::Json => {
                self.line.push_str(",\"");
                self.line.push_str(name);
                self.line.push_str("\":");
            }
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        if is_plain(value) {
            self.line.push('"');
            self.line.push_str(value);
            self.line.push('"');
            return;
        }
        match self.format {
            Format::Text => write!(self.line, "{value:?}").expect("a string takes everything"),
            Format::Json => self.line.push_str(&serde_json::Value::from(value).to_string()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.line.push_str(if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field);
        decimal(self.line, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let begun = self.line.len();
        write!(self.line, "{value:?}").expect("a string takes everything");
        if self.format == Format::Json {
            let text = self.line.split_off(begun);
            self.line.push_str(&serde_json::Value::from(text).to_string());
        }
    }
}

/// Whether it is written as it stands, between quotes.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// A number with at most three places, in the fewest digits that say it; others in the library's way.
fn decimal(line: &mut String, value: f64) {
    let thousandths = value * 1e3;
    let whole = thousandths.round();
    // Below that, a double holds every thousandth.
    if !(0.0..1e12).contains(&whole) || whole / 1e3 != value {
        write!(line, "{value:?}").expect("a string takes everything");
        return;
    }
    let whole = whole as u64;
    line.push_str(itoa::Buffer::new().format(whole / 1000));
    line.push('.');
    let (mut places, mut rest) = (3, whole % 1000);
    while places > 1 && rest.is_multiple_of(10) {
        (places, rest) = (places - 1, rest / 10);
    }
    digits(line, rest, places);
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
            let mut line = String::new();
            instant(&mut line, seconds, micros);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn numbers_are_written_as_the_library_does() {
        let thousandths = (0..20_000).chain((0..30).map(|power| 3_u64.pow(power)));
        for value in thousandths.map(|it| it as f64 / 1e3).chain([0.1 + 0.2, 1e-7, 1e15, -1.5, f64::MAX]) {
            let mut line = String::new();
            decimal(&mut line, value);
            assert_eq!(line, format!("{value:?}"));
        }
    }
}
