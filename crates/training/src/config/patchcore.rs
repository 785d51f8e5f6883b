//! Settings of PatchCore.

use serde::{Deserialize, Serialize};

/// The network whose features are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Backbone {
    /// Wide ResNet-50-2 (PatchCore's code).
    #[serde(rename = "wide-resnet50-2")]
    WideResNet50,
    /// ResNet-50.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// ResNet-18.
    #[serde(rename = "resnet18")]
    ResNet18,
}

impl Backbone {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WideResNet50, Self::ResNet50, Self::ResNet18];

    /// The name in settings, on the command line and of its published weights: `wide-resnet50-2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WideResNet50 => "wide-resnet50-2",
            Self::ResNet50 => "resnet50",
            Self::ResNet18 => "resnet18",
        }
    }
}

/// Where the network's weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BackboneWeights {
    /// A file of weights, such as torchvision's, trained on ImageNet (PatchCore).
    Pretrained,
    /// Random initial weights, never trained: what the method finds without any knowledge of images (proposal).
    Random,
    /// A small network trained here to tell textures apart (proposal).
    Textures,
}

/// Settings of PatchCore (docs/method.md, section 15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchCoreSettings {
    /// The network.
    pub backbone: Backbone,
    /// Where its weights come from.
    pub weights: BackboneWeights,
    /// SHA-256 of weights that were given, as far as it is known before training; empty for random ones.
    pub digest: String,
    /// Side in pixels to which the whole image is brought, with antialiasing (PatchCore's code: 256).
    pub resize: u32,
    /// Side of the part in its middle that is looked at (PatchCore's code: 224). Smaller than `resize`, the frame around it
    /// gets the lowest score of the map; equal to it, whole images are looked at (proposal, where methods are compared on
    /// whole masks).
    pub crop: u32,
    /// Numbers in a patch's vector (PatchCore's code: 1024).
    pub embedding: usize,
    /// Share of the training patches that the memory bank keeps (0.1 in the baseline).
    pub coreset_ratio: f64,
    /// Numbers of the random projection that the selection works on; 0: none (PatchCore's code: 128).
    pub projection: usize,
    /// Random vectors that the selection starts from (PatchCore's code: 10).
    pub starts: usize,
    /// Deviation of the smoothing of the map, in pixels of the crop (PatchCore's code: 4, of 224; other sizes in proportion).
    pub sigma: f64,
    /// Neighbours of the paper's re-weighting of the image score; 0: none, as in the official code (anomalib: 9).
    pub reweight: usize,
}

/// What of PatchCore depends on the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchCoreBudget {
    /// The network.
    pub backbone: Backbone,
    /// Side in pixels of the whole image.
    pub resize: u32,
    /// Side of the part that is looked at.
    pub crop: u32,
    /// Share of the training patches that is kept.
    pub coreset_ratio: f64,
}

impl PatchCoreBudget {
    /// The settings under this budget: the official code's, with random weights until others are given.
    pub fn settings(&self) -> PatchCoreSettings {
        PatchCoreSettings {
            backbone: self.backbone,
            weights: BackboneWeights::Random,
            digest: String::new(),
            resize: self.resize,
            crop: self.crop,
            embedding: 1024,
            coreset_ratio: self.coreset_ratio,
            projection: 128,
            starts: 10,
            sigma: 4.0 * f64::from(self.crop) / 224.0,
            reweight: 0,
        }
    }
}
