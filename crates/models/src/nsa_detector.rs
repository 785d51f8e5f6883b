//! The detector of NSA.

mod onnx;

use candle_core::{Device, Tensor};
use flawforge_metrics::{verdict_score, verdict_score_window, windowed_score};
use flawforge_onnx::{Graph, Value};
use flawforge_ops::{Mode, Precision};
use flawforge_resample::Resizing;
use image::RgbImage;

use crate::detector::check_sizes;
use crate::export::Outputs;
use crate::{
    AnomalyMap, CenterCrop, Detection, Detector, FieldOfView, MapScores, ModelError, NsaNetwork,
    bytes_to_tensor, imagenet_normalized,
};

/// NSA's detector: the network's output, unsmoothed, is the map; its **mean** is the image score (NSA's code).
///
/// The network sees the centre crop of an image; the map of the whole is 0 around it. It computes in the
/// [precision](Precision::current) of the thread that made the detector.
#[derive(Debug, Clone)]
pub struct NsaDetector {
    network: NsaNetwork,
    crop: CenterCrop,
    device: Device,
    precision: Precision,
}

impl NsaDetector {
    /// A detector with the present weights of a network, which it copies.
    ///
    /// # Errors
    /// [`ModelError::Size`] for a crop of a size that the network cannot take, [`ModelError::CenterCrop`] for one that is
    /// larger than the image.
    pub fn new(network: &NsaNetwork, crop: CenterCrop) -> Result<Self, ModelError> {
        let multiple = NsaNetwork::MULTIPLE;
        let (width, height) = (crop.crop.0 as usize, crop.crop.1 as usize);
        if [width, height]
            .iter()
            .any(|&side| side == 0 || !side.is_multiple_of(multiple))
        {
            return Err(ModelError::Size {
                width,
                height,
                multiple,
            });
        }
        crop.check()?;
        Ok(Self {
            network: network.folded()?,
            crop,
            device: network.parameters().device().clone(),
            precision: Precision::current(),
        })
    }

    /// The map (N, H, W, 1) of images (N, H, W, 3) in \[0, 1\] of the crop's size.
    ///
    /// # Errors
    /// Another shape, or a failed tensor operation.
    pub fn infer(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let _precision = self.precision.scope();
        self.network.forward(&imagenet_normalized(images)?, Mode::Eval)
    }

    fn detect_one(&self, image: &RgbImage) -> Result<Detection, ModelError> {
        let seen = self.crop.cropped(image);
        let output = self.infer(&bytes_to_tensor(&[&seen], &self.device)?)?;
        let scores: Vec<f32> = output.flatten_all()?.to_vec1()?;
        let mean = mean(&scores);
        let verdict_score = verdict_score(&scores, seen.width() as usize, seen.height() as usize);
        let whole = self.crop.placed(AnomalyMap {
            width: seen.width(),
            height: seen.height(),
            scores,
        })?;
        Ok(Detection {
            map: whole.resized(self.crop.map.0, self.crop.map.1),
            score: mean,
            verdict_score,
            reconstruction: None,
        })
    }
}

fn mean(scores: &[f32]) -> f32 {
    (scores.iter().map(|&score| f64::from(score)).sum::<f64>() / scores.len() as f64) as f32
}

impl Detector for NsaDetector {
    fn resizing(&self) -> Resizing {
        Resizing::antialiased(self.crop.image.0, self.crop.image.1)
    }

    fn field_of_view(&self) -> Option<FieldOfView> {
        self.crop.share()
    }

    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        let (width, height) = (map.width as usize, map.height as usize);
        let window = verdict_score_window(self.crop.crop.0 as usize, self.crop.crop.1 as usize);
        MapScores {
            score: mean(&map.scores),
            verdict_score: windowed_score(&map.scores, width, height, window),
        }
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.scored(graph, map)
    }

    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        self.outputs(graph, images)
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        check_sizes(images, self.crop.image)?;
        // One at a time, as every detector: a score must not depend on its neighbours.
        images.iter().map(|image| self.detect_one(image)).collect()
    }
}
