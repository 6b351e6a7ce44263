//! Whether durations that a backend reports can be so, held against the time that was watched.
//!
//! Some servers print milliseconds where nanoseconds are meant, and caches of answers print those of another exchange.
//! Judged generously: a wrong unit is wrong by a thousand and more, and what is late or early by less may have a reason.

use std::time::Duration;

use crate::wire::event::Timings;

/// No model makes a token in less.
const SHORTEST_TOKEN: Duration = Duration::from_micros(1);

/// A watched decode shorter than this contradicts nothing.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);

/// So much shorter than the watched decode a reported one may be: a network that delivers late makes that longer.
const SHORTER: u32 = 100;

/// So much longer than the whole exchange a reported duration may be: twice, and this.
const LONGER: Duration = Duration::from_secs(1);

/// What was watched of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// From the request's head to the end.
    pub(super) whole: Duration,
    /// From the first token to the last, where that is one choice's.
    pub(super) decode: Option<Duration>,
    /// Generated tokens, if someone stated them.
    pub(super) generated: Option<u64>,
}

impl Watched {
    /// Whether any of these durations cannot be.
    pub(super) fn contradicts(&self, reported: &Timings) -> bool {
        let Timings { load, prefill, decode, total } = *reported;
        let longest = self.whole.saturating_mul(2).saturating_add(LONGER);
        let too_long = [load, prefill, decode, total].into_iter().flatten().any(|duration| duration > longest);
        too_long || decode.is_some_and(|decode| self.is_longer_than(decode))
    }

    fn is_longer_than(&self, reported: Duration) -> bool {
        let window = self.decode.filter(|window| *window >= SHORTEST_WINDOW);
        let tokens = self.generated.filter(|tokens| *tokens >= 2).and_then(|tokens| u32::try_from(tokens).ok());
        window.is_some_and(|window| reported.saturating_mul(SHORTER) < window)
            || tokens.is_some_and(|tokens| reported < SHORTEST_TOKEN.saturating_mul(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WHOLE: Watched = Watched { whole: SECOND, decode: None, generated: Some(75) };

    fn decode(decode: Duration) -> Timings {
        Timings { decode: Some(decode), ..Timings::default() }
    }

    #[test]
    fn milliseconds_in_place_of_nanoseconds_are_not_believed() {
        let streamed = Watched { decode: Some(Duration::from_millis(900)), ..WHOLE };
        assert!(WHOLE.contradicts(&decode(Duration::from_nanos(900))), "12 nanoseconds a token");
        assert!(streamed.contradicts(&decode(Duration::from_nanos(900))));
        assert!(streamed.contradicts(&decode(Duration::from_micros(900))), "microseconds in place of nanoseconds");
        assert!(!streamed.contradicts(&decode(Duration::from_millis(100))), "a network that delivered late");
        assert!(!WHOLE.contradicts(&decode(Duration::from_millis(100))));
        let unknown = Watched { generated: None, ..WHOLE };
        assert!(!unknown.contradicts(&decode(Duration::from_nanos(900))), "nothing speaks against it");
    }

    #[test]
    fn what_is_longer_than_the_exchange_is_not_believed() {
        for wrong in [
            Timings { load: Some(SECOND * 100), ..Timings::default() },
            Timings { prefill: Some(SECOND * 100), ..Timings::default() },
            Timings { total: Some(SECOND * 100), ..Timings::default() },
            decode(Duration::MAX),
        ] {
            assert!(WHOLE.contradicts(&wrong), "{wrong:?}");
        }
        assert!(!WHOLE.contradicts(&decode(SECOND * 2)), "clocks differ");
        assert!(!WHOLE.contradicts(&Timings::default()));
    }
}
