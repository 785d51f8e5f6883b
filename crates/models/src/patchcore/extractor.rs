//! What PatchCore asks of a network.

use candle_core::{Device, Tensor};
use image::RgbImage;

use crate::ModelError;

/// Means of ImageNet's colour channels, RGB, as torchvision's networks expect them taken away.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Deviations of ImageNet's colour channels, which they expect divided out.
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// A frozen network, of which inner feature maps are taken.
pub trait FeatureExtractor: Send + Sync {
    /// A finer and a coarser feature map, each (N, h, w, channels), of [normalised](normalised) images (N, H, W, 3).
    /// For a residual network these are the outputs of its stages 2 and 3.
    ///
    /// # Errors
    /// Images that the network cannot take, or a failed tensor operation.
    fn features(&self, images: &Tensor) -> Result<[Tensor; 2], ModelError>;

    /// Where it computes.
    fn device(&self) -> &Device;
}

/// A tensor (N, H, W, 3) of images, their colours brought to the scale that torchvision's networks are trained on.
///
/// # Errors
/// No images, images of different sizes, a failed allocation on the device.
pub fn normalised(images: &[&RgbImage], device: &Device) -> Result<Tensor, ModelError> {
    let first = images.first().ok_or(ModelError::NoImages)?;
    let (width, height) = first.dimensions();
    let mut values = Vec::with_capacity(images.len() * 3 * (width * height) as usize);
    for (index, image) in images.iter().enumerate() {
        if image.dimensions() != (width, height) {
            return Err(ModelError::ImageSize {
                index,
                expected: (width, height),
                found: image.dimensions(),
            });
        }
        for pixel in image.pixels() {
            for (channel, &byte) in pixel.0.iter().enumerate() {
                values.push((f32::from(byte) / 255.0 - MEAN[channel]) / DEVIATION[channel]);
            }
        }
    }
    let shape = (images.len(), height as usize, width as usize, 3);
    Ok(Tensor::from_vec(values, shape, device)?)
}
