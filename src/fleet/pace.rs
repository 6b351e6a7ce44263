//! Whether a backend generates much more slowly than it did: a card that is too hot, a model that no longer fits, a
//! neighbour that took the machine. Such a backend answers, and well, so nothing else notices. Pure.
//!
//! The measure is the time per output token, by model, against the best that the backend has shown lately for that model.
//! It does not depend on the length of prompts, on caches or on loads, as the time to the first token does. What is
//! generated at the same time shares the machine; so a pace counts as slow only if it is, even where each of a few
//! exchanges at once made the others as much slower.
//!
//! A backend is slow after [`IN_A_ROW`] answers in a row beyond [`SLOW`] times what is usual, and until its mean is below
//! [`RECOVERED`] times, or it has generated nothing for some minutes. What stays slow for some hundred answers is what is
//! usual.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Times the usual pace beyond which a backend is slow.
const SLOW: f64 = 4.0;
/// Times the usual pace below which it is not any more.
const RECOVERED: f64 = 2.0;
/// Answers in a row that make it slow.
const IN_A_ROW: u32 = 5;
/// The weight of one more answer in the mean.
const SHARE: f64 = 0.3;
/// Exchanges at once that may each make the others slower.
const MAX_AT_ONCE: u64 = 4;
/// The weight of a faster answer in what is usual.
const FASTER: f64 = 0.3;
/// How much slower each answer that is not faster makes what is usual: twice within 350 answers.
const DRIFT: f64 = 1.002;
/// The time in which a mean halves, as its logarithm, where nothing is generated.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// The most that one answer counts, and the mean says.
const MAX: f64 = 64.0;
/// Models of which the pace is known.
const MAX_MODELS: usize = 64;

/// The pace of one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// By model the usual time per output token, in seconds, the latest used at the end.
    usual: Vec<(Arc<str>, f64)>,
    /// The logarithm of how many times slower than usual it is, in the mean, and since when.
    lag: Option<(f64, Instant)>,
    /// Answers in a row that were slow.
    in_a_row: u32,
    is_slow: bool,
}

/// How slow a backend is, for those who choose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slowness {
    /// The logarithm of how many times slower than usual; zero where it is not slow.
    lag: f64,
    at: Instant,
}

impl Pace {
    /// A generation ended: its time per output token, beside so many exchanges in all.
    pub(super) fn observe(&mut self, model: &Arc<str>, per_token: Duration, at_once: u64, now: Instant) {
        let pace = per_token.as_secs_f64();
        if pace <= 0.0 {
            return;
        }
        let Some(usual) = self.usual(model, pace) else { return };
        let shared = at_once.clamp(1, MAX_AT_ONCE) as f64;
        let times = (pace / (usual * shared)).clamp(1.0, MAX);
        let mean = self.lag.map_or(0.0, |(lag, at)| decayed(lag, at, now));
        let mean = mean + (times.ln() - mean) * SHARE;
        self.lag = Some((mean, now));
        self.in_a_row = if times > SLOW { self.in_a_row + 1 } else { 0 };
        self.is_slow = match self.is_slow {
            false => self.in_a_row >= IN_A_ROW,
            true => mean >= RECOVERED.ln(),
        };
    }

    /// The usual pace before this one, which it then changes; `None` for the first.
    fn usual(&mut self, model: &Arc<str>, pace: f64) -> Option<f64> {
        let known = self.usual.iter().position(|(name, _)| name == model).map(|at| self.usual.remove(at).1);
        let next = match known {
            None => pace,
            Some(usual) if pace < usual => usual + (pace - usual) * FASTER,
            Some(usual) => (usual * DRIFT).min(pace),
        };
        if self.usual.len() >= MAX_MODELS {
            self.usual.remove(0);
        }
        self.usual.push((model.clone(), next));
        known
    }

    pub(super) fn slowness(&self, anchor: Instant) -> Slowness {
        let (lag, at) = self.lag.filter(|_| self.is_slow).unwrap_or((0.0, anchor));
        Slowness { lag, at }
    }
}

impl Slowness {
    /// How many times slower than usual it is; 1 where it is not slow.
    pub(super) fn times(self, now: Instant) -> f64 {
        // Time only makes it less: most backends are not slow, and each choice asks each of them.
        if self.lag < RECOVERED.ln() {
            return 1.0;
        }
        let lag = decayed(self.lag, self.at, now);
        if lag < RECOVERED.ln() { 1.0 } else { lag.exp() }
    }

    /// As words, with instants as the time since `anchor` in microseconds.
    pub(super) fn to_words(self, anchor: Instant) -> [u64; 2] {
        let micros = self.at.saturating_duration_since(anchor).as_micros();
        [self.lag.to_bits(), u64::try_from(micros).unwrap_or(u64::MAX)]
    }

    /// The slowness of these words.
    pub(super) fn from_words([lag, at]: [u64; 2], anchor: Instant) -> Self {
        Self { lag: f64::from_bits(lag), at: anchor + Duration::from_micros(at) }
    }
}

fn decayed(lag: f64, at: Instant, now: Instant) -> f64 {
    lag * (-now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend in virtual time that generates one answer a second.
    struct Node {
        pace: Pace,
        start: Instant,
        now: Instant,
    }

    impl Node {
        fn new() -> Self {
            let start = Instant::now();
            Self { pace: Pace::default(), start, now: start }
        }

        /// So many answers of this pace beside others. Returns after how many it was slow.
        fn answers(&mut self, model: &str, millis: u64, at_once: u64, count: usize) -> Option<usize> {
            let mut slow = None;
            for at in 1..=count {
                self.now += Duration::from_secs(1);
                self.pace.observe(&model.into(), Duration::from_millis(millis), at_once, self.now);
                slow = slow.or((self.times() > 1.0).then_some(at));
            }
            slow
        }

        fn times(&self) -> f64 {
            let words = self.pace.slowness(self.start).to_words(self.start);
            Slowness::from_words(words, self.start).times(self.now)
        }
    }

    #[test]
    fn five_answers_in_a_row_beyond_four_times_the_usual_pace_make_a_backend_slow() {
        let mut node = Node::new();
        assert_eq!(node.answers("m", 20, 1, 20), None);
        assert_eq!(node.answers("m", 79, 1, 20), None, "below four times");
        let mut node = Node::new();
        node.answers("m", 20, 1, 20);
        for _ in 0..10 {
            assert_eq!(node.answers("m", 200, 1, 4), None, "four in a row");
            assert_eq!(node.answers("m", 20, 1, 1), None);
        }
        assert_eq!(node.answers("m", 200, 1, 10), Some(5));
        assert!((5.0..10.1).contains(&node.times()), "{}", node.times());
    }

    #[test]
    fn it_is_slow_until_its_mean_is_below_twice_the_usual_pace() {
        let mut node = Node::new();
        node.answers("m", 20, 1, 20);
        node.answers("m", 200, 1, 20);
        assert!(node.times() > 8.0);
        let mut left = 0;
        while node.times() > 1.0 {
            node.answers("m", 20, 1, 1);
            left += 1;
        }
        assert!((3..=6).contains(&left), "{left}: not the first good answer, nor many");
        assert_eq!(node.answers("m", 70, 1, 30), None, "and not again at 3.5 times");
    }

    #[test]
    fn exchanges_at_once_may_make_each_other_slower() {
        let mut node = Node::new();
        node.answers("m", 20, 1, 20);
        assert_eq!(node.answers("m", 80, 4, 20), None);
        assert_eq!(node.answers("m", 300, 8, 20), None, "a server whose batch is as slow as its number, and slower");
        assert_eq!(node.answers("m", 400, 4, 20), Some(5));
    }

    #[test]
    fn each_model_has_a_pace_of_its_own() {
        let mut node = Node::new();
        for _ in 0..20 {
            assert_eq!((node.answers("small", 5, 1, 1), node.answers("large", 500, 1, 1)), (None, None));
        }
        assert_eq!(node.answers("large", 4_000, 1, 10), Some(5));
        for number in 0..1_000 {
            node.answers(&number.to_string(), 5, 1, 1);
        }
        assert_eq!(node.pace.usual.len(), MAX_MODELS, "memory is bounded");
    }

    #[test]
    fn one_that_gets_nothing_is_tried_again_and_one_that_stays_slow_becomes_usual() {
        let mut node = Node::new();
        node.answers("m", 20, 1, 20);
        node.answers("m", 200, 1, 20);
        let slow = node.now;
        node.now += Duration::from_secs(60);
        assert!(node.times() > 2.0 && node.times() < 4.0, "half of it, as a logarithm: {}", node.times());
        node.now = slow + Duration::from_secs(150);
        assert_eq!(node.times(), 1.0);
        let mut node = Node::new();
        node.answers("m", 20, 1, 20);
        node.answers("m", 200, 1, 1_000);
        assert_eq!(node.times(), 1.0, "after some hundred answers");
    }
}
