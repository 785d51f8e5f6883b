//! Bootstrap: how far a metric could have come out otherwise with other test images of the same kinds.
//!
//! Images are drawn again with replacement, normal and defective ones each as many as there are (stratified), and the metric is
//! computed anew. The middle of these values, by quantiles, is the interval (the percentile bootstrap of Efron, 1979). An image
//! is drawn with all its pixels: pixels of one image resemble each other, and drawing them one by one would promise too much.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use crate::binomial::Interval;

/// How test images are drawn again. The outcome depends on these numbers alone, not on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How often a set of images is drawn.
    pub resamples: u64,
    /// Share of the values that lies in the interval, between 0 and 1.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 1,000 draws, 95 %, seed 0 (proposal).
    fn default() -> Self {
        Self {
            resamples: 1000,
            confidence: 0.95,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// The value of a statistic for each draw, in the order of the draws. It gets for every image how often the image was drawn;
    /// `defective` says to which of the two sorts each image belongs.
    pub(crate) fn values<T: Send>(
        &self,
        defective: &[bool],
        statistic: impl Fn(&[u32]) -> T + Sync,
    ) -> Vec<T> {
        let of_sort = |sort: bool| -> Vec<usize> {
            (0..defective.len())
                .filter(|&image| defective[image] == sort)
                .collect()
        };
        let sorts = [of_sort(false), of_sort(true)];
        (0..self.resamples)
            .into_par_iter()
            .map_init(
                || vec![0u32; defective.len()],
                |times, draw| {
                    let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                    random.set_stream(draw);
                    times.fill(0);
                    for sort in &sorts {
                        for _ in sort {
                            times[sort[below(&mut random, sort.len())]] += 1;
                        }
                    }
                    statistic(times)
                },
            )
            .collect()
    }

    /// The interval of a metric from its values, linear between neighbours. `None` where the draws show no spread, which is no
    /// sign of certainty: of three images that are ranked without a fault every draw is, too.
    pub(crate) fn interval(&self, values: impl Iterator<Item = f64>) -> Option<Interval> {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let outside = (1.0 - self.confidence.clamp(0.0, 1.0)) / 2.0;
        // Sums are rounded by turns, so that equal values may differ in the last bits.
        (last - first > 1e-12).then(|| Interval {
            low: quantile(&sorted, outside),
            high: quantile(&sorted, 1.0 - outside),
        })
    }
}

/// A number below `count`, evenly (to 2^-64 of `count`).
fn below(random: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(random.next_u64()) * count as u128) >> 64) as usize
}

/// The quantile of ascending values, linear between the two neighbours (numpy's default). At least one value is needed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (at, part) = (place.floor() as usize, place.fract());
    let next = sorted[(at + 1).min(sorted.len() - 1)];
    sorted[at] + part * (next - sorted[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_keep_the_sorts_and_do_not_depend_on_threads() {
        let defective = [false, true, false, true, true, false, false];
        let bootstrap = Bootstrap {
            resamples: 200,
            ..Bootstrap::default()
        };
        let draw = || bootstrap.values(&defective, <[u32]>::to_vec);
        let draws = draw();
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(draw), draws);
        for times in &draws {
            let sum = |sort| -> u32 {
                let of_sort = times.iter().zip(&defective).filter(|(_, own)| **own == sort);
                of_sort.map(|(times, _)| times).sum()
            };
            assert_eq!((sum(false), sum(true)), (4, 3));
        }
        // Each image is drawn once on average.
        for image in 0..defective.len() {
            let mean = draws.iter().map(|times| f64::from(times[image])).sum::<f64>() / 200.0;
            assert!((mean - 1.0).abs() < 0.25, "{image}: {mean}");
        }
        let other = Bootstrap { seed: 1, ..bootstrap };
        assert_ne!(other.values(&defective, <[u32]>::to_vec), draws);
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.025, 0.5, 0.9, 1])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (share, value) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&sorted, share) - value).abs() < 1e-12, "{share}");
        }
    }

    #[test]
    fn no_spread_is_no_interval() {
        let bootstrap = Bootstrap::default();
        assert_eq!(bootstrap.interval([1.0; 5].into_iter()), None);
        assert_eq!(bootstrap.interval(std::iter::empty()), None);
        assert!(bootstrap.interval([0.5, 1.0].into_iter()).is_some());
    }
}
