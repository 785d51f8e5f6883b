//! The detector of PatchCore.

use std::sync::Arc;

use image::{RgbImage, imageops};

use super::embedding::Embedding;
use super::extractor::FeatureExtractor;
use super::memory::MemoryBank;
use super::smoothing::{Plane, gaussian_blur, resize_bilinear};
use crate::{AnomalyMap, Detection, Detector, ModelError, View};

/// Which part of an image is looked at, and where its scores go. All sizes are (width, height) in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Size of the images that come in.
    pub image: (u32, u32),
    /// Size of the part in their middle that the network sees; that of the images for all of them.
    pub crop: (u32, u32),
    /// Size of the anomaly maps, which show the whole image: 0 stands outside of the crop.
    pub map: (u32, u32),
}

impl Framing {
    /// Whole images, and maps of their size.
    pub fn whole(width: u32, height: u32) -> Self {
        Self {
            image: (width, height),
            crop: (width, height),
            map: (width, height),
        }
    }

    /// Left and upper end of the crop.
    fn corner(&self) -> (u32, u32) {
        // As torchvision's centre crop rounds: half to even.
        let middle =
            |whole: u32, part: u32| (f64::from(whole.saturating_sub(part)) / 2.0).round_ties_even() as u32;
        (
            middle(self.image.0, self.crop.0),
            middle(self.image.1, self.crop.1),
        )
    }

    /// The part of an image that the network sees.
    pub fn cropped(&self, image: &RgbImage) -> RgbImage {
        if self.crop == self.image {
            return image.clone();
        }
        let (x, y) = self.corner();
        imageops::crop_imm(image, x, y, self.crop.0, self.crop.1).to_image()
    }

    /// The part that is looked at, if not all.
    fn view(&self) -> Option<View> {
        let (x, y) = self.corner();
        let share = |place: u32, whole: u32| f64::from(place) / f64::from(whole);
        (self.crop != self.image).then(|| View {
            left: share(x, self.image.0),
            top: share(y, self.image.1),
            right: share(x + self.crop.0, self.image.0),
            bottom: share(y + self.crop.1, self.image.1),
        })
    }

    /// The map of an image from that of its crop.
    fn placed(&self, crop: Plane) -> Plane {
        let (width, height) = (self.image.0 as usize, self.image.1 as usize);
        let whole = if self.crop == self.image {
            crop
        } else {
            let mut values = vec![0.0; width * height];
            let (x, y) = self.corner();
            for (row, part) in crop.values.chunks_exact(crop.width).enumerate() {
                values[(y as usize + row) * width + x as usize..][..crop.width].copy_from_slice(part);
            }
            Plane {
                width,
                height,
                values,
            }
        };
        resize_bilinear(&whole, self.map.0 as usize, self.map.1 as usize)
    }
}

/// How distances become scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// Deviation of the Gaussian that smooths the map, in pixels of the crop (PatchCore's code: 4, of 224).
    pub sigma: f64,
    /// Neighbours of the paper's re-weighting of the image score (anomalib: 9); `None`: the largest squared distance,
    /// which is what the official code computes.
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
    framing: Framing,
    scoring: Scoring,
    full_scale: f32,
}

impl PatchCore {
    /// A detector with this bank.
    ///
    /// # Errors
    /// A bank whose vectors are not of the embedding's size; a crop larger than the images or with an empty side.
    pub fn new(
        extractor: Arc<dyn FeatureExtractor>,
        embedding: Embedding,
        bank: MemoryBank,
        framing: Framing,
        scoring: Scoring,
    ) -> Result<Self, ModelError> {
        if bank.length() != embedding.size {
            return Err(ModelError::Bank(format!(
                "its vectors have {} numbers, the features {}",
                bank.length(),
                embedding.size
            )));
        }
        let fits = |part: u32, whole: u32| part > 0 && part <= whole;
        if !fits(framing.crop.0, framing.image.0)
            || !fits(framing.crop.1, framing.image.1)
            || framing.map.0.min(framing.map.1) == 0
        {
            return Err(ModelError::Bank(format!("cannot look at {framing:?}")));
        }
        Ok(Self {
            extractor,
            embedding,
            bank,
            framing,
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
        let crop = self.framing.cropped(image);
        let mut patches = self.embedding.patches(&self.extractor.features(&[&crop])?)?;
        let patches = patches.pop().ok_or(ModelError::NoImages)?;
        let neighbours = self.bank.nearest(&patches.vectors)?;
        let mut farthest = 0;
        for (place, neighbour) in neighbours.iter().enumerate() {
            if neighbour.squared > neighbours[farthest].squared {
                farthest = place;
            }
        }
        let score = match self.scoring.reweight {
            None => neighbours[farthest].squared,
            Some(count) => {
                let length = self.embedding.size;
                let query = &patches.vectors[farthest * length..][..length];
                self.bank.reweighted(query, neighbours[farthest], count)
            }
        };
        let scores = Plane {
            width: patches.width,
            height: patches.height,
            values: neighbours.iter().map(|neighbour| neighbour.squared).collect(),
        };
        let (width, height) = self.framing.crop;
        let map = gaussian_blur(
            &resize_bilinear(&scores, width as usize, height as usize),
            self.scoring.sigma,
        );
        let map = self.framing.placed(map);
        Ok(Detection {
            map: AnomalyMap {
                width: self.framing.map.0,
                height: self.framing.map.1,
                scores: map.values,
            },
            score,
            reconstruction: None,
        })
    }
}

impl Detector for PatchCore {
    fn input_size(&self) -> (u32, u32) {
        self.framing.image
    }

    fn view(&self) -> Option<View> {
        self.framing.view()
    }

    fn full_scale(&self) -> f32 {
        self.full_scale
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        for (index, image) in images.iter().enumerate() {
            if image.dimensions() != self.framing.image {
                return Err(ModelError::ImageSize {
                    index,
                    expected: self.framing.image,
                    found: image.dimensions(),
                });
            }
        }
        // One at a time: an image alone fills all cores, and memory stays that of one.
        images.iter().map(|image| self.detect_one(image)).collect()
    }
}
