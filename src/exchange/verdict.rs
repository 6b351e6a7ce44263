//! Chooses the outcome of an exchange from what the proxy saw and what was parsed.
//!
//! The order of the outcomes is fixed; the first that applies counts.

use super::outcome::{End, ErrorType, Outcome};

/// The facts that determine an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndEvidence {
    /// What the proxy saw.
    pub(super) end: End,
    /// The backend's response head had arrived.
    pub(super) answered: bool,
    /// The status sent to the client.
    pub(super) status: u16,
    /// The connection switched protocols: there is no terminal event, and either side may end it.
    pub(super) tunnel: bool,
    /// The terminal event was forwarded.
    pub(super) terminal: bool,
    /// The backend reported an error inside a success status.
    pub(super) error: bool,
    /// A clean end without the terminal event means that the answer was cut. False after parsing has failed.
    pub(super) expects_terminal: bool,
}

impl EndEvidence {
    /// The outcome and the error; 4xx answers and cancellations are not errors.
    pub(super) fn verdict(&self) -> (Outcome, Option<ErrorType>) {
        match self.end {
            End::Rejected(why) if !self.was_ended_by_us() => (Outcome::Rejected, Some(why)),
            End::ClientLeft if !self.was_whole() => (Outcome::ClientCancelled, None),
            _ if self.error => (Outcome::StreamError, Some(ErrorType::StreamError)),
            // The client has the whole answer, whatever is wrong with the framing around it.
            End::BackendFailed(_) if self.terminal => (Outcome::Completed, None),
            End::BackendFailed(why) => (Outcome::BackendFailed, Some(why)),
            End::Rejected(why) if !self.was_whole() => (Outcome::Truncated, Some(why)),
            _ if self.was_cut() => (Outcome::Truncated, Some(ErrorType::Truncated)),
            _ if self.status >= 400 => (Outcome::HttpError, (self.status >= 500).then_some(ErrorType::Http5xx)),
            _ => (Outcome::Completed, None),
        }
    }

    /// Whether the proxy cut an answer that had begun: at the end of its drain time, because an operator asked for it,
    /// or because of a bug.
    fn was_ended_by_us(&self) -> bool {
        self.answered
            && matches!(self.end, End::Rejected(ErrorType::Draining | ErrorType::Stopped | ErrorType::Internal))
    }

    /// Whether nothing of the answer was missing. An error inside a stream is its last event, and official clients hang
    /// up on it as they do on the terminal event.
    fn was_whole(&self) -> bool {
        self.terminal || self.error || (self.tunnel && self.end != End::Rejected(ErrorType::Stopped))
    }

    fn was_cut(&self) -> bool {
        self.expects_terminal && !self.terminal && !self.tunnel && self.status < 400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: EndEvidence = EndEvidence {
        end: End::Complete,
        answered: true,
        status: 200,
        tunnel: false,
        terminal: false,
        error: false,
        expects_terminal: false,
    };
    const RESET: End = End::BackendFailed(ErrorType::Reset);
    const LIMIT: End = End::Rejected(ErrorType::Limit);
    const FAULT: End = End::Rejected(ErrorType::Internal);
    const DRAINED: End = End::Rejected(ErrorType::Draining);
    const STOPPED: End = End::Rejected(ErrorType::Stopped);

    /// One line a sentence of the contract.
    #[test]
    fn the_first_outcome_that_fits_counts() {
        let all_bad = EndEvidence { error: true, expects_terminal: true, status: 503, ..CLEAN };
        let stream = EndEvidence { expects_terminal: true, ..CLEAN };
        let done = EndEvidence { terminal: true, ..stream };
        let table: &[(&str, EndEvidence, Outcome, Option<ErrorType>)] = &[
            (
                "rejected before all",
                EndEvidence { end: LIMIT, answered: false, ..all_bad },
                Outcome::Rejected,
                Some(ErrorType::Limit),
            ),
            (
                "refused while draining",
                EndEvidence { end: DRAINED, answered: false, status: 503, ..CLEAN },
                Outcome::Rejected,
                Some(ErrorType::Draining),
            ),
            (
                "cut by the end of a drain",
                EndEvidence { end: DRAINED, ..stream },
                Outcome::Truncated,
                Some(ErrorType::Draining),
            ),
            (
                "a fault of ours before a head",
                EndEvidence { end: FAULT, answered: false, status: 500, ..CLEAN },
                Outcome::Rejected,
                Some(ErrorType::Internal),
            ),
            (
                "cut by a fault of ours",
                EndEvidence { end: FAULT, ..stream },
                Outcome::Truncated,
                Some(ErrorType::Internal),
            ),
            (
                "a transfer of no known shape, cut by the end of a drain",
                EndEvidence { end: DRAINED, ..CLEAN },
                Outcome::Truncated,
                Some(ErrorType::Draining),
            ),
            (
                "the drain was over just after the terminal event",
                EndEvidence { end: DRAINED, ..done },
                Outcome::Completed,
                None,
            ),
            (
                "an error, then the end of a drain",
                EndEvidence { end: DRAINED, error: true, ..stream },
                Outcome::StreamError,
                Some(ErrorType::StreamError),
            ),
            (
                "stopped before a head",
                EndEvidence { end: STOPPED, answered: false, status: 403, ..CLEAN },
                Outcome::Rejected,
                Some(ErrorType::Stopped),
            ),
            (
                "stopped amid its answer",
                EndEvidence { end: STOPPED, ..stream },
                Outcome::Truncated,
                Some(ErrorType::Stopped),
            ),
            (
                "a transfer of no known shape that was stopped",
                EndEvidence { end: STOPPED, ..CLEAN },
                Outcome::Truncated,
                Some(ErrorType::Stopped),
            ),
            ("stopped just after the terminal event", EndEvidence { end: STOPPED, ..done }, Outcome::Completed, None),
            (
                "a tunnel that was stopped",
                EndEvidence { end: STOPPED, tunnel: true, status: 101, ..CLEAN },
                Outcome::Truncated,
                Some(ErrorType::Stopped),
            ),
            (
                "client left before the terminal event",
                EndEvidence { end: End::ClientLeft, ..stream },
                Outcome::ClientCancelled,
                None,
            ),
            (
                "client left before a head",
                EndEvidence { end: End::ClientLeft, status: 499, ..CLEAN },
                Outcome::ClientCancelled,
                None,
            ),
            (
                "client left after the terminal event",
                EndEvidence { end: End::ClientLeft, ..done },
                Outcome::Completed,
                None,
            ),
            (
                "client left after an error",
                EndEvidence { end: End::ClientLeft, error: true, ..stream },
                Outcome::StreamError,
                Some(ErrorType::StreamError),
            ),
            (
                "an error inside a 200",
                EndEvidence { error: true, ..stream },
                Outcome::StreamError,
                Some(ErrorType::StreamError),
            ),
            (
                "an error, then the terminal event",
                EndEvidence { error: true, ..done },
                Outcome::StreamError,
                Some(ErrorType::StreamError),
            ),
            (
                "an error before a reset",
                EndEvidence { error: true, end: RESET, ..stream },
                Outcome::StreamError,
                Some(ErrorType::StreamError),
            ),
            (
                "a backend that closes after the terminal event, without its last chunk",
                EndEvidence { end: End::BackendFailed(ErrorType::Incomplete), ..done },
                Outcome::Completed,
                None,
            ),
            ("a reset after the terminal event", EndEvidence { end: RESET, ..done }, Outcome::Completed, None),
            ("a reset", EndEvidence { end: RESET, ..stream }, Outcome::BackendFailed, Some(ErrorType::Reset)),
            (
                "a refused dial answered 502",
                EndEvidence { end: End::BackendFailed(ErrorType::ConnectRefused), status: 502, ..CLEAN },
                Outcome::BackendFailed,
                Some(ErrorType::ConnectRefused),
            ),
            ("a clean end without the terminal event", stream, Outcome::Truncated, Some(ErrorType::Truncated)),
            ("a clean end that needs no terminal event", CLEAN, Outcome::Completed, None),
            ("a 404", EndEvidence { status: 404, ..stream }, Outcome::HttpError, None),
            ("a 500", EndEvidence { status: 500, ..stream }, Outcome::HttpError, Some(ErrorType::Http5xx)),
            ("all well", done, Outcome::Completed, None),
            (
                "a tunnel that the client ends",
                EndEvidence { tunnel: true, status: 101, end: End::ClientLeft, ..CLEAN },
                Outcome::Completed,
                None,
            ),
        ];
        for (sentence, evidence, outcome, error) in table {
            assert_eq!(evidence.verdict(), (*outcome, *error), "{sentence}");
        }
    }
}
