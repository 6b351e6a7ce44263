//! The bounds of every histogram, in the unit of its name.
//!
//! A percentile is only as sharp as the bounds around it, so they are dense where objectives lie, and reach to where a
//! patient client still waits. Configuration can replace each layout.

/// What a histogram measures, and with it which bounds it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketLayout {
    /// Whole exchanges, in seconds: from a status request to an hour of generation.
    Duration,
    /// Time to something first, in seconds: dense below 100 ms, where a warm model answers, and up to a cold load behind
    /// a queue.
    FirstToken,
    /// Time from token to token, in seconds: 2,000 a second down to a stall.
    Token,
    /// Cold loads, in seconds: from the least that counts as one to a large model from a slow disk.
    Load,
    /// Tokens per second: a large model on a processor up to a small one on a large card.
    Rate,
    /// The proxy's own cost, in seconds: 10 µs to 50 ms.
    Overhead,
    /// Body sizes, in bytes: 256 B to 1 GiB, by 8; the last step is by 2, to end there.
    Size,
    /// Context, in tokens: 128 to 262,144, by 2.
    Context,
    /// Waiting for the rest of a request, in seconds: 100 µs to 5 s.
    Hold,
}

impl BucketLayout {
    const ALL: [Self; 9] = [
        Self::Duration,
        Self::FirstToken,
        Self::Token,
        Self::Load,
        Self::Rate,
        Self::Overhead,
        Self::Size,
        Self::Context,
        Self::Hold,
    ];

    /// The bounds where none are configured: ascending, finite and above zero.
    const fn built_in(self) -> &'static [f64] {
        match self {
            Self::Duration => &[
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0,
                1800.0, 3600.0,
            ],
            Self::FirstToken => &[
                0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
                80.0, 160.0, 300.0, 600.0,
            ],
            Self::Token => &[
                0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
                5.0,
            ],
            Self::Load => &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0],
            Self::Rate => &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0],
            Self::Overhead => &[10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05],
            Self::Size => &[
                256.0,
                2_048.0,
                16_384.0,
                131_072.0,
                1_048_576.0,
                8_388_608.0,
                67_108_864.0,
                536_870_912.0,
                1_073_741_824.0,
            ],
            Self::Context => &[
                128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0, 32_768.0, 65_536.0, 131_072.0, 262_144.0,
            ],
            Self::Hold => &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0],
        }
    }
}

/// Configured bounds, by layout; `None` leaves the built-in ones. Each list ascends and holds finite numbers above zero.
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

impl Buckets {
    const fn configured(&self, layout: BucketLayout) -> &Option<Vec<f64>> {
        match layout {
            BucketLayout::Duration => &self.duration,
            BucketLayout::FirstToken => &self.first_token,
            BucketLayout::Token => &self.token,
            BucketLayout::Load => &self.load,
            BucketLayout::Rate => &self.rate,
            BucketLayout::Overhead => &self.overhead,
            BucketLayout::Size => &self.size,
            BucketLayout::Context => &self.context,
            BucketLayout::Hold => &None,
        }
    }
}

/// The bounds in force, in the order of [`BucketLayout::ALL`].
#[derive(Debug)]
pub(super) struct EffectiveBounds([&'static [f64]; BucketLayout::ALL.len()]);

impl EffectiveBounds {
    /// Configured lists are leaked: like the built-in ones, they live as long as the process.
    pub(super) fn new(buckets: &Buckets) -> Self {
        let bounds = |layout: BucketLayout| match buckets.configured(layout) {
            Some(bounds) => &*bounds.clone().leak(),
            None => layout.built_in(),
        };
        Self(BucketLayout::ALL.map(bounds))
    }

    /// The bounds of a layout; none for a family that is no histogram.
    pub(super) fn of(&self, layout: Option<BucketLayout>) -> &'static [f64] {
        layout.map_or(&[], |layout| self.0[layout as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_bounds_ascend_and_each_layout_can_be_replaced_alone() {
        let built_in = EffectiveBounds::new(&Buckets::default());
        for (at, layout) in BucketLayout::ALL.into_iter().enumerate() {
            assert_eq!(at, layout as usize);
            assert_eq!(built_in.of(Some(layout)), layout.built_in());
            assert!(layout.built_in().is_sorted_by(|one, next| one < next));
        }
        let own = EffectiveBounds::new(&Buckets { load: Some(vec![1.0, 60.0]), ..Buckets::default() });
        assert_eq!(own.of(Some(BucketLayout::Load)), [1.0, 60.0]);
        assert_eq!(own.of(Some(BucketLayout::Token)), BucketLayout::Token.built_in());
        assert_eq!(own.of(None), [0.0; 0]);
    }
}
