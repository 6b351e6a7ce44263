//! Lines of the log for the history: what the log says, once more, as values.
//!
//! Promises: a thread that logs waits for nothing; what finds the queue full is lost and counted. Kept are lines that the
//! log's level lets pass, of this program alone: libraries log what they please. Left out are the lines of the access log,
//! which repeat what the history has as exchanges. What is longer than a limit is cut.

use std::fmt::{self, Debug, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_queue::ArrayQueue;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::access;

/// Lines that may wait.
const MAX_WAITING: usize = 2_048;

/// Bytes that may wait, about.
const MAX_BYTES: usize = 1 << 20;

/// The longest text of a line or a field, in bytes.
const MAX_TEXT: usize = 1_024;

/// The most fields of a line.
const MAX_FIELDS: usize = 32;

/// This program's own targets begin so.
const OWN: &str = "inferometer";

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// When it was logged, in milliseconds since the epoch.
    pub at: i64,
    /// `trace` to `error`.
    pub level: &'static str,
    /// The room that logged it.
    pub component: Box<str>,
    /// Its sentence.
    pub message: Box<str>,
    /// Its fields, as a JSON object; `None` where it has none.
    pub fields: Option<Box<str>>,
}

impl KeptLine {
    fn bytes(&self) -> usize {
        self.component.len() + self.message.len() + self.fields.as_ref().map_or(0, |fields| fields.len())
    }
}

/// Lines that wait to be taken. Clones share them.
#[derive(Clone, Debug)]
pub struct KeptLines(Arc<Waiting>);

#[derive(Debug)]
struct Waiting {
    lines: ArrayQueue<KeptLine>,
    bytes: AtomicUsize,
    lost: AtomicU64,
    is_wanted: AtomicBool,
}

impl Default for KeptLines {
    fn default() -> Self {
        Self(Arc::new(Waiting {
            lines: ArrayQueue::new(MAX_WAITING),
            bytes: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            is_wanted: AtomicBool::new(false),
        }))
    }
}

impl KeptLines {
    /// Keeps lines from now on; before that, none is kept.
    pub fn begin(&self) {
        self.0.is_wanted.store(true, Ordering::Relaxed);
    }

    /// The next line; `None` where none waits.
    #[must_use]
    pub fn take(&self) -> Option<KeptLine> {
        let line = self.0.lines.pop()?;
        self.0.bytes.fetch_sub(line.bytes(), Ordering::Relaxed);
        Some(line)
    }

    /// Lines lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    fn push(&self, line: KeptLine) {
        let bytes = line.bytes();
        let has_room = self.0.bytes.fetch_add(bytes, Ordering::Relaxed) <= MAX_BYTES;
        if !has_room || self.0.lines.push(line).is_err() {
            self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Keeps what passes the log's filter.
pub(super) struct KeepLines(pub(super) KeptLines);

impl<S: Subscriber> Layer<S> for KeepLines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(component) = component(metadata.target()).filter(|_| self.0.0.is_wanted.load(Ordering::Relaxed))
        else {
            return;
        };
        let mut content = Content::default();
        event.record(&mut content);
        if content.message == access::MESSAGE {
            return;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let fields = (!content.fields.is_empty()).then(|| Value::from(content.fields).to_string().into());
        self.0.push(KeptLine {
            at: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
            level: word(*metadata.level()),
            component: component.into(),
            message: content.message.into(),
            fields,
        });
    }
}

/// The room of one of our targets, such as `backend` of `inferometer::backend::probe`; `None` for another's.
fn component(target: &str) -> Option<&str> {
    let mut parts = target.split("::");
    (parts.next() == Some(OWN)).then(|| parts.next().unwrap_or("main"))
}

fn word(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// The sentence and the fields of an event.
#[derive(Default)]
struct Content {
    message: String,
    fields: Map<String, Value>,
}

impl Content {
    fn put(&mut self, field: &Field, value: Value) {
        if self.fields.len() < MAX_FIELDS {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Content {
    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Limited::default();
        let _is_cut = text.write_str(value);
        self.put(field, text.0.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = Limited::default();
        let _is_cut = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text.0;
        } else {
            self.put(field, text.0.into());
        }
    }
}

/// A text that is cut at a limit.
#[derive(Default)]
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT.saturating_sub(self.0.len());
        let end = (0..=room.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn kept(work: impl FnOnce()) -> (Vec<KeptLine>, u64) {
        let lines = KeptLines::default();
        lines.begin();
        let subscriber = tracing_subscriber::registry().with(KeepLines(lines.clone()));
        tracing::subscriber::with_default(subscriber, work);
        (std::iter::from_fn(|| lines.take()).collect(), lines.lost())
    }

    #[test]
    fn a_line_has_its_level_its_room_its_sentence_and_its_fields() {
        let (lines, lost) = kept(|| {
            tracing::warn!(backend = "gpu1", tries = 3, ratio = 0.5, is_up = false, address = %"a:1", "it fails");
            tracing::info!(target: "inferometer::backend::probe", "it answers");
            tracing::debug!(target: "hyper::proto", "a library's own");
        });
        assert_eq!((lines.len(), lost), (2, 0));
        let fields = r#"{"address":"a:1","backend":"gpu1","is_up":false,"ratio":0.5,"tries":3}"#;
        let line = |line: &KeptLine| (line.level, line.component.to_string(), line.message.to_string());
        assert_eq!(line(&lines[0]), ("warn", "logs".to_owned(), "it fails".to_owned()));
        assert_eq!(lines[0].fields.as_deref(), Some(fields));
        assert_eq!(line(&lines[1]), ("info", "backend".to_owned(), "it answers".to_owned()));
        assert_eq!(lines[1].fields, None);
    }

    #[test]
    fn what_finds_the_queue_full_is_counted_and_a_long_text_is_cut() {
        let (lines, lost) = kept(|| (0..3_000).for_each(|at| tracing::info!(at, "again")));
        assert_eq!((lines.len(), lost), (MAX_WAITING, 3_000 - MAX_WAITING as u64));
        let long = "é".repeat(3_000);
        let (lines, lost) = kept(|| (0..2_000).for_each(|_| tracing::info!(long, "{long}")));
        let bytes: usize = lines.iter().map(KeptLine::bytes).sum();
        assert!(lines[0].message.len() <= MAX_TEXT && bytes <= MAX_BYTES + 4 * MAX_TEXT, "{bytes}");
        assert_eq!(lines.len() as u64 + lost, 2_000);
    }

    #[test]
    fn lines_of_the_access_log_are_left_out() {
        let (lines, _) = kept(|| tracing::info!(status = 200, "{}", access::MESSAGE));
        assert_eq!(lines, []);
    }
}
