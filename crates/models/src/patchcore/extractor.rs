//! What memory banks ask of a network.

use candle_core::{Device, Tensor};
use flawforge_onnx::{Graph, Value};
use flawforge_ops::Precision;
use image::RgbImage;

use super::GraphMap;
use crate::resnet::{ResNet, imagenet_normalized};
use crate::{EfficientNetLite, ModelError, bytes_to_tensor};

/// The last stage of a residual network whose output can be taken, counted from 1; nothing behind it is computed.
pub const COARSE: usize = 3;
/// The strides of the maps that can be taken of every network: those of a residual network's stages 1 to [`COARSE`].
pub const STRIDES: [usize; COARSE] = [4, 8, 16];
/// The strides of the maps that PatchCore takes: a residual network's stages 2 and 3.
pub const OFFICIAL_STRIDES: [usize; 2] = [8, 16];

/// A frozen network, of which inner feature maps are taken.
pub trait FeatureExtractor: Send + Sync {
    /// Feature maps, each (N, h, w, channels), of images of one size, from the finest to the coarsest.
    ///
    /// # Errors
    /// No images, images of different sizes or that the network cannot take, a failed tensor operation.
    fn features(&self, images: &[&RgbImage]) -> Result<Vec<Tensor>, ModelError>;

    /// [`features`](Self::features) as a graph: of bytes (N, H, W, 3) of the size (H, W); in f32.
    ///
    /// # Errors
    /// [`ModelError::NotExportable`] of networks that are not told as a graph.
    fn graph(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
    ) -> Result<Vec<GraphMap>, ModelError> {
        let _ = (graph, images, size);
        Err(ModelError::NotExportable {
            reason: "its network is not told as a computation graph".to_owned(),
        })
    }
}

/// A residual network: outputs of its stages, of images normalised as torchvision's networks expect it.
///
/// Convolutions multiply in f32 on every device: what is found are differences of features, and the network sees every
/// image once.
#[derive(Debug, Clone)]
pub struct Stages {
    /// The network, at least up to the stage of the last stride.
    pub network: ResNet,
    /// Where it computes.
    pub device: Device,
    /// Strides of the maps, ascending, among [`STRIDES`].
    pub strides: Vec<usize>,
}

impl Stages {
    /// The stages of the strides, counted from 0.
    pub(super) fn wanted(&self) -> Result<Vec<usize>, ModelError> {
        let stage = |&stride: &usize| {
            let found = STRIDES.iter().position(|&one| one == stride);
            found.ok_or(ModelError::Stride { stride })
        };
        self.strides.iter().map(stage).collect()
    }
}

impl FeatureExtractor for Stages {
    fn graph(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
    ) -> Result<Vec<GraphMap>, ModelError> {
        self.maps(graph, images, size)
    }

    fn features(&self, images: &[&RgbImage]) -> Result<Vec<Tensor>, ModelError> {
        let wanted = self.wanted()?;
        let needed = wanted.iter().max().map_or(0, |last| last + 1);
        let _precision = Precision::F32.scope();
        let input = imagenet_normalized(&bytes_to_tensor(images, &self.device)?)?;
        let outputs = self.network.stages(&input, needed)?;
        let found = outputs.len();
        let output = |stage: usize| outputs.get(stage).cloned();
        let maps: Option<Vec<Tensor>> = wanted.into_iter().map(output).collect();
        maps.ok_or(ModelError::Stages { found, needed })
    }
}

/// An EfficientNet-Lite: the outputs of the last stages of some strides.
///
/// It normalises images its own way, and its maps are in main memory wherever it computes ([`EfficientNetLite::on`]).
#[derive(Debug)]
pub struct LiteStages {
    /// The network, at least up to the stage of the last stride.
    pub network: EfficientNetLite,
    /// Strides of the maps, ascending, among [`STRIDES`].
    pub strides: Vec<usize>,
}

impl LiteStages {
    /// The last stage of stride 16; nothing behind it is computed.
    pub const LAST: usize = 5;
}

impl FeatureExtractor for LiteStages {
    fn graph(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
    ) -> Result<Vec<GraphMap>, ModelError> {
        self.maps(graph, images, size)
    }

    fn features(&self, images: &[&RgbImage]) -> Result<Vec<Tensor>, ModelError> {
        self.network.features(images, &self.strides)
    }
}
