//! Intervals of the metrics of pixels by drawing images again, and the curves behind these metrics.
//!
//! Each image is kept as counts of its pixels by bins of their scores, so that a draw is a weighted sum of counts, whatever the
//! number of pixels. What the bins cost in accuracy is reported as an [`ErrorBound`].

use crate::accumulate::ErrorBound;
use crate::binomial::Interval;
use crate::bootstrap::Bootstrap;
use crate::error::{MetricError, both_classes, no_nan, same_size};
use crate::pixel_bins::{DIGITS, ImageBins};
use crate::sweep::{Group, Outcome, SHARE_UNIT, Totals, sweep, with_anomalous};
use crate::truth::Truth;

/// Entries that are held at most, of all images together: 4 MiB (proposal).
const MOST: usize = 1 << 19;
/// Bins that a draw is counted in at most: 1.5 MiB, which stays in a processor's cache (proposal).
const BINS: usize = 1 << 15;

/// The pixels of test images, image by image, in bounded memory.
#[derive(Debug, Clone)]
pub struct PixelSamples {
    digits: u32,
    most: usize,
    entries: usize,
    images: Vec<ImageBins>,
    defective: Vec<bool>,
}

/// Intervals of [`PixelMetrics`](crate::PixelMetrics). One is `None` where the draws show no spread: these images cannot tell.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PixelIntervals {
    /// Of AUROC.
    pub auroc: Option<Interval>,
    /// Of average precision.
    pub average_precision: Option<Interval>,
    /// Of AUPRO.
    pub aupro: Option<Interval>,
    /// How far the metrics of the binned scores can be from those of the scores, with each image taken once.
    pub error: ErrorBound,
}

/// A point of the curves of pixels: what there is at or above one threshold. Fractions in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PixelPoint {
    /// Normal pixels at or above it, of all normal ones.
    pub false_positive_rate: f64,
    /// Anomalous pixels at or above it, of all anomalous ones.
    pub recall: f64,
    /// Anomalous pixels, of all at or above it.
    pub precision: f64,
    /// Of each component the part at or above it, on average over the components.
    pub overlap: f64,
}

impl Default for PixelSamples {
    fn default() -> Self {
        Self::new()
    }
}

impl PixelSamples {
    /// Without images.
    pub fn new() -> Self {
        Self::holding(MOST)
    }

    fn holding(most: usize) -> Self {
        Self {
            digits: DIGITS,
            most,
            entries: 0,
            images: Vec::new(),
            defective: Vec::new(),
        }
    }

    /// Adds an anomaly map with its ground-truth mask, both row-major. `defective` is the sort among which the image is drawn.
    ///
    /// # Errors
    /// [`MetricError::Dimensions`], [`MetricError::NotANumber`]; nothing is added then.
    pub fn push<T: Truth>(
        &mut self,
        scores: &[f32],
        mask: &[T],
        width: usize,
        height: usize,
        defective: bool,
    ) -> Result<(), MetricError> {
        same_size(scores.len(), mask.len(), width, height)?;
        no_nan(scores)?;
        let image = ImageBins::new(scores, mask, width, self.digits);
        self.entries += image.entries();
        self.images.push(image);
        self.defective.push(defective);
        // The same bins come of any order of the images: a digit is given up exactly when they do not fit together.
        while self.entries > self.most && self.digits > 1 {
            self.digits -= 1;
            self.images.iter_mut().for_each(ImageBins::coarsen);
            self.entries = self.images.iter().map(ImageBins::entries).sum();
        }
        Ok(())
    }

    /// How far the metrics could have come out otherwise with other images of these two sorts, with AUPRO up to the false
    /// positive rate `limit`. Draws without an anomalous pixel are passed over.
    ///
    /// # Errors
    /// As [`PixelScores::finish`](crate::PixelScores::finish).
    pub fn intervals(&self, bootstrap: &Bootstrap, limit: f64) -> Result<PixelIntervals, MetricError> {
        if !(limit > 0.0 && limit <= 1.0) {
            return Err(MetricError::Limit(limit));
        }
        let ranked = self.ranked();
        let (totals, groups) = ranked.once();
        let error = sweep(with_anomalous(groups.into_iter()), totals, limit, true)?;
        let values: Vec<Outcome> = bootstrap
            .values(&self.defective, |times| {
                let (totals, groups) = ranked.pooled(times);
                sweep(with_anomalous(groups.into_iter()), totals, limit, false).ok()
            })
            .into_iter()
            .flatten()
            .collect();
        let interval = |metric: fn(&Outcome) -> f64| bootstrap.interval(values.iter().map(metric));
        Ok(PixelIntervals {
            auroc: interval(|value| value.auroc),
            average_precision: interval(|value| value.average_precision),
            aupro: interval(|value| value.aupro),
            error: ErrorBound {
                auroc: error.auroc_error,
                average_precision: error.average_precision_error,
                aupro: error.aupro_error,
            },
        })
    }

    /// The curves over all thresholds between bins, from the highest down; of points that are closer than `step` in every
    /// direction only the first is kept, and always the last.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] unless there are both normal and anomalous pixels.
    pub fn curve(&self, step: f64) -> Result<Vec<PixelPoint>, MetricError> {
        let (totals, groups) = self.ranked().once();
        both_classes(totals.anomalous, totals.normal)?;
        let whole = SHARE_UNIT as f64 * totals.components.max(1) as f64;
        let (mut normal, mut anomalous, mut share) = (0, 0, 0);
        let mut points: Vec<PixelPoint> = Vec::new();
        let last = groups.len().saturating_sub(1);
        for (at, group) in groups.iter().enumerate() {
            normal += group.normal;
            anomalous += group.anomalous;
            share += group.share;
            let point = PixelPoint {
                false_positive_rate: normal as f64 / totals.normal as f64,
                recall: anomalous as f64 / totals.anomalous as f64,
                precision: anomalous as f64 / (anomalous + normal).max(1) as f64,
                overlap: share as f64 / whole,
            };
            if at == last || points.last().is_none_or(|kept| kept.distance(&point) >= step) {
                points.push(point);
            }
        }
        Ok(points)
    }

    /// The images with their bins numbered from the highest down, without those that no image uses.
    fn ranked(&self) -> Ranked {
        let mut images = self.images.clone();
        let mut used = used(&images);
        while used.len() > BINS {
            images.iter_mut().for_each(ImageBins::coarsen);
            used.iter_mut().for_each(|bin| *bin >>= 1);
            used.dedup();
        }
        let rank = |bin: u32| used.partition_point(|other| *other > bin) as u32;
        for image in &mut images {
            image.normal.iter_mut().for_each(|(bin, _)| *bin = rank(*bin));
            image
                .anomalous
                .iter_mut()
                .for_each(|marked| marked.bin = rank(marked.bin));
        }
        Ranked {
            images,
            bins: used.len(),
        }
    }
}

/// The bins that any image uses, descending.
fn used(images: &[ImageBins]) -> Vec<u32> {
    let normal = images.iter().flat_map(|image| &image.normal);
    let anomalous = images.iter().flat_map(|image| &image.anomalous);
    let mut used: Vec<u32> = normal
        .map(|(bin, _)| *bin)
        .chain(anomalous.map(|marked| marked.bin))
        .collect();
    used.sort_unstable_by(|a, b| b.cmp(a));
    used.dedup();
    used
}

/// Images whose bins are numbered from the highest down.
struct Ranked {
    images: Vec<ImageBins>,
    bins: usize,
}

impl Ranked {
    /// All pixels of the images, each taken so many times, from the highest bin down.
    fn pooled(&self, times: &[u32]) -> (Totals, Vec<Group>) {
        let mut totals = Totals {
            anomalous: 0,
            normal: 0,
            components: 0,
        };
        let mut groups = vec![Group::default(); self.bins];
        for (image, &times) in self.images.iter().zip(times).filter(|(_, times)| **times > 0) {
            let times = u64::from(times);
            for &(rank, count) in &image.normal {
                let count = times * u64::from(count);
                groups[rank as usize].normal += count;
                totals.normal += count;
            }
            for marked in &image.anomalous {
                let (group, count) = (&mut groups[marked.bin as usize], times * u64::from(marked.count));
                group.anomalous += count;
                group.share += u128::from(times) * marked.share;
                totals.anomalous += count;
            }
            totals.components += times * image.components;
        }
        (totals, groups)
    }

    /// Each image taken once.
    fn once(&self) -> (Totals, Vec<Group>) {
        self.pooled(&vec![1; self.images.len()])
    }
}

impl PixelPoint {
    fn distance(&self, other: &Self) -> f64 {
        [
            self.false_positive_rate - other.false_positive_rate,
            self.recall - other.recall,
            self.precision - other.precision,
            self.overlap - other.overlap,
        ]
        .into_iter()
        .fold(0.0, |most, difference| most.max(difference.abs()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::PixelScores;

    /// A part of `tests/golden/bootstrap.json`.
    #[derive(Deserialize)]
    struct Golden {
        pixels: Pixels,
    }

    /// Maps of 12x9 pixels with how often each is drawn.
    #[derive(Deserialize)]
    struct Pixels {
        maps: Vec<Vec<f32>>,
        masks: Vec<Vec<u8>>,
        times: Vec<u32>,
        auroc: f64,
        average_precision: f64,
        aupro: f64,
        intervals: [[f64; 2]; 3],
    }

    const WIDTH: usize = 12;
    const HEIGHT: usize = 9;

    fn golden() -> Pixels {
        let golden: Golden = serde_json::from_str(include_str!("../tests/golden/bootstrap.json")).unwrap();
        golden.pixels
    }

    fn filled(golden: &Pixels, most: usize) -> PixelSamples {
        let mut samples = PixelSamples::holding(most);
        for (map, mask) in golden.maps.iter().zip(&golden.masks) {
            let defective = mask.iter().any(|value| *value > 0);
            samples.push(map, mask, WIDTH, HEIGHT, defective).unwrap();
        }
        samples
    }

    #[test]
    fn weighted_metrics_are_those_of_scikit_learn_and_scipy() {
        let golden = golden();
        let ranked = filled(&golden, MOST).ranked();
        let (totals, groups) = ranked.pooled(&golden.times);
        let found = sweep(with_anomalous(groups.into_iter()), totals, 0.3, true).unwrap();
        // The scores are multiples of 1/256, each in a bin of its own.
        for (found, golden) in [
            (found.auroc, golden.auroc),
            (found.average_precision, golden.average_precision),
            (found.aupro, golden.aupro),
        ] {
            assert!((found - golden).abs() < 1e-9, "{found} {golden}");
        }
    }

    #[test]
    fn intervals_are_those_of_numpy_within_their_scatter() {
        let golden = golden();
        let bootstrap = Bootstrap {
            resamples: 10_000,
            ..Bootstrap::default()
        };
        let found = filled(&golden, MOST).intervals(&bootstrap, 0.3).unwrap();
        let found = [found.auroc, found.average_precision, found.aupro];
        for (found, golden) in found.into_iter().zip(golden.intervals) {
            let found = found.unwrap();
            assert!((found.low - golden[0]).abs() < 0.012, "{found:?} {golden:?}");
            assert!((found.high - golden[1]).abs() < 0.012, "{found:?} {golden:?}");
        }
    }

    #[test]
    fn little_memory_gives_the_same_in_any_order_within_the_bound() {
        let mut golden = golden();
        let mut exact = PixelScores::exact();
        for (map, mask) in golden.maps.iter().zip(&golden.masks) {
            exact.push(map, mask, WIDTH, HEIGHT).unwrap();
        }
        let exact = exact.finish(0.3).unwrap();
        let small = filled(&golden, 120);
        assert!(small.entries <= 120 && small.digits < DIGITS && small.digits > 1);
        let binned = |samples: &PixelSamples| {
            let (totals, groups) = samples.ranked().once();
            sweep(with_anomalous(groups.into_iter()), totals, 0.3, true).unwrap()
        };
        let found = binned(&small);
        assert!(found.auroc_error > 0.0);
        assert!((found.auroc - exact.auroc).abs() <= found.auroc_error + 1e-12);
        assert!(
            (found.average_precision - exact.average_precision).abs()
                <= found.average_precision_error + 1e-12
        );
        assert!((found.aupro - exact.aupro).abs() <= found.aupro_error + 1e-12);
        golden.maps.reverse();
        golden.masks.reverse();
        let reversed = filled(&golden, 120);
        assert_eq!((reversed.digits, reversed.entries), (small.digits, small.entries));
        assert_eq!(binned(&reversed).aupro, found.aupro);
    }

    /// As of a network that has learnt next to nothing.
    #[test]
    fn scores_that_hardly_differ_are_told_apart() {
        let mut golden = golden();
        for score in golden.maps.iter_mut().flatten() {
            *score = 0.4 + 1e-3 * *score;
        }
        let (totals, groups) = filled(&golden, MOST).ranked().pooled(&golden.times);
        let found = sweep(with_anomalous(groups.into_iter()), totals, 0.3, true).unwrap();
        assert!((found.aupro - golden.aupro).abs() < 1e-9, "{}", found.aupro);
    }

    #[test]
    fn curves_end_where_all_is_found() {
        let golden = golden();
        let samples = filled(&golden, MOST);
        let curve = samples.curve(0.0).unwrap();
        let last = curve.last().unwrap();
        assert_eq!((last.false_positive_rate, last.recall), (1.0, 1.0));
        assert!((last.overlap - 1.0).abs() < 1e-9);
        let rises = |pair: &[PixelPoint]| {
            pair[0].recall <= pair[1].recall
                && pair[0].overlap <= pair[1].overlap
                && pair[0].false_positive_rate <= pair[1].false_positive_rate
        };
        assert!(curve.windows(2).all(rises));
        // The area under the points is the metric.
        let area: f64 = curve
            .windows(2)
            .map(|pair| {
                0.5 * (pair[0].recall + pair[1].recall)
                    * (pair[1].false_positive_rate - pair[0].false_positive_rate)
            })
            .sum();
        let mut exact = PixelScores::exact();
        for (map, mask) in golden.maps.iter().zip(&golden.masks) {
            exact.push(map, mask, WIDTH, HEIGHT).unwrap();
        }
        let first = curve.first().unwrap();
        let start = 0.5 * first.recall * first.false_positive_rate;
        assert!((area + start - exact.finish(0.3).unwrap().auroc).abs() < 1e-9);
        let thin = samples.curve(0.1).unwrap();
        assert!(thin.len() < curve.len() && thin.last() == curve.last());
    }

    #[test]
    fn unusable_input_is_a_typed_error() {
        let mut samples = PixelSamples::new();
        assert!(samples.push(&[0.1], &[0u8, 1], 1, 1, true).is_err());
        assert!(samples.push(&[f32::NAN], &[0u8], 1, 1, false).is_err());
        samples.push(&[0.2, 0.4], &[0u8, 0], 2, 1, false).unwrap();
        let one = MetricError::OneClass {
            anomalous: 0,
            normal: 2,
        };
        assert_eq!(samples.intervals(&Bootstrap::default(), 0.3), Err(one.clone()));
        assert_eq!(samples.curve(0.0), Err(one));
        assert_eq!(
            samples.intervals(&Bootstrap::default(), 0.0),
            Err(MetricError::Limit(0.0))
        );
    }
}
