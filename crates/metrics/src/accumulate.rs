//! Accumulators: scores come an image at a time, halves can be merged, metrics come at the end.

use crate::bootstrap::Bootstrap;
use crate::components::components;
use crate::error::{MetricError, no_nan, same_size};
use crate::histogram::{Bins, Histogram};
use crate::image_intervals::{ImageIntervals, Ranked};
use crate::key::key;
use crate::radix;
use crate::ranking::Groups;
use crate::sweep::{Outcome, Totals, share, sweep};
use crate::threshold::{BestF1, best_f1};
use crate::truth::Truth;

/// Image scores with their truths, collected one by one.
#[derive(Debug, Clone, Default)]
pub struct ImageScores {
    scores: Vec<f32>,
    labels: Vec<bool>,
}

/// What image scores are worth. Fractions in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ImageMetrics {
    /// Area under the receiver operating characteristic, see [`auroc`](crate::auroc).
    pub auroc: f64,
    /// Average precision, see [`average_precision`](crate::average_precision).
    pub average_precision: f64,
    /// The best F1 that any threshold reaches on these very images.
    pub best_f1: BestF1,
    /// Number of anomalous images.
    pub anomalous: u64,
    /// Number of normal images.
    pub normal: u64,
}

impl ImageScores {
    /// An accumulator without scores.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the score of one image.
    ///
    /// # Errors
    /// [`MetricError::NotANumber`]; nothing is added then.
    pub fn push(&mut self, score: f32, anomalous: bool) -> Result<(), MetricError> {
        if score.is_nan() {
            return Err(MetricError::NotANumber {
                index: self.scores.len(),
            });
        }
        self.scores.push(score);
        self.labels.push(anomalous);
        Ok(())
    }

    /// Adds the scores of another accumulator. The metrics do not depend on the order.
    pub fn merge(&mut self, other: Self) {
        self.scores.extend(other.scores);
        self.labels.extend(other.labels);
    }

    /// The metrics of all scores so far.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] unless there are both normal and anomalous images.
    pub fn finish(&self) -> Result<ImageMetrics, MetricError> {
        let anomalous = self.labels.iter().filter(|label| **label).count() as u64;
        Ok(ImageMetrics {
            auroc: crate::auroc(&self.scores, &self.labels)?,
            average_precision: crate::average_precision(&self.scores, &self.labels)?,
            best_f1: best_f1(&self.scores, &self.labels)?,
            anomalous,
            normal: self.labels.len() as u64 - anomalous,
        })
    }

    /// How far the metrics could have come out otherwise with other images of these two sorts.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn intervals(&self, bootstrap: &Bootstrap) -> Result<ImageIntervals, MetricError> {
        Ranked::new(&self.scores, &self.labels).intervals(bootstrap)
    }
}

/// Pixel scores with their truths, collected an anomaly map at a time and pooled over all images.
#[derive(Debug, Clone)]
pub struct PixelScores {
    store: Store,
    components: u64,
}

#[derive(Debug, Clone)]
enum Store {
    Exact {
        /// Keys of normal pixels.
        normal: Vec<u32>,
        /// Key in the upper half, size of the pixel's component in the lower: all regions weigh the same in
        /// AUPRO, so that which region it is need not be kept.
        anomalous: Vec<u64>,
    },
    Bounded(Histogram),
}

/// What anomaly maps are worth. Fractions in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PixelMetrics {
    /// Area under the receiver operating characteristic, see [`auroc`](crate::auroc).
    pub auroc: f64,
    /// Average precision, see [`average_precision`](crate::average_precision).
    pub average_precision: f64,
    /// Area under the per-region overlap, see [`aupro`](crate::aupro).
    pub aupro: f64,
    /// How far the exact metrics can be from those above: zero in exact mode.
    pub error: ErrorBound,
    /// Number of anomalous pixels.
    pub anomalous: u64,
    /// Number of normal pixels.
    pub normal: u64,
    /// Number of connected components of anomalous pixels.
    pub components: u64,
}

/// Largest differences between the metrics of a histogram and those of the exact scores. Rounding of
/// floating-point sums (below 1e-9) is not included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ErrorBound {
    /// Of AUROC: half the fraction of (anomalous, normal) pairs that share a bin.
    pub auroc: f64,
    /// Of AP: between all normal pixels of a bin ranked first and all anomalous ones ranked first.
    pub average_precision: f64,
    /// Of AUPRO: the area between the straight line through a bin and the steepest curve through it.
    pub aupro: f64,
}

impl PixelScores {
    /// Keeps every score: 4 bytes a normal pixel, 8 bytes an anomalous one.
    pub fn exact() -> Self {
        Self {
            store: Store::Exact {
                normal: Vec::new(),
                anomalous: Vec::new(),
            },
            components: 0,
        }
    }

    /// Keeps a histogram instead of the scores: for test sets whose scores do not fit in memory. [`exact`](Self::exact)
    /// takes 4 bytes a pixel, 2.6 GB for 10,000 maps of 256×256; 65,536 [bins](Bins::Unit) take 2 MiB for any number.
    ///
    /// Scores in one bin count as tied, which changes the metrics by at most the [`ErrorBound`] that is reported with them
    /// ([`PixelMetrics::error`]). For AUROC it is half the fraction of (anomalous, normal) pairs that share a bin: with
    /// `n` bins and evenly spread scores about `1 / 2n`, more where scores crowd. It is a bound for the scores at hand, not
    /// an estimate.
    ///
    /// # Errors
    /// [`MetricError::Resolution`] when `bins` is out of its range.
    pub fn bounded(bins: Bins) -> Result<Self, MetricError> {
        Ok(Self {
            store: Store::Bounded(Histogram::new(bins)?),
            components: 0,
        })
    }

    /// Adds an anomaly map with its ground-truth mask, both row-major.
    ///
    /// # Errors
    /// [`MetricError::Dimensions`], [`MetricError::NotANumber`], and [`MetricError::OutOfRange`] with
    /// [`Bins::Unit`]; nothing is added then.
    pub fn push<T: Truth>(
        &mut self,
        scores: &[f32],
        mask: &[T],
        width: usize,
        height: usize,
    ) -> Result<(), MetricError> {
        same_size(scores.len(), mask.len(), width, height)?;
        no_nan(scores)?;
        if let Store::Bounded(histogram) = &self.store {
            histogram.check(scores)?;
        }
        // Most maps of a test set are of normal images, and most pixels of the others are normal.
        let found = mask
            .iter()
            .any(|truth| truth.is_anomalous())
            .then(|| components(mask, width));
        self.components += found.as_ref().map_or(0, |found| found.count);
        let sizes = found.map(|found| found.sizes);
        let counted = || {
            scores
                .iter()
                .zip(mask)
                .map(|(score, truth)| (score, truth.counts()))
        };
        match (&mut self.store, sizes) {
            (Store::Exact { normal, .. }, None) => {
                normal.extend(counted().filter(|one| one.1).map(|(score, _)| key(*score)));
            }
            (Store::Exact { normal, anomalous }, Some(sizes)) => {
                for ((score, counts), size) in counted().zip(sizes) {
                    if !counts {
                        continue;
                    }
                    if size == 0 {
                        normal.push(key(*score));
                    } else {
                        anomalous.push((u64::from(key(*score)) << 32) | u64::from(size));
                    }
                }
            }
            (Store::Bounded(histogram), sizes) => {
                for (at, (score, _)) in counted().enumerate().filter(|(_, one)| one.1) {
                    histogram.add(*score, sizes.as_ref().map_or(0, |sizes| sizes[at]));
                }
            }
        }
        Ok(())
    }

    /// Adds the pixels of another accumulator. The metrics do not depend on the order, to the last bit.
    ///
    /// # Errors
    /// [`MetricError::Incompatible`] when the two differ in mode or in bins; nothing is added then.
    pub fn merge(&mut self, other: Self) -> Result<(), MetricError> {
        match (&mut self.store, other.store) {
            (
                Store::Exact { normal, anomalous },
                Store::Exact {
                    normal: n,
                    anomalous: a,
                },
            ) => {
                normal.extend(n);
                anomalous.extend(a);
            }
            (Store::Bounded(histogram), Store::Bounded(more)) => histogram.merge(&more)?,
            _ => return Err(MetricError::Incompatible),
        }
        self.components += other.components;
        Ok(())
    }

    /// The metrics of all pixels so far, with AUPRO up to the false positive rate `limit`
    /// (usually [`AUPRO_LIMIT`](crate::AUPRO_LIMIT)).
    ///
    /// # Errors
    /// [`MetricError::Limit`] unless `0 < limit <= 1`, [`MetricError::OneClass`] unless there are both normal
    /// and anomalous pixels.
    pub fn finish(self, limit: f64) -> Result<PixelMetrics, MetricError> {
        if !(limit > 0.0 && limit <= 1.0) {
            return Err(MetricError::Limit(limit));
        }
        let components = self.components;
        let (totals, outcome) = match self.store {
            Store::Exact {
                mut normal,
                mut anomalous,
            } => {
                let totals = Totals {
                    anomalous: anomalous.len() as u64,
                    normal: normal.len() as u64,
                    components,
                };
                radix::sort(&mut normal);
                radix::sort(&mut anomalous);
                let groups = Groups::new(&anomalous, &normal, |item: u64| share(item as u32));
                (totals, sweep(groups, totals, limit, false)?)
            }
            Store::Bounded(histogram) => {
                let (anomalous, normal) = histogram.counts();
                let totals = Totals {
                    anomalous,
                    normal,
                    components,
                };
                (totals, sweep(histogram.groups(), totals, limit, true)?)
            }
        };
        Ok(PixelMetrics::new(outcome, totals))
    }
}

impl PixelMetrics {
    fn new(outcome: Outcome, totals: Totals) -> Self {
        Self {
            auroc: outcome.auroc,
            average_precision: outcome.average_precision,
            aupro: outcome.aupro,
            error: ErrorBound {
                auroc: outcome.auroc_error,
                average_precision: outcome.average_precision_error,
                aupro: outcome.aupro_error,
            },
            anomalous: totals.anomalous,
            normal: totals.normal,
            components: totals.components,
        }
    }
}
