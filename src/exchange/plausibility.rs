//! Whether the durations that a backend reports are possible, given the durations observed here.
//!
//! Some servers print milliseconds where nanoseconds are meant, and answer caches repeat those of another exchange. The
//! limits are generous: a wrong unit is off by a factor of 1,000 or more, and smaller differences may have a reason.

use std::time::Duration;

use crate::wire::event::Timings;

/// The shortest time in which any model generates a token.
const SHORTEST_TOKEN: Duration = Duration::from_micros(1);

/// An observed decode shorter than this contradicts no report.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);

/// How many times shorter a reported decode may be than the observed one, which a slow network makes longer.
const MAX_SPEEDUP: u32 = 100;

/// A reported duration may be at most twice that of the whole exchange, plus this.
const SLACK: Duration = Duration::from_secs(1);

/// The observed side of the comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    /// From the request's head to the end.
    pub(super) whole: Duration,
    /// From the first token to the last; `None` where several choices share the answer.
    pub(super) decode: Option<Duration>,
    /// Generated tokens, if they were stated.
    pub(super) generated: Option<u64>,
}

impl Observed {
    /// Whether any of the reported durations is impossible.
    pub(super) fn contradicts(&self, reported: &Timings) -> bool {
        let Timings { load, prefill, decode, total } = *reported;
        let longest = self.whole.saturating_mul(2).saturating_add(SLACK);
        let too_long = [load, prefill, decode, total].into_iter().flatten().any(|duration| duration > longest);
        too_long || decode.is_some_and(|decode| self.is_too_short(decode))
    }

    fn is_too_short(&self, reported: Duration) -> bool {
        let window = self.decode.filter(|window| *window >= SHORTEST_WINDOW);
        let tokens = self.generated.filter(|tokens| *tokens >= 2).and_then(|tokens| u32::try_from(tokens).ok());
        window.is_some_and(|window| reported.saturating_mul(MAX_SPEEDUP) < window)
            || tokens.is_some_and(|tokens| reported < SHORTEST_TOKEN.saturating_mul(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WHOLE: Observed = Observed { whole: SECOND, decode: None, generated: Some(75) };

    fn decode(decode: Duration) -> Timings {
        Timings { decode: Some(decode), ..Timings::default() }
    }

    #[test]
    fn milliseconds_in_place_of_nanoseconds_are_implausible() {
        let streamed = Observed { decode: Some(Duration::from_millis(900)), ..WHOLE };
        assert!(WHOLE.contradicts(&decode(Duration::from_nanos(900))), "12 nanoseconds a token");
        assert!(streamed.contradicts(&decode(Duration::from_nanos(900))));
        assert!(streamed.contradicts(&decode(Duration::from_micros(900))), "microseconds in place of nanoseconds");
        assert!(!streamed.contradicts(&decode(Duration::from_millis(100))), "a network that delivered late");
        assert!(!WHOLE.contradicts(&decode(Duration::from_millis(100))));
        let unknown = Observed { generated: None, ..WHOLE };
        assert!(!unknown.contradicts(&decode(Duration::from_nanos(900))), "nothing speaks against it");
    }

    #[test]
    fn durations_longer_than_the_exchange_are_implausible() {
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
