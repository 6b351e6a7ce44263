//! Where the figures are shown: redrawn in place on a terminal, in the size that it has, else a line every few seconds.

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

/// What a terminal has room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// Of a terminal that does not tell, and of what is no terminal.
    const USUAL: Self = Self { columns: 80, rows: 24 };

    /// Of standard output now: people pull at windows.
    fn now() -> Self {
        match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Self { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            _ => Self::USUAL,
        }
    }
}

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

    /// Shows the page on a terminal. Elsewhere the page once, as it is at the start, then the line now and then.
    pub(crate) fn show(&mut self, page: impl Fn(Size) -> Vec<String>, line: impl Fn() -> String) {
        let text = match (self.terminal, self.shown) {
            (true, shown) => {
                let begin = if shown.is_none() { format!("{HIDE_CURSOR}{CLEAR}") } else { String::new() };
                let end = format!("{CLEAR_LINE_END}\n");
                begin + HOME + &page(Size::now()).join(&end) + CLEAR_LINE_END + CLEAR_BELOW
            }
            (false, None) => page(Size::USUAL).join("\n") + "\n",
            (false, Some(shown)) if shown.elapsed() >= PAUSE => line() + "\n",
            (false, Some(_)) => return,
        };
        self.shown = Some(Instant::now());
        write(&text);
    }

    /// Writes a line where there is no terminal, for what the page shows too.
    pub(crate) fn say(&self, line: impl Fn() -> String) {
        if !self.terminal {
            write(&(line() + "\n"));
        }
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
