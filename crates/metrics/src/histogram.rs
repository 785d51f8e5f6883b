//! A histogram of scores: the bounded memory behind [`PixelScores::bounded`](crate::PixelScores::bounded), for test sets
//! too large to keep every score. What the bins cost in accuracy is reported as an [`ErrorBound`](crate::ErrorBound).

use crate::error::MetricError;
use crate::key::key;
use crate::sweep::{Group, share, with_anomalous};

const MAX_BINS: usize = 1 << 24;
const MAX_BITS: u32 = 24;

/// How scores are put into bins. A bin takes 32 bytes, whatever the number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bins {
    /// This many bins of equal width over `[0, 1]`: for probabilities. At least 2, at most 2^24.
    /// 65,536 bins (2 MiB) are a good choice.
    Unit(usize),
    /// The leading bits of the floating-point number: sign, exponent, and the rest of the mantissa. For
    /// scores of any range, with a constant *relative* resolution of `2^(9 - bits)`. At least 10, at most 24
    /// bits; 18 (8 MiB) are a good choice.
    FloatBits(u32),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bin {
    normal: u64,
    anomalous: u64,
    share: u128,
}

/// Counts of truths by score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Histogram {
    rule: Bins,
    bins: Vec<Bin>,
}

impl Histogram {
    pub(crate) fn new(rule: Bins) -> Result<Self, MetricError> {
        let len = match rule {
            Bins::Unit(len) if (2..=MAX_BINS).contains(&len) => len,
            Bins::Unit(_) => return Err(MetricError::Resolution("the number of bins must be 2 to 2^24")),
            Bins::FloatBits(bits) if (10..=MAX_BITS).contains(&bits) => 1 << bits,
            Bins::FloatBits(_) => return Err(MetricError::Resolution("the kept bits must be 10 to 24")),
        };
        Ok(Self {
            rule,
            bins: vec![Bin::default(); len],
        })
    }

    /// The error for the first score that has no bin, or nothing. NaN is checked before.
    pub(crate) fn check(&self, scores: &[f32]) -> Result<(), MetricError> {
        if let Bins::Unit(_) = self.rule
            && let Some(index) = scores.iter().position(|score| !(0.0..=1.0).contains(score))
        {
            return Err(MetricError::OutOfRange {
                index,
                value: scores[index],
            });
        }
        Ok(())
    }

    /// Counts a score; `component_size` is that of its pixel, 0 for a normal one.
    pub(crate) fn add(&mut self, score: f32, component_size: u32) {
        let index = match self.rule {
            // In f64, because in f32 the product of 2^24 bins is no longer exact.
            Bins::Unit(len) => ((f64::from(score) * len as f64) as usize).min(len - 1),
            Bins::FloatBits(bits) => (key(score) >> (32 - bits)) as usize,
        };
        let bin = &mut self.bins[index];
        if component_size == 0 {
            bin.normal += 1;
        } else {
            bin.anomalous += 1;
            bin.share += share(component_size);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.rule != other.rule {
            return Err(MetricError::Incompatible);
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.normal += more.normal;
            bin.anomalous += more.anomalous;
            bin.share += more.share;
        }
        Ok(())
    }

    /// Numbers of anomalous and of normal truths.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.bins.iter().fold((0, 0), |(anomalous, normal), bin| {
            (anomalous + bin.anomalous, normal + bin.normal)
        })
    }

    /// The bins from the highest score down, those without anomalous truths folded into the next.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Group> {
        with_anomalous(self.bins.iter().rev().map(|bin| Group {
            normal_above: 0,
            normal: bin.normal,
            anomalous: bin.anomalous,
            share: bin.share,
        }))
    }
}
