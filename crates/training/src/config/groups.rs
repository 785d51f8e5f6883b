//! The groups of settings, each a table of the settings file.
//!
//! Every choice that the paper leaves open is a setting here, with the default of the reproduction and the word
//! *proposal*; the others carry their source.

use std::fmt;
use std::str::FromStr;

use flawforge_augment::LabelKind;
use serde::{Deserialize, Serialize};

/// Widths of the two networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// Channels of the first block of the reconstructive network (DRAEM's code: 128).
    pub reconstructive_width: usize,
    /// Channels of the first block of the discriminative network (DRAEM's code: 64).
    pub discriminative_width: usize,
}

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
    /// Images a step under joint training; under split training see [`Split`].
    pub size: usize,
    /// How the images are drawn.
    pub draw: Draw,
}

/// Length of a training: `"800 steps"` or `"700 epochs"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Length {
    /// A number of optimiser steps.
    Steps(u64),
    /// A number of epochs of `ceil(images / batch)` steps (DRAEM's code: 700).
    Epochs(u64),
}

impl Length {
    /// The number of steps for `images` training images and batches of `batch`; under split training too this
    /// counts all images of both halves (proposal: as many steps as DRAEM would take).
    pub fn steps(self, images: usize, batch: usize) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => epochs * images.div_ceil(batch.max(1)) as u64,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(count) => write!(f, "{count} steps"),
            Self::Epochs(count) => write!(f, "{count} epochs"),
        }
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not a length such as \"800 steps\" or \"700 epochs\"");
        let (count, unit) = text.trim().split_once(' ').ok_or_else(fault)?;
        let count: u64 = count.parse().map_err(|_| fault())?;
        match unit.trim() {
            "steps" | "step" => Ok(Self::Steps(count)),
            "epochs" | "epoch" => Ok(Self::Epochs(count)),
            _ => Err(fault()),
        }
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decay {
    /// By a factor at each milestone (DRAEM's code).
    Milestones,
    /// Along half a cosine, to nearly nothing at the last step (NSA's code; for short budgets a proposal).
    Cosine,
}

/// Length and learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate (DRAEM's code: 1e-4).
    pub learning_rate: f64,
    /// Share of the length in which the rate rises linearly to `learning_rate` (DRAEM's code: 0).
    pub warm_up: f64,
    /// How the rate falls after that.
    pub decay: Decay,
    /// Fractions of the length at which the rate is multiplied by `decay_factor` (DRAEM's code: 0.8 and 0.9).
    pub decay_milestones: Vec<f64>,
    /// Factor at a milestone (DRAEM's code: 0.2).
    pub decay_factor: f64,
    /// Rate at the end of the cosine (NSA's code: 1e-6).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub floor: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Schedule {
    /// The learning rate of `step` (counted from 0) in a training of `total` steps.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let warm_up = self.warm_up * total as f64;
        let step_middle = step as f64 + 0.5;
        if step_middle < warm_up {
            return self.learning_rate * step_middle / warm_up;
        }
        match self.decay {
            Decay::Milestones => self.learning_rate * self.decay_factor.powi(self.passed(step, total)),
            Decay::Cosine => {
                let done = (step_middle - warm_up) / (total as f64 - warm_up);
                let share = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                self.floor + (self.learning_rate - self.floor) * share
            }
        }
    }

    /// Milestones that lie behind `step`.
    fn passed(&self, step: u64, total: u64) -> i32 {
        let passed = self
            .decay_milestones
            .iter()
            // The small addition keeps 0.9 * 10 from becoming 8.999 and the decay from coming one step early.
            .filter(|&&milestone| step >= (milestone * total as f64 + 1e-6).floor() as u64)
            .count();
        passed as i32
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

/// Dynamic range of the images in the SSIM loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SsimRange {
    /// Always 1, the range of the images (proposal).
    Unit,
    /// Guessed from the reconstruction's extremes, as DRAEM's code does; early in training it can be 2.
    FromPrediction,
}

/// Weights and constants of the losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Weight of the SSIM loss (DRAEM's code: 1; its paper has a weight without a value).
    pub ssim_weight: f64,
    /// Weight of the mean squared error (1).
    pub l2_weight: f64,
    /// Weight of the focal loss (1); DRAEM's α, 1 for both classes, is the same thing.
    pub focal_weight: f64,
    /// Dynamic range in the SSIM loss.
    pub ssim_range: SsimRange,
    /// Focal exponent (DRAEM's code: 2).
    pub focal_gamma: f64,
    /// Smoothing of the focal target (DRAEM's code: 1e-5).
    pub focal_smooth: f64,
}

/// Which anomalies are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Simulator {
    /// Transparent anomalies only, for every category (DRAEM).
    Draem,
    /// The kinds that the category's selection enables (Lin & Yan, fig. 1).
    Selected,
}

/// How anomalies are simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Which anomalies.
    pub simulator: Simulator,
    /// Probability that a sample stays clean (DRAEM's code: 0.5).
    pub clean_probability: f64,
}

/// When normal images are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RotateWhen {
    /// In every category (DRAEM's code).
    Always,
    /// Where the category's selection allows it (Lin & Yan).
    Selected,
    /// Nowhere (column D.NoRot of table 4).
    Never,
}

/// What fills the corners of a rotated image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RotationFill {
    /// Black (DRAEM's code).
    Black,
    /// The nearest border pixel (proposal).
    Edge,
    /// The mirrored image (proposal).
    Reflect,
    /// What the category's selection says.
    Selected,
}

/// Rotation of normal images, before any anomaly is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// In which categories.
    pub when: RotateWhen,
    /// Probability of a rotation where it is allowed (DRAEM's code: 0.3).
    pub probability: f64,
    /// Largest angle to either side in degrees (DRAEM's code: 90; its paper: 45).
    pub max_degrees: f64,
    /// Filling of the corners.
    pub fill: RotationFill,
}

/// Mode of the reconstructive network's batch norms while it reconstructs half Y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NormMode {
    /// Running statistics, as at test time; Y leaves no trace in the network (proposal).
    Eval,
    /// Batch statistics, and Y enters the running ones.
    Train,
}

/// Split training (Lin & Yan, "split training strategy"; docs/method.md, section 11): the files are divided by parity of their
/// sorted position into X (1st, 3rd, …) and Y (2nd, 4th, …). X trains the reconstructive network with SSIM and L2; Y
/// passes through it and trains the discriminative network with the focal loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Whether training is split; without it both networks train on the same batch (DRAEM).
    pub enabled: bool,
    /// Whether the focal gradient is stopped before the reconstructive network (proposal: yes).
    pub detach_focal: bool,
    /// Mode of the reconstructive network's batch norms on Y (proposal: `eval`).
    pub reconstruction_bn_on_y: NormMode,
    /// Images of X a step (proposal: the batch size of joint training).
    pub batch_x: usize,
    /// Images of Y a step (proposal: the batch size of joint training).
    pub batch_y: usize,
}

/// NSA (Schlüter et al.); its constants per category are in `nsa.toml` of `flawforge-augment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nsa {
    /// Channels of the network's first convolution (NSA's code: 64).
    pub width: usize,
    /// Kind of the labels: `logistic` (NSA's main variant) and `binary` are learnt with the binary cross-entropy,
    /// `continuous` (differences as shares of 255) with the mean squared error.
    pub label: LabelKind,
    /// Largest angle by which unaligned objects are turned to either side, in degrees (NSA's code: 5).
    pub max_degrees: f64,
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
    /// Rule for the ground truth of the main figures.
    pub ground_truth: GroundTruth,
    /// Largest false positive rate of the AUPRO integral (0.3).
    pub aupro_limit: f64,
    /// Images that are passed through the networks at once; no influence on the figures.
    pub batch: usize,
}

/// The threshold of a verdict: from held-out normal images and simulated anomalies, never from test images (proposal).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Share of the training images that is held out of training, 0 to 0.5. With 0 (the default: the paper trains on
    /// all) the threshold is found on training images with fresh simulated anomalies, and says so.
    pub held_out: f64,
    /// Normal images used, at most; each also once with a simulated anomaly. 0: no threshold.
    pub images: usize,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_falls_at_the_milestones() {
        let schedule = Schedule {
            length: Length::Steps(10),
            learning_rate: 1.0,
            warm_up: 0.0,
            decay: Decay::Milestones,
            decay_milestones: vec![0.8, 0.9],
            decay_factor: 0.2,
            floor: 0.0,
        };
        let rates: Vec<f64> = (0..10).map(|step| schedule.rate(step, 10)).collect();
        assert_eq!(rates[..8], [1.0; 8]);
        assert!((rates[8] - 0.2).abs() < 1e-12 && (rates[9] - 0.04).abs() < 1e-12);
    }

    #[test]
    fn rate_rises_and_falls_along_a_cosine() {
        let schedule = Schedule {
            length: Length::Steps(100),
            learning_rate: 2.0,
            warm_up: 0.1,
            decay: Decay::Cosine,
            decay_milestones: Vec::new(),
            decay_factor: 1.0,
            floor: 0.0,
        };
        let rate = |step| schedule.rate(step, 100);
        assert!((rate(0) - 0.1).abs() < 1e-12 && (rate(4) - 0.9).abs() < 1e-12);
        assert!((10..99).all(|step| rate(step) > rate(step + 1)));
        // Symmetric about the middle of the fall, between steps 54 and 55.
        assert!((rate(54) + rate(55) - 2.0).abs() < 1e-12);
        assert!(rate(99) > 0.0 && rate(99) < 1e-3);
    }

    #[test]
    fn lengths_parse_and_count() {
        assert_eq!("800 steps".parse(), Ok(Length::Steps(800)));
        assert_eq!("700 epochs".parse(), Ok(Length::Epochs(700)));
        assert!("700".parse::<Length>().is_err());
        assert!("many steps".parse::<Length>().is_err());
        assert_eq!(Length::Epochs(700).steps(60, 8), 5_600); // toothbrush, docs/method.md, section 1.3
    }
}
