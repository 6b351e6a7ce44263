//! The bounds of every histogram, in the unit of its name.
//!
//! They follow what is asked of them: a percentile is only as sharp as the bounds around it, so they are dense where
//! objectives lie, and reach to where a patient client still waits. Each kind can be replaced by configuration.

/// Whole exchanges: from a status request to an hour of generation.
pub(super) const DURATION: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
    3600.0,
];

/// Time to something first: dense below 100 ms, where a warm model answers, and up to a cold load behind a queue.
pub(super) const FIRST: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 300.0, 600.0,
];

/// Time from token to token: 2,000 a second down to a stall.
pub(super) const TOKEN: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0];

/// Cold loads: from the least that counts as one to a large model from a slow disk.
pub(super) const LOAD: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Tokens per second: a large model on a processor up to a small one on a large card.
pub(super) const RATE: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];

/// The proxy's own cost: 10 µs to 50 ms.
pub(super) const OVERHEAD: &[f64] =
    &[10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05];

/// Body sizes: 256 B to 1 GiB, by 8; the last step is by 2, to end there.
pub(super) const SIZE: &[f64] =
    &[256.0, 2_048.0, 16_384.0, 131_072.0, 1_048_576.0, 8_388_608.0, 67_108_864.0, 536_870_912.0, 1_073_741_824.0];

/// Context in tokens: 128 to 262,144, by 2.
pub(super) const CONTEXT: &[f64] =
    &[128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0, 32_768.0, 65_536.0, 131_072.0, 262_144.0];

/// Not a histogram.
pub(super) const NONE: &[f64] = &[];

/// Bounds in place of those here, by kind; `None` leaves them as they are. Each list ascends and holds finite numbers
/// above zero.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Whole exchanges and decode, in seconds.
    pub duration: Option<Vec<f64>>,
    /// Time to first byte, first token and first answer token, and prefill, in seconds.
    pub first_token: Option<Vec<f64>>,
    /// Time between tokens and per token, in seconds.
    pub token: Option<Vec<f64>>,
    /// Cold loads, in seconds.
    pub load: Option<Vec<f64>>,
    /// Tokens per second.
    pub rate: Option<Vec<f64>>,
    /// The proxy's own cost, in seconds.
    pub overhead: Option<Vec<f64>>,
    /// Body sizes, in bytes.
    pub size: Option<Vec<f64>>,
    /// Context, in tokens.
    pub context: Option<Vec<f64>>,
}

/// The bounds that families get in place of those they name.
#[derive(Debug)]
pub(super) struct Effective([(&'static [f64], &'static [f64]); 8]);

impl Effective {
    /// Lists that were configured live as long as the process, as those here do.
    pub(super) fn new(buckets: &Buckets) -> Self {
        let kinds = [
            (DURATION, &buckets.duration),
            (FIRST, &buckets.first_token),
            (TOKEN, &buckets.token),
            (LOAD, &buckets.load),
            (RATE, &buckets.rate),
            (OVERHEAD, &buckets.overhead),
            (SIZE, &buckets.size),
            (CONTEXT, &buckets.context),
        ];
        Self(kinds.map(|(kind, bounds)| (kind, bounds.clone().map_or(kind, |bounds| bounds.leak()))))
    }

    /// What stands in place of a list of this file. No two kinds are alike, so a list tells its kind.
    pub(super) fn of(&self, kind: &'static [f64]) -> &'static [f64] {
        self.0.iter().find(|(built_in, _)| *built_in == kind).map_or(kind, |(_, bounds)| bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_kinds_are_alike_and_each_can_be_replaced() {
        let built_in = Effective::new(&Buckets::default());
        for (at, (kind, bounds)) in built_in.0.iter().enumerate() {
            assert_eq!(kind, bounds);
            assert!(kind.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(built_in.0[..at].iter().all(|(other, _)| other != kind));
        }
        let own = Effective::new(&Buckets { load: Some(vec![1.0, 60.0]), ..Buckets::default() });
        assert_eq!((own.of(LOAD), own.of(TOKEN), own.of(NONE)), (&[1.0, 60.0][..], TOKEN, NONE));
    }
}
