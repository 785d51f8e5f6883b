//! The settings of NSA.

use flawforge_augment::{LabelKind, Nsa, NsaSettings, Preparation};
use flawforge_models::NsaNetwork;
use serde::{Deserialize, Serialize};

use crate::settings::ranges::between;
use crate::settings::{Adam, Batches, Decay, Draw, Length, Schedule};
use crate::{Method, Product, Result, TrainingError};

/// NSA's budget: the table `nsa` of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Channels of the network's first convolution (64 in NSA's code).
    pub width: usize,
    /// Images a step.
    pub batch: usize,
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate.
    pub learning_rate: f64,
}

/// Settings of NSA (Schlüter et al.).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Batches.
    pub batch: Batches,
    /// Length and learning rate.
    pub schedule: Schedule,
    /// Optimizer.
    pub adam: Adam,
    /// The method's own.
    pub nsa: Group,
}

/// What NSA alone has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Channels of the network's first convolution (NSA's code: 64).
    pub width: usize,
    /// Kind of the labels: `logistic` (NSA's main variant) and `binary` are learnt with the binary cross-entropy,
    /// `continuous` (differences as shares of 255) with the mean squared error.
    pub label: LabelKind,
    /// Largest angle by which unaligned objects are turned to either side, in degrees (NSA's code: 5).
    pub max_degrees: f64,
    /// How patches are drawn and blended, and how images are cropped; of MVTec AD's categories as published.
    pub constants: NsaSettings,
}

impl Settings {
    /// The settings for a product.
    pub(crate) fn new(_: Method, budget: &Budget, product: &Product) -> Self {
        Self {
            batch: Batches {
                size: budget.batch,
                draw: Draw::Shuffled,
            },
            schedule: Schedule {
                length: budget.length,
                learning_rate: budget.learning_rate,
                decay: Decay::Cosine,
                floor: 1e-6,
                ..Schedule::draem()
            },
            adam: Adam::default(),
            nsa: Group {
                width: budget.width,
                label: LabelKind::Logistic,
                max_degrees: 5.0,
                constants: constants(product),
            },
        }
    }

    /// The simulator of a run; its patches come from the image itself.
    pub(super) fn simulator(&self) -> Nsa {
        Nsa {
            label: self.nsa.label,
            ..Nsa::new(self.nsa.constants)
        }
    }

    /// Checks every setting's range.
    pub(super) fn check_ranges(&self) -> Result<()> {
        self.batch.check()?;
        self.schedule.check()?;
        self.adam.check()?;
        let nsa = &self.nsa;
        between("nsa.width", nsa.width as f64, 4.0, 512.0)?;
        if !nsa.width.is_multiple_of(NsaNetwork::WIDTH_MULTIPLE) {
            let message = format!(
                "{} is not a multiple of {}",
                nsa.width,
                NsaNetwork::WIDTH_MULTIPLE
            );
            return Err(TrainingError::setting("nsa.width", message));
        }
        between("nsa.max_degrees", nsa.max_degrees, 0.0, 180.0)?;
        nsa.constants
            .check_ranges()
            .map_err(|error| TrainingError::setting(format!("nsa.constants.{}", error.name), error.message))
    }
}

/// What NSA's constants are for a product: the published ones where there are any. For others the selection decides
/// (proposal): an irregular surface gets those of tile, an object those of transistor (no background model), and is taken for
/// unaligned where its normal images may be rotated.
fn constants(product: &Product) -> NsaSettings {
    if let Some(published) = product.nsa {
        return published;
    }
    if product.selection.texture {
        return NsaSettings::builtin().remove("tile").unwrap_or_default();
    }
    NsaSettings {
        preparation: if product.selection.rotate_normals {
            Preparation::Unaligned
        } else {
            Preparation::Aligned
        },
        ..NsaSettings::default()
    }
}
