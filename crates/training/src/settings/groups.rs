//! Groups of settings that several methods share, each a table of the settings file.
//!
//! Every choice that a paper leaves open is a setting, with the default of the reproduction and the word *proposal*; the
//! others carry their source.

use flawforge_metrics::AUPRO_LIMIT;
use flawforge_ops::{AdamSettings, Precision};
use serde::{Deserialize, Serialize};

use super::ranges::between;
use crate::{Result, TrainingError};

/// How the images of a step are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Draw {
    /// Each image of each batch uniformly and independently (DRAEM's code: its loader ignores the index).
    WithReplacement,
    /// A new permutation of all images each epoch (proposal).
    Shuffled,
}

/// How many images a step sees, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// Images a step under joint training; split training has sizes of its own.
    pub size: usize,
    /// How the images are drawn.
    pub draw: Draw,
}

impl Batches {
    /// Checks every setting's range.
    pub(crate) fn check(&self) -> Result<()> {
        between("batch.size", self.size as f64, 1.0, 4096.0)
    }
}

/// Adam's constants (DRAEM's code; no weight decay).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Decay of the first moment (0.9).
    pub beta1: f64,
    /// Decay of the second moment (0.999).
    pub beta2: f64,
    /// Addition to the denominator (1e-8).
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

impl Adam {
    /// The optimizer's settings at a learning rate.
    pub(crate) fn at(&self, learning_rate: f64) -> AdamSettings {
        AdamSettings {
            lr: learning_rate,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.epsilon,
        }
    }

    /// Checks every setting's range.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, beta) in [("adam.beta1", self.beta1), ("adam.beta2", self.beta2)] {
            between(name, beta, 0.0, 1.0)?;
            if beta == 1.0 {
                return Err(TrainingError::setting(name, "must be below 1"));
            }
        }
        between("adam.epsilon", self.epsilon, 1e-30, 1.0)
    }
}

/// Which ground-truth pixels count as anomalous after the masks were resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GroundTruth {
    /// Only those that are fully covered (value 255): DRAEM's code, by truncation.
    Full,
    /// Those covered by at least one half; always reported as an extra.
    Half,
}

/// How a trained detector is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// Rule for the ground truth of the main metrics.
    pub ground_truth: GroundTruth,
    /// Largest false positive rate of the AUPRO integral (0.3).
    pub aupro_limit: f64,
    /// Images that are passed through the networks at once; no influence on the metrics.
    pub batch: usize,
    /// Whether pixel metrics are computed in bounded memory, from histograms of the scores, instead of exactly. For sets
    /// with more test images than memory holds.
    pub bounded: bool,
    /// With more pixels to score than these, metrics of pixels are computed in bounded memory, and their error bounds are
    /// reported. Default 100,000,000 (proposal), 1,525 images of 256x256: about 12 bytes each are held.
    #[serde(default = "exact_pixels", skip_serializing_if = "is_exact_pixels")]
    pub exact_pixels: u64,
}

impl Evaluated {
    /// Whether so many pixels are scored in bounded memory.
    pub fn is_bounded(&self, pixels: u64) -> bool {
        self.bounded || pixels > self.exact_pixels
    }
}

fn exact_pixels() -> u64 {
    100_000_000
}

/// The default is not written, so that experiments have the digests that they had before the setting was there.
fn is_exact_pixels(pixels: &u64) -> bool {
    *pixels == exact_pixels()
}

impl Default for Evaluated {
    fn default() -> Self {
        Self {
            ground_truth: GroundTruth::Full,
            aupro_limit: AUPRO_LIMIT,
            batch: 4,
            bounded: false,
            exact_pixels: exact_pixels(),
        }
    }
}

/// Whether a precision is the default, which is not written, so that experiments have the digests that they had before the
/// setting was there.
pub(crate) fn is_default_precision(precision: &Precision) -> bool {
    *precision == Precision::default()
}

/// Intervals in steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Between lines of `metrics.jsonl`.
    pub log: u64,
    /// Between checkpoints; there is always one at the end.
    pub checkpoint: u64,
    /// Between panels; 0: none.
    pub panel: u64,
}
