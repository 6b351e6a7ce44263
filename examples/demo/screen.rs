//! Where the figures are shown: redrawn in place on a terminal, else a line every few seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// The output.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    shown: Option<Instant>,
}

impl Screen {
    /// Takes standard output.
    pub(crate) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal(), shown: None }
    }

    /// Shows the introduction and all figures on a terminal. Elsewhere the introduction once, then the line now and then.
    pub(crate) fn show(&mut self, intro: &[String], figures: &[String], line: &str) {
        let text = match (self.terminal, self.shown) {
            (true, shown) => {
                let begin = if shown.is_none() { format!("{HIDE_CURSOR}{CLEAR}") } else { String::new() };
                let end = format!("{CLEAR_LINE_END}\n");
                begin + HOME + &[intro, figures].concat().join(&end) + CLEAR_LINE_END + CLEAR_BELOW
            }
            (false, None) => intro.join("\n") + "\n",
            (false, Some(shown)) if shown.elapsed() >= PAUSE => format!("{line}\n"),
            (false, Some(_)) => return,
        };
        self.shown = Some(Instant::now());
        write(&text);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal && self.shown.is_some() {
            write(&format!("{SHOW_CURSOR}\n"));
        }
    }
}

/// A reader that is gone is no reason to fail.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
