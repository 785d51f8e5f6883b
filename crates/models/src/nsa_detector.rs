//! The detector of NSA.

use candle_core::{Device, Tensor};
use flawforge_ops::Mode;
use image::RgbImage;
use image::imageops::crop_imm;

use crate::{
    AnomalyMap, Detection, Detector, ModelError, NsaNetwork, View, bytes_to_tensor, imagenet_normalised,
};

/// Which part of which image NSA's network sees, in pixels (squares).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NsaView {
    /// Side of the image.
    pub image: u32,
    /// Side of its central part that the network sees, a multiple of [`NsaNetwork::MULTIPLE`].
    pub crop: u32,
    /// Side of the anomaly maps that are handed out, for the whole image.
    pub map: u32,
}

impl NsaView {
    /// The left and upper end of the central part, as torchvision's centre crop has it.
    fn start(self) -> u32 {
        (f64::from(self.image - self.crop) / 2.0).round_ties_even() as u32
    }
}

/// NSA's detector: the network's output, unsmoothed, is the map; its **mean** is the image score (NSA's code).
///
/// The network sees the central part of an image; the map of the whole is 0 around it.
#[derive(Debug, Clone)]
pub struct NsaDetector {
    network: NsaNetwork,
    view: NsaView,
    device: Device,
}

impl NsaDetector {
    /// A detector with the present weights of a network, which it copies.
    ///
    /// # Errors
    /// [`ModelError::Size`] for a central part of a size that the network cannot take or that is larger than the image.
    pub fn new(network: &NsaNetwork, view: NsaView) -> Result<Self, ModelError> {
        let multiple = NsaNetwork::MULTIPLE;
        let side = view.crop as usize;
        if side == 0 || !side.is_multiple_of(multiple) || view.crop > view.image || view.map == 0 {
            return Err(ModelError::Size {
                width: side,
                height: side,
                multiple,
            });
        }
        Ok(Self {
            network: network.folded()?,
            view,
            device: network.parameters().device().clone(),
        })
    }

    /// The map (N, H, W, 1) of images (N, H, W, 3) in \[0, 1\], already cut to what the network sees.
    ///
    /// # Errors
    /// Another shape, or a failed tensor operation.
    pub fn infer(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        self.network.forward(&imagenet_normalised(images)?, Mode::Eval)
    }

    fn detect_one(&self, image: &RgbImage) -> Result<Detection, ModelError> {
        let NsaView {
            image: side,
            crop,
            map,
        } = self.view;
        let start = self.view.start();
        let seen = crop_imm(image, start, start, crop, crop).to_image();
        let output = self.infer(&bytes_to_tensor(&[&seen], &self.device)?)?;
        let seen: Vec<f32> = output.flatten_all()?.to_vec1()?;
        let mean = seen.iter().map(|&score| f64::from(score)).sum::<f64>() / seen.len() as f64;
        let mut whole = AnomalyMap {
            width: side,
            height: side,
            scores: vec![0.0; side as usize * side as usize],
        };
        let (first, side, crop) = (start as usize, side as usize, crop as usize);
        for (row, scores) in seen.chunks_exact(crop).enumerate() {
            whole.scores[(first + row) * side + first..][..crop].copy_from_slice(scores);
        }
        Ok(Detection {
            map: if map as usize == side {
                whole
            } else {
                whole.resized(map, map)
            },
            score: mean as f32,
            reconstruction: None,
        })
    }
}

impl Detector for NsaDetector {
    fn input_size(&self) -> (u32, u32) {
        (self.view.image, self.view.image)
    }

    fn view(&self) -> Option<View> {
        let NsaView { image, crop, .. } = self.view;
        let share = |place: u32| f64::from(place) / f64::from(image);
        let (low, high) = (share(self.view.start()), share(self.view.start() + crop));
        (crop < image).then_some(View {
            left: low,
            top: low,
            right: high,
            bottom: high,
        })
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
        // One at a time, as every detector: a score must not depend on its neighbours.
        images.iter().map(|image| self.detect_one(image)).collect()
    }
}
