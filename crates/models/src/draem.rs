//! The detector of DRAEM: reconstruct, then discriminate.

use candle_core::{D, Tensor};
use flawforge_metrics::image_score;
use flawforge_ops::{Mode, concat, softmax};
use image::RgbImage;

use crate::{AnomalyMap, Detection, Detector, Discriminative, ModelError, Reconstructive, bytes_to_tensor};

/// DRAEM's detector: redraw the image, then let the second network mark where image and reconstruction differ.
///
/// The map is the softmax probability of channel 1, the image score the largest mean of a 21×21 window of it (DRAEM's
/// code). The networks' weights are shared with those given, not copied, and no graph is kept. The Lin & Yan method
/// trains the same networks in another way, and detects with this too.
#[derive(Debug, Clone)]
pub struct Draem {
    reconstructive: Reconstructive,
    discriminative: Discriminative,
    width: u32,
    height: u32,
    reconstructions: bool,
}

impl Draem {
    /// A detector of images of the given width and height in pixels.
    ///
    /// # Errors
    /// [`ModelError::Size`] unless both are positive multiples of [`Discriminative::MULTIPLE`].
    pub fn new(
        reconstructive: &Reconstructive,
        discriminative: &Discriminative,
        width: u32,
        height: u32,
    ) -> Result<Self, ModelError> {
        let multiple = Discriminative::MULTIPLE;
        if [width, height]
            .iter()
            .any(|&side| side == 0 || !(side as usize).is_multiple_of(multiple))
        {
            return Err(ModelError::Size {
                width: width as usize,
                height: height as usize,
                multiple,
            });
        }
        Ok(Self {
            reconstructive: reconstructive.frozen()?,
            discriminative: discriminative.frozen()?,
            width,
            height,
            reconstructions: false,
        })
    }

    /// The same detector, handing out the reconstructed pictures as well.
    #[must_use]
    pub fn with_reconstructions(mut self) -> Self {
        self.reconstructions = true;
        self
    }

    /// The reconstruction (N, H, W, 3) and anomaly probabilities (N, H, W) of images (N, H, W, 3) in \[0, 1\].
    ///
    /// # Errors
    /// Another shape, or a failed tensor operation.
    pub fn infer(&self, images: &Tensor) -> Result<(Tensor, Tensor), ModelError> {
        let reconstruction = self.reconstructive.forward(images, Mode::Eval)?;
        let joined = concat(&reconstruction, images)?; // reconstruction first (DRAEM's code)
        let logits = self.discriminative.forward(&joined, Mode::Eval)?;
        let map = softmax(&logits)?.narrow(D::Minus1, 1, 1)?.squeeze(D::Minus1)?;
        Ok((reconstruction, map))
    }

    fn detect_one(&self, image: &RgbImage) -> Result<Detection, ModelError> {
        let input = bytes_to_tensor(&[image], self.reconstructive.parameters().device())?;
        let input = input.to_dtype(self.reconstructive.parameters().dtype())?;
        let (reconstruction, map) = self.infer(&input)?;
        let scores = values(&map)?;
        let reconstruction = match self.reconstructions {
            true => {
                let bytes = values(&reconstruction)?.into_iter().map(to_byte).collect();
                RgbImage::from_raw(self.width, self.height, bytes)
            }
            false => None,
        };
        Ok(Detection {
            score: image_score(&scores, self.width as usize, self.height as usize),
            map: AnomalyMap {
                width: self.width,
                height: self.height,
                scores,
            },
            reconstruction,
        })
    }
}

impl Detector for Draem {
    fn input_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let expected = self.input_size();
        for (index, image) in images.iter().enumerate() {
            let found = image.dimensions();
            if found != expected {
                return Err(ModelError::ImageSize {
                    index,
                    expected,
                    found,
                });
            }
        }
        // One at a time: kernels may choose their algorithm by the size of a batch, and an image's score must not depend
        // on its neighbours.
        images.iter().map(|image| self.detect_one(image)).collect()
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(tensor
        .to_dtype(candle_core::DType::F32)?
        .flatten_all()?
        .to_vec1()?)
}

fn to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}
