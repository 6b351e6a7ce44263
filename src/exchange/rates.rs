//! The rate at which tokens were generated, where it is known.
//!
//! Both rates need a stated token count: counted events are only a lower bound. A duration that the backend reports is
//! preferred to the observed one, but covers one choice: where several share the answer, only the observed duration
//! counts, and the time per token of one choice is unknown.
//!
//! The observed window measures the decode only if its tokens arrived one after another. Where many were read at one
//! instant (a busy machine, a relay that buffers), it is the time between two reads: too short for a rate, or opened by
//! a frame with most of the answer. Such a window is ignored.

use std::time::Duration;

/// A shorter decode gives no rate.
const SHORTEST_DECODE: Duration = Duration::from_millis(1);

/// What the rates are computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecodeFacts {
    /// Generated tokens, if they were stated.
    pub(super) generated: Option<u64>,
    /// The decode duration that the backend reports.
    pub(super) reported: Option<Duration>,
    /// From the first token to the last, as observed. `None` unless streamed.
    pub(super) observed: Option<Duration>,
    /// Token-bearing events that were observed.
    pub(super) events: u64,
    /// Those of them in the first token-bearing frame: they arrived before the window.
    pub(super) events_at_once: u64,
    /// Several choices share the answer.
    pub(super) several_choices: bool,
}

impl DecodeFacts {
    /// Time per output token: the decode divided by the tokens after the first. `None` below 2 tokens.
    pub(super) fn time_per_output_token(&self) -> Option<Duration> {
        let after_first = self.generated?.checked_sub(1).filter(|more| *more > 0)?;
        if self.several_choices {
            return None;
        }
        let decode = self.reported.or_else(|| self.window())?;
        Some(Duration::from_secs_f64(decode.as_secs_f64() / after_first as f64))
    }

    /// Tokens per second. The observed window begins with the first token, which is not generated within it.
    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        let generated = self.generated.filter(|tokens| *tokens >= 2)?;
        let (tokens, decode) = match self.reported {
            Some(reported) if !self.several_choices => (generated, reported),
            _ => (generated - 1, self.window()?),
        };
        (decode >= SHORTEST_DECODE).then(|| tokens as f64 / decode.as_secs_f64())
    }

    /// The observed window, if the events seen are at least half of the tokens, at least half of them fall into it, and
    /// it is long enough.
    fn window(&self) -> Option<Duration> {
        let enough = self.events >= 2 && self.events.saturating_mul(2) >= self.generated?;
        let inside = self.events.saturating_sub(self.events_at_once).saturating_mul(2) >= self.events;
        self.observed.filter(|window| enough && inside && *window >= SHORTEST_DECODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: DecodeFacts = DecodeFacts {
        generated: None,
        reported: None,
        observed: None,
        events: 0,
        events_at_once: 1,
        several_choices: false,
    };

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_reported_decode_is_divided_by_the_tokens_after_the_first() {
        let decode = DecodeFacts { generated: Some(11), reported: ms(1000), observed: ms(5000), events: 11, ..NOTHING };
        assert_eq!(decode.time_per_output_token(), ms(100));
        assert_eq!(decode.tokens_per_second(), Some(11.0));
    }

    #[test]
    fn without_a_report_the_observed_window_counts() {
        let decode = DecodeFacts { generated: Some(11), observed: ms(1000), events: 11, ..NOTHING };
        assert_eq!(decode.time_per_output_token(), ms(100));
        assert_eq!(decode.tokens_per_second(), Some(10.0));
    }

    #[test]
    fn a_window_counts_only_with_events_for_half_of_the_tokens_and_at_least_two() {
        let observed = DecodeFacts { observed: ms(1000), ..NOTHING };
        for (generated, events, known) in [(10, 5, true), (10, 4, false), (11, 5, false), (2, 2, true), (2, 1, false)] {
            let decode = DecodeFacts { generated: Some(generated), events, ..observed };
            assert_eq!(decode.time_per_output_token().is_some(), known, "{generated} tokens in {events} events");
            assert_eq!(decode.tokens_per_second().is_some(), known, "{generated} tokens in {events} events");
        }
    }

    #[test]
    fn below_two_tokens_there_is_no_rate() {
        for generated in [None, Some(0), Some(1)] {
            let decode = DecodeFacts { generated, reported: ms(100), observed: ms(100), events: 9, ..NOTHING };
            assert_eq!(decode.time_per_output_token(), None);
            assert_eq!(decode.tokens_per_second(), None);
        }
    }

    #[test]
    fn below_a_millisecond_of_decode_there_is_no_rate() {
        let short = DecodeFacts { generated: Some(5), reported: Some(Duration::from_micros(999)), ..NOTHING };
        assert_eq!(short.tokens_per_second(), None);
        assert_eq!(DecodeFacts { reported: ms(1), ..short }.tokens_per_second(), Some(5000.0));
    }

    #[test]
    fn several_choices_have_no_time_per_token_and_only_an_observed_rate() {
        let decode = DecodeFacts {
            generated: Some(21),
            reported: ms(100),
            observed: ms(1000),
            events: 21,
            several_choices: true,
            ..NOTHING
        };
        assert_eq!(decode.time_per_output_token(), None);
        assert_eq!(decode.tokens_per_second(), Some(20.0));
    }

    /// 19 tokens of an answer that took 90 ms, read on a busy machine by two reads 432 microseconds apart: 24
    /// microseconds a token would be a fact about the machine.
    #[test]
    fn tokens_that_came_all_at_once_or_in_two_reads_have_no_rate() {
        let answer = DecodeFacts { generated: Some(19), events: 18, ..NOTHING };
        let micros = |micros| Some(Duration::from_micros(micros));
        for (observed, events_at_once, known) in [
            (ms(0), 18, false),
            (micros(432), 1, false),
            (micros(432), 9, false),
            (micros(999), 1, false),
            (ms(1), 1, true),
            (ms(40), 9, true),
            (ms(40), 10, false),
            (ms(40), 17, false),
        ] {
            let decode = DecodeFacts { observed, events_at_once, ..answer };
            assert_eq!(decode.time_per_output_token().is_some(), known, "{observed:?} after {events_at_once} at once");
            assert_eq!(decode.tokens_per_second().is_some(), known, "{observed:?} after {events_at_once} at once");
        }
        let reported = DecodeFacts { reported: micros(432), observed: ms(0), events_at_once: 18, ..answer };
        assert_eq!(reported.time_per_output_token(), micros(24), "what the backend states is believed");
    }
}
