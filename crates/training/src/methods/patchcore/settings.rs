//! Settings of PatchCore.

use std::sync::Arc;

use flawforge_augment::SimulationSettings;
use serde::{Deserialize, Serialize};

use crate::methods::backbone::{Backbone, BackboneWeights, Given, Weights};
use crate::settings::ranges::{LARGEST_SIZE, SIZE_MULTIPLE, between, simulation};
use crate::{Method, Product, Result, TrainingError};

/// PatchCore's budget: the table `patchcore` of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Images a step.
    pub batch: usize,
    /// The network.
    pub backbone: Backbone,
    /// Side in pixels of the whole image.
    pub resize: u32,
    /// Side in pixels of the center crop.
    pub crop: u32,
    /// Share of the training patches that is kept.
    pub coreset_ratio: f64,
}

/// Settings of PatchCore (Roth et al.).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The method's own.
    pub patchcore: Group,
    /// Simulated anomalies. They only calibrate the decision threshold.
    pub simulation: SimulationSettings,
    /// The backbone's weights, where they are given; the settings' text names them by their digest.
    #[serde(skip)]
    pub given: Given,
}

/// What PatchCore alone has (docs/method.md, PatchCore).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Images a step.
    pub batch: usize,
    /// The network.
    pub backbone: Backbone,
    /// Where its weights come from.
    pub weights: BackboneWeights,
    /// SHA-256 of weights that were given, as far as it is known before training; empty for random ones.
    pub digest: String,
    /// Side in pixels to which the whole image is brought, with antialiasing (PatchCore's code: 256).
    pub resize: u32,
    /// Side of the center crop (PatchCore's code: 224). Pixels outside it get score 0. Equal to `resize`, whole images are
    /// used, as in our comparisons (proposal).
    pub crop: u32,
    /// Dimension of a patch's feature vector (PatchCore's code: 1024).
    pub embedding: usize,
    /// Share of the training patches that the memory bank keeps (0.1 in the baseline).
    pub coreset_ratio: f64,
    /// Dimension of the random projection that the coreset is selected in; 0: none (PatchCore's code: 128).
    pub projection: usize,
    /// Random vectors that the selection starts from (PatchCore's code: 10).
    pub starts: usize,
    /// Standard deviation of the Gaussian smoothing of the map, in pixels of the crop (PatchCore's code: 4, of 224; other sizes in proportion).
    pub sigma: f64,
    /// Neighbours of the paper's re-weighting of the image score; 0: none, as in the official code (anomalib: 9).
    pub reweight: usize,
    /// Bytes of the patches that are all kept until the bank is chosen; of more, a share of each batch's is kept, so that memory
    /// does not grow with the number of images. Default 2 GiB (proposal): 668 images of the official code's crop.
    #[serde(default = "most_bytes", skip_serializing_if = "is_most_bytes")]
    pub most_bytes: u64,
}

fn most_bytes() -> u64 {
    2 << 30
}

/// The default is not written, so that experiments have the digests that they had before the setting was there.
fn is_most_bytes(bytes: &u64) -> bool {
    *bytes == most_bytes()
}

impl Settings {
    /// The official code's settings, with random weights until others are given.
    pub(crate) fn new(_: Method, budget: &Budget, product: &Product) -> Self {
        Self {
            patchcore: Group {
                batch: budget.batch,
                backbone: budget.backbone,
                weights: BackboneWeights::Random,
                digest: String::new(),
                resize: budget.resize,
                crop: budget.crop,
                embedding: 1024,
                coreset_ratio: budget.coreset_ratio,
                projection: 128,
                starts: 10,
                sigma: 4.0 * f64::from(budget.crop) / 224.0,
                reweight: 0,
                most_bytes: most_bytes(),
            },
            simulation: SimulationSettings {
                rotation: None,
                ..SimulationSettings::selected(&product.selection)
            },
            given: Given::default(),
        }
    }

    /// Takes pretrained weights, and says in the settings which they are.
    pub fn give(&mut self, weights: Arc<Weights>) {
        let group = &mut self.patchcore;
        (group.backbone, group.weights, group.digest) = weights.said();
        self.given = Given(Some(weights));
    }

    /// Checks every setting's range.
    pub(super) fn check_ranges(&self) -> Result<()> {
        let group = &self.patchcore;
        between("patchcore.batch", group.batch as f64, 1.0, 4096.0)?;
        between("patchcore.resize", group.resize.into(), 32.0, LARGEST_SIZE.into())?;
        between("patchcore.crop", group.crop.into(), 32.0, group.resize.into())?;
        // The networks halve the image five times; four times as far as their features are used.
        if !group.crop.is_multiple_of(SIZE_MULTIPLE / 2) {
            let message = format!("{} is not a multiple of {}", group.crop, SIZE_MULTIPLE / 2);
            return Err(TrainingError::setting("patchcore.crop", message));
        }
        between("patchcore.embedding", group.embedding as f64, 2.0, 16384.0)?;
        if !group.embedding.is_multiple_of(2) {
            return Err(TrainingError::setting("patchcore.embedding", "is not even"));
        }
        between("patchcore.coreset_ratio", group.coreset_ratio, 1e-6, 1.0)?;
        between("patchcore.projection", group.projection as f64, 0.0, 16384.0)?;
        between("patchcore.starts", group.starts as f64, 1.0, 1e6)?;
        between("patchcore.sigma", group.sigma, 0.0, 100.0)?;
        between("patchcore.reweight", group.reweight as f64, 0.0, 1e6)?;
        simulation(&self.simulation)
    }
}
