//! What PatchCore asks of a network.

use candle_core::{Device, Tensor};
use flawforge_ops::Precision;
use image::RgbImage;

use crate::resnet::{ResNet, imagenet_normalized};
use crate::{EfficientNetLite, ModelError, bytes_to_tensor};

/// The stages of a residual network whose outputs are taken, counted from 1.
const FINE: usize = 2;
/// The coarser of the two stages whose outputs are taken, counted from 1; nothing behind it is computed.
pub const COARSE: usize = 3;

/// A frozen network, of which inner feature maps are taken.
pub trait FeatureExtractor: Send + Sync {
    /// A finer and a coarser feature map, each (N, h, w, channels), of images of one size.
    ///
    /// # Errors
    /// No images, images of different sizes or that the network cannot take, a failed tensor operation.
    fn features(&self, images: &[&RgbImage]) -> Result<[Tensor; 2], ModelError>;
}

/// A residual network: its stages 2 and 3, of images normalised as torchvision's networks expect it.
///
/// Convolutions multiply in f32 on every device: what is found are differences of features, and the network sees every
/// image once.
#[derive(Debug, Clone)]
pub struct Stages {
    /// The network, at least up to stage [`COARSE`].
    pub network: ResNet,
    /// Where it computes.
    pub device: Device,
}

impl FeatureExtractor for Stages {
    fn features(&self, images: &[&RgbImage]) -> Result<[Tensor; 2], ModelError> {
        let _precision = Precision::F32.scope();
        let input = imagenet_normalized(&bytes_to_tensor(images, &self.device)?)?;
        let mut outputs = self.network.stages(&input, COARSE)?;
        match (outputs.len(), outputs.pop()) {
            (COARSE, Some(coarse)) => Ok([outputs.swap_remove(FINE - 1), coarse]),
            (found, _) => Err(ModelError::Stages {
                found,
                needed: COARSE,
            }),
        }
    }
}

/// An EfficientNet-Lite: the outputs of the last stages of two strides.
///
/// It computes on the processor whatever the device of the rest ([`EfficientNetLite`]), and normalises images its own way.
#[derive(Debug)]
pub struct LiteStages {
    /// The network, at least up to the stage of the coarser stride.
    pub network: EfficientNetLite,
    /// The finer and the coarser stride, among 4, 8 and 16; [`LiteStages::STRIDES`] by default.
    pub strides: [usize; 2],
}

impl LiteStages {
    /// The strides of the maps that PatchCore takes of residual networks, too: 8 and 16.
    pub const STRIDES: [usize; 2] = [8, 16];
    /// The last stage of stride 16; nothing behind it is computed.
    pub const LAST: usize = 5;
}

impl FeatureExtractor for LiteStages {
    fn features(&self, images: &[&RgbImage]) -> Result<[Tensor; 2], ModelError> {
        let maps = self.network.features(images, &self.strides)?;
        // One map a stride, or an error.
        maps.try_into().map_err(|_| ModelError::NoImages)
    }
}
