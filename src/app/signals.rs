//! The signals that end the process, and the one that has it read its configuration anew.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// One of them arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The terminal that it was started on is gone.
    Hangup,
    /// From a terminal.
    Interrupt,
    /// From a service manager.
    Terminate,
}

impl Ending {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The code of a process that was ended by it: 128 and its number.
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        })
    }
}

/// Waits for them.
pub(super) struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    reload: Arc<Notify>,
    /// It was started by hand.
    on_terminal: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            reload: Arc::default(),
            on_terminal: is_on_terminal(),
        })
    }

    /// Told when the configuration is to be read anew. Several wishes at once are one.
    pub(super) fn reload(&self) -> Arc<Notify> {
        self.reload.clone()
    }

    pub(super) async fn next(&mut self) -> Ending {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                _ = self.interrupt.recv() => return Ending::Interrupt,
                _ = self.terminate.recv() => return Ending::Terminate,
            }
            // A window that was closed is meant to take its programs with it.
            if self.on_terminal && !is_on_terminal() {
                return Ending::Hangup;
            }
            self.reload.notify_one();
        }
    }
}

/// A terminal that is gone is none any more.
fn is_on_terminal() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}
