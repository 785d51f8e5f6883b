//! The detector of PatchCore.

use std::sync::Arc;

use flawforge_resample::Resizing;
use image::RgbImage;

use super::embedding::Embedding;
use super::extractor::FeatureExtractor;
use super::memory::MemoryBank;
use super::smoothing::gaussian_blur;
use crate::detector::check_sizes;
use crate::{AnomalyMap, CenterCrop, Detection, Detector, ModelError, View};

/// How distances become scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// Standard deviation of the Gaussian that smooths the map, in pixels of the crop (PatchCore's code: 4, of 224).
    pub sigma: f64,
    /// Neighbours of the paper's re-weighting of the image score (anomalib: 9). `None`, as in the official code: the score is
    /// the largest squared distance.
    pub reweight: Option<usize>,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            sigma: 4.0,
            reweight: None,
        }
    }
}

/// PatchCore's detector: as anomalous as a patch is far from its nearest neighbour in the memory bank.
///
/// Scores are squared distances: at least zero, without an upper bound.
#[derive(Clone)]
pub struct PatchCore {
    extractor: Arc<dyn FeatureExtractor>,
    embedding: Embedding,
    bank: MemoryBank,
    crop: CenterCrop,
    scoring: Scoring,
    full_scale: f32,
}

impl PatchCore {
    /// A detector with this bank.
    ///
    /// # Errors
    /// A bank whose vectors have another dimension than the embedding's; a crop larger than the images or with an empty side.
    pub fn new(
        extractor: Arc<dyn FeatureExtractor>,
        embedding: Embedding,
        bank: MemoryBank,
        crop: CenterCrop,
        scoring: Scoring,
    ) -> Result<Self, ModelError> {
        if bank.length() != embedding.size {
            return Err(ModelError::Dimension {
                bank: bank.length(),
                features: embedding.size,
            });
        }
        crop.check()?;
        Ok(Self {
            extractor,
            embedding,
            bank,
            crop,
            scoring,
            full_scale: 1.0,
        })
    }

    /// The same detector, telling pictures to show this score as fully anomalous.
    #[must_use]
    pub fn with_full_scale(mut self, score: f32) -> Self {
        self.full_scale = score;
        self
    }

    /// The memory bank.
    pub fn bank(&self) -> &MemoryBank {
        &self.bank
    }

    fn detect_one(&self, image: &RgbImage) -> Result<Detection, ModelError> {
        let seen = self.crop.cropped(image);
        let mut patches = self.embedding.patches(&self.extractor.features(&[&seen])?)?;
        let patches = patches.pop().ok_or(ModelError::NoImages)?;
        let neighbors = self.bank.nearest(&patches.vectors)?;
        let mut farthest = 0;
        for (place, neighbor) in neighbors.iter().enumerate() {
            if neighbor.squared > neighbors[farthest].squared {
                farthest = place;
            }
        }
        let score = match self.scoring.reweight {
            None => neighbors[farthest].squared,
            Some(count) => {
                let length = self.embedding.size;
                let query = &patches.vectors[farthest * length..][..length];
                self.bank.reweighted(query, neighbors[farthest], count)
            }
        };
        let scores = AnomalyMap {
            width: patches.width as u32,
            height: patches.height as u32,
            scores: neighbors.iter().map(|neighbor| neighbor.squared).collect(),
        };
        let CenterCrop { crop, map, .. } = self.crop;
        let smooth = gaussian_blur(&scores.resized_as_pytorch(crop.0, crop.1), self.scoring.sigma);
        Ok(Detection {
            map: self.crop.placed(smooth)?.resized_as_pytorch(map.0, map.1),
            score,
            verdict_score: score,
            reconstruction: None,
        })
    }
}

impl Detector for PatchCore {
    fn resizing(&self) -> Resizing {
        Resizing::antialiased(self.crop.image.0, self.crop.image.1)
    }

    fn view(&self) -> Option<View> {
        self.crop.share()
    }

    fn full_scale(&self) -> f32 {
        self.full_scale
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        check_sizes(images, self.crop.image)?;
        // One at a time: an image alone fills all cores, and memory stays that of one.
        images.iter().map(|image| self.detect_one(image)).collect()
    }
}
