//! Settings of PatchCore.

use std::sync::Arc;

use flawforge_augment::SimulationSettings;
use flawforge_models::CenterCrop;
use flawforge_models::patchcore::{OFFICIAL_STRIDES, STRIDES, Scoring};
use flawforge_ops::Precision;
use serde::{Deserialize, Serialize};

use crate::methods::backbone::{Backbone, BackboneWeights, Given, Weights};
use crate::settings::groups::is_default_precision;
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
    /// Strides in pixels of the network's maps that are compared, ascending, among 4, 8 and 16 (PatchCore's code: 8 and 16).
    #[serde(default = "strides", skip_serializing_if = "are_official")]
    pub strides: Vec<usize>,
    /// Sides in pixels to which the crop is brought, ascending, each with a bank of its own; the maps are summed. The default, none,
    /// is the crop as it is (PatchCore's code).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<u32>,
    /// Precision of the network's convolutions; `tf32`, the default, is f32 on the processor. There an EfficientNet-Lite
    /// multiplies bfloat16 in its 1×1 convolutions, a ResNet f32 in any case.
    #[serde(default, skip_serializing_if = "is_default_precision")]
    pub precision: Precision,
}

fn most_bytes() -> u64 {
    2 << 30
}

/// The default is not written, so that experiments have the digests that they had before the setting was there.
fn is_most_bytes(bytes: &u64) -> bool {
    *bytes == most_bytes()
}

fn strides() -> Vec<usize> {
    OFFICIAL_STRIDES.to_vec()
}

fn are_official(strides: &[usize]) -> bool {
    strides == OFFICIAL_STRIDES
}

impl Group {
    /// Sides of the squares that the network sees, ascending.
    pub(crate) fn sides(&self) -> Vec<u32> {
        match self.sides.is_empty() {
            true => vec![self.crop],
            false => self.sides.clone(),
        }
    }

    fn largest(&self) -> u32 {
        self.sides.iter().copied().max().unwrap_or(self.crop)
    }

    /// Side of the whole image, so that its crop has the largest of the sides.
    pub(super) fn whole(&self) -> u32 {
        let whole = u64::from(self.resize) * u64::from(self.largest());
        let crop = u64::from(self.crop).max(1);
        ((whole + crop / 2) / crop) as u32
    }

    /// The part of the image that is seen, and maps of `side` pixels.
    pub(super) fn center(&self, side: u32) -> CenterCrop {
        CenterCrop::square(self.whole(), self.largest(), side)
    }

    /// How distances become scores.
    pub(super) fn scoring(&self) -> Scoring {
        Scoring {
            sigma: self.sigma * f64::from(self.largest()) / f64::from(self.crop),
            reweight: Some(self.reweight).filter(|&count| count > 0),
        }
    }

    /// Patches of an image at each side.
    pub(crate) fn places(&self) -> Vec<usize> {
        let stride = self.strides.first().copied().unwrap_or(1);
        let square = |side: u32| (side as usize).div_ceil(stride).pow(2);
        self.sides().into_iter().map(square).collect()
    }

    /// In what the network, its maps and the sizes differ from the paper's, for the head of a column and in sentences.
    pub(super) fn differs(&self) -> Vec<(String, String)> {
        let listed = |numbers: &[String]| numbers.join(", ");
        let mut all = Vec::new();
        if self.backbone != Backbone::WideResNet50 {
            let name = self.backbone.name();
            all.push((
                name.to_owned(),
                format!("network: {name} (the paper: Wide ResNet-50)"),
            ));
        }
        if self.strides != OFFICIAL_STRIDES {
            let numbers: Vec<String> = self.strides.iter().map(ToString::to_string).collect();
            let text = format!("strides {}", listed(&numbers));
            let sentence = format!("maps: at {text} (the paper: 8 and 16)");
            all.push((text, sentence));
        }
        if !self.sides.is_empty() {
            let numbers: Vec<String> = self.sides.iter().map(ToString::to_string).collect();
            let text = format!("{} px", listed(&numbers));
            let sentence = format!("crops: compared at {text}, the maps summed (the paper: at one size)");
            all.push((text, sentence));
        }
        all
    }
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
                strides: strides(),
                sides: Vec::new(),
                precision: Precision::default(),
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
        let known = group.strides.iter().all(|stride| STRIDES.contains(stride));
        if group.strides.is_empty() || !known || !group.strides.is_sorted_by(|a, b| a < b) {
            let message = format!("{:?} are not some of {STRIDES:?}, ascending", group.strides);
            return Err(TrainingError::setting("patchcore.strides", message));
        }
        if group.sides.len() > 8 || !group.sides.is_sorted_by(|a, b| a < b) {
            let message = "are more than 8, or not ascending";
            return Err(TrainingError::setting("patchcore.sides", message));
        }
        for &side in &group.sides {
            between("patchcore.sides", side.into(), 32.0, LARGEST_SIZE.into())?;
            if !side.is_multiple_of(SIZE_MULTIPLE / 2) {
                let message = format!("{side} is not a multiple of {}", SIZE_MULTIPLE / 2);
                return Err(TrainingError::setting("patchcore.sides", message));
            }
        }
        between("patchcore.sides", group.whole().into(), 32.0, LARGEST_SIZE.into())?;
        if group.sides.len() > 1 && group.reweight > 0 {
            let message = "is for one size; with several patchcore.sides it must be 0";
            return Err(TrainingError::setting("patchcore.reweight", message));
        }
        simulation(&self.simulation)
    }
}
