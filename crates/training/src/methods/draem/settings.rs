//! The settings of two-network training: DRAEM, Lin & Yan and their ablations are values of them.

use flawforge_augment::SimulationSettings;
use flawforge_models::Flips;
use flawforge_ops::{Precision, SsimRange};
use serde::{Deserialize, Serialize};

use crate::settings::ranges::{between, simulation};
use crate::settings::{Adam, Batches, Decay, Draw, Length, Schedule};
use crate::{Method, Product, Result};

/// What of two-network training depends on the budget: the table `draem` of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Width of the reconstructive network (128 in DRAEM's code).
    pub reconstructive_width: usize,
    /// Width of the discriminative network (64 in DRAEM's code).
    pub discriminative_width: usize,
    /// Images a step; under split training from each half.
    pub batch: usize,
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Share of the length in which the rate rises.
    #[serde(default)]
    pub warm_up: f64,
    /// How the rate falls; by milestones, as DRAEM's, where a profile does not say.
    #[serde(default = "milestones")]
    pub decay: Decay,
    /// Precision of the convolutions, where it is not the default.
    #[serde(default)]
    pub precision: Precision,
}

fn milestones() -> Decay {
    Decay::Milestones
}

/// Settings of two-network training.
///
/// The columns of the paper's table 4 are values of them:
///
/// | column | method | differs from DRAEM in |
/// |---|---|---|
/// | D.NoRot | `draem-no-rotation` | no `simulation.rotation` |
/// | D.Our | `draem-our-simulation` | `simulation.kinds` of the category's selection, no rotation |
/// | Our.D | `split-draem-simulation` | `split` |
/// | Ours | `lin-yan` | both kinds and rotation of the selection, and `split` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Precision of the convolutions (bfloat16 is a proposal).
    pub precision: Precision,
    /// Mirror images over which the detector averages its maps, which takes two or four passes an image; none in the papers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flips: Option<Flips>,
    /// Widths of the networks.
    pub networks: Networks,
    /// Batches.
    pub batch: Batches,
    /// Length and learning rate.
    pub schedule: Schedule,
    /// Optimizer.
    pub adam: Adam,
    /// Losses.
    pub loss: Losses,
    /// Rotation of normal images and simulated anomalies, with every constant.
    pub simulation: SimulationSettings,
    /// Split training (Lin & Yan); without it both networks train on the same batch (DRAEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// An average of the weights over the last steps, with which the detector then works; none in the papers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
}

/// Widths of the two networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// Channels of the first block of the reconstructive network (DRAEM's code: 128).
    pub reconstructive_width: usize,
    /// Channels of the first block of the discriminative network (DRAEM's code: 64).
    pub discriminative_width: usize,
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
    /// A truncated L1 loss beside the focal loss; none in the papers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_l1: Option<TruncatedL1>,
}

/// The truncated L1 loss of the discriminative network's logits, beside the focal loss as in SuperSimpleNet (method.md, 9).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruncatedL1 {
    /// Its weight (SuperSimpleNet: 1).
    pub weight: f64,
    /// Log-odds beyond which a pixel on the right side costs nothing (SuperSimpleNet: 0.5).
    pub margin: f64,
}

impl Default for TruncatedL1 {
    fn default() -> Self {
        Self {
            weight: 1.0,
            margin: 0.5,
        }
    }
}

/// An average of the weights over the last steps (method.md, 10; proposal).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Average {
    /// Share of the training, at its end, whose steps count: above 0, at most 1. Default 0.25.
    pub share: f64,
    /// What the average keeps of itself at each step once enough steps have counted: below 1. Without it all steps count alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
}

impl Average {
    /// The first step that counts in a training of `steps` steps.
    pub fn first(&self, steps: u64) -> u64 {
        // At least the last step counts. The small subtraction keeps a whole number of steps whole.
        let counted = (self.share * steps as f64 - 1e-6).ceil().max(1.0) as u64;
        steps.saturating_sub(counted)
    }

    /// Share of the newest weights when `count` steps count, these included: all of them alike, until that would be less than
    /// the decay leaves to the newest.
    pub fn newest(&self, count: u64) -> f64 {
        let alike = 1.0 / count.max(1) as f64;
        self.decay.map_or(alike, |decay| alike.max(1.0 - decay))
    }
}

impl Default for Average {
    fn default() -> Self {
        Self {
            share: 0.25,
            decay: None,
        }
    }
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

/// Split training (Lin & Yan, "split training strategy"; method.md 3.5): the files are divided by parity of their
/// sorted position into X (1st, 3rd, …) and Y (2nd, 4th, …). X trains the reconstructive network with SSIM and L2; Y
/// passes through it and trains the discriminative network with the focal loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Whether the focal gradient is stopped before the reconstructive network (proposal: yes).
    pub detach_focal: bool,
    /// Mode of the reconstructive network's batch norms on Y (proposal: `eval`).
    pub reconstruction_bn_on_y: NormMode,
    /// Images of X a step (proposal: the batch size of joint training).
    pub batch_x: usize,
    /// Images of Y a step (proposal: the batch size of joint training).
    pub batch_y: usize,
}

impl Settings {
    /// The settings of a method of this family for a product.
    pub(crate) fn new(method: Method, budget: &Budget, product: &Product) -> Self {
        // Lin & Yan change three things in DRAEM, and their table 4 parts them.
        let selected = || SimulationSettings::selected(&product.selection);
        let simulation = match method {
            Method::LinYan => selected(),
            Method::DraemOurSimulation => SimulationSettings {
                rotation: None,
                ..selected()
            },
            Method::DraemNoRotation => SimulationSettings {
                rotation: None,
                ..SimulationSettings::draem()
            },
            _ => SimulationSettings::draem(),
        };
        let split = matches!(method, Method::LinYan | Method::SplitDraemSimulation);
        Self {
            precision: budget.precision,
            flips: None,
            networks: Networks {
                reconstructive_width: budget.reconstructive_width,
                discriminative_width: budget.discriminative_width,
            },
            batch: Batches {
                size: budget.batch,
                draw: Draw::WithReplacement,
            },
            schedule: Schedule {
                length: budget.length,
                learning_rate: budget.learning_rate,
                warm_up: budget.warm_up,
                decay: budget.decay,
                ..Schedule::draem()
            },
            adam: Adam::default(),
            loss: Losses::default(),
            simulation,
            split: split.then_some(Split {
                detach_focal: true,
                reconstruction_bn_on_y: NormMode::Eval,
                batch_x: budget.batch,
                batch_y: budget.batch,
            }),
            average: None,
        }
    }

    /// Checks every setting's range.
    pub(super) fn check_ranges(&self) -> Result<()> {
        let networks = &self.networks;
        for (name, width) in [
            ("networks.reconstructive_width", networks.reconstructive_width),
            ("networks.discriminative_width", networks.discriminative_width),
        ] {
            between(name, width as f64, 1.0, LARGEST_WIDTH)?;
        }
        self.batch.check()?;
        self.schedule.check()?;
        self.adam.check()?;
        let loss = &self.loss;
        for (name, weight) in [
            ("loss.ssim_weight", loss.ssim_weight),
            ("loss.l2_weight", loss.l2_weight),
            ("loss.focal_weight", loss.focal_weight),
            ("loss.focal_gamma", loss.focal_gamma),
        ] {
            between(name, weight, 0.0, 1e6)?;
        }
        between("loss.focal_smooth", loss.focal_smooth, 1e-12, 0.1)?;
        if let Some(truncated) = &loss.truncated_l1 {
            between("loss.truncated_l1.weight", truncated.weight, 0.0, 1e6)?;
            between("loss.truncated_l1.margin", truncated.margin, 0.0, 100.0)?;
        }
        if let Some(average) = &self.average {
            between("average.share", average.share, 1e-6, 1.0)?;
            between(
                "average.decay",
                average.decay.unwrap_or_default(),
                0.0,
                1.0 - 1e-9,
            )?;
        }
        simulation(&self.simulation)?;
        if let Some(split) = &self.split {
            for (name, count) in [("split.batch_x", split.batch_x), ("split.batch_y", split.batch_y)] {
                between(name, count as f64, 1.0, 4096.0)?;
            }
        }
        Ok(())
    }
}

/// Wider networks than this are surely a slip.
const LARGEST_WIDTH: f64 = 512.0;

impl Default for Losses {
    fn default() -> Self {
        Self {
            ssim_weight: 1.0,
            l2_weight: 1.0,
            focal_weight: 1.0,
            ssim_range: SsimRange::Unit,
            focal_gamma: 2.0,
            focal_smooth: 1e-5,
            truncated_l1: None,
        }
    }
}
