//! The signals that end the process, and SIGHUP, which reloads the configuration.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndSignal {
    /// SIGHUP after the terminal that the process was started on has hung up.
    Hangup,
    /// From a terminal.
    Interrupt,
    /// From a service manager.
    Terminate,
}

impl EndSignal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code of a process that it ended, as shells report it: 128 and its number.
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        })
    }
}

/// The handlers. From [`Signals::new`] on, none of these signals kills the process.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    reload: Arc<Notify>,
    started_on_terminal: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            reload: Arc::default(),
            started_on_terminal: is_on_terminal(),
        })
    }

    /// Notified at each request to reload; requests that arrive together are one. They arrive only while
    /// [`Signals::next`] is polled.
    pub(super) fn reload_requests(&self) -> Arc<Notify> {
        self.reload.clone()
    }

    pub(super) async fn next(&mut self) -> EndSignal {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                _ = self.interrupt.recv() => return EndSignal::Interrupt,
                _ = self.terminate.recv() => return EndSignal::Terminate,
            }
            // Closing a terminal window ends the programs that were started in it.
            if self.started_on_terminal && !is_on_terminal() {
                return EndSignal::Hangup;
            }
            self.reload.notify_one();
        }
    }
}

/// After a hang-up `is_terminal()` is false.
fn is_on_terminal() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}
