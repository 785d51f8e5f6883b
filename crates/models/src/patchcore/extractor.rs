//! What PatchCore asks of a network.

use candle_core::{Device, Tensor};
use flawforge_ops::Precision;
use image::RgbImage;

use crate::resnet::{ResNet, imagenet_normalized};
use crate::{ModelError, bytes_to_tensor};

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
