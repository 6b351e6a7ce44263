//! Lines of the log, as the history keeps them for some hours.

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
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

/// The levels of log lines, ascending.
pub const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Where the history gets its lines from. Called on its own thread.
pub trait LineSource: Send {
    /// The next line; `None` where none waits.
    fn next(&mut self) -> Option<LogLine>;

    /// Lines lost before they could be taken, since the start.
    fn lost(&self) -> u64;
}

impl std::fmt::Debug for dyn LineSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("LineSource")
    }
}
