//! The detector of PatchCore.

use std::sync::Arc;

use flawforge_resample::Resizing;
use image::RgbImage;

use super::embedding::{Embedding, Patches};
use super::extractor::FeatureExtractor;
use super::memory::MemoryBank;
use super::scoring::Scoring;
use crate::detector::check_sizes;
use crate::{CenterCrop, Detection, Detector, FieldOfView, ModelError};

/// A memory bank for one size of the images.
#[derive(Debug, Clone)]
pub struct SizeBank {
    /// Side in pixels to which the crop is brought for the network, in both directions.
    pub side: u32,
    /// The patches of normal images at that size.
    pub bank: MemoryBank,
    /// What counts as far there: the mean squared distance of normal patches, above 0. It matters beside other sizes alone.
    pub usual: f32,
}

/// PatchCore's detector: as anomalous as a patch is far from its nearest neighbour in the memory bank.
///
/// Scores are squared distances: at least zero, without an upper bound. With banks at several sizes they are sums of squared
/// distances, in units of what is usual at each ([`Scoring::detection`]).
#[derive(Clone)]
pub struct PatchCore {
    extractor: Arc<dyn FeatureExtractor>,
    embedding: Embedding,
    banks: Vec<SizeBank>,
    crop: CenterCrop,
    scoring: Scoring,
    full_scale: f32,
}

impl PatchCore {
    /// A detector with one bank, for the crop as it is.
    ///
    /// # Errors
    /// As [`with_banks`](Self::with_banks).
    pub fn new(
        extractor: Arc<dyn FeatureExtractor>,
        embedding: Embedding,
        bank: MemoryBank,
        crop: CenterCrop,
        scoring: Scoring,
    ) -> Result<Self, ModelError> {
        let bank = SizeBank {
            side: crop.crop.0,
            bank,
            usual: 1.0,
        };
        Self::with_banks(extractor, embedding, vec![bank], crop, scoring)
    }

    /// A detector with banks at several sizes.
    ///
    /// # Errors
    /// No bank, or one whose vectors have another dimension than the embedding's; a crop larger than the images or with an empty
    /// side.
    pub fn with_banks(
        extractor: Arc<dyn FeatureExtractor>,
        embedding: Embedding,
        banks: Vec<SizeBank>,
        crop: CenterCrop,
        scoring: Scoring,
    ) -> Result<Self, ModelError> {
        let length = |one: &SizeBank| one.bank.length();
        let unfit = banks.iter().map(length).find(|&length| length != embedding.size);
        if let Some(bank) = unfit.or(banks.is_empty().then_some(0)) {
            return Err(ModelError::Dimension {
                bank,
                features: embedding.size,
            });
        }
        crop.check()?;
        Ok(Self {
            extractor,
            embedding,
            banks,
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

    /// The memory banks.
    pub fn banks(&self) -> &[SizeBank] {
        &self.banks
    }

    fn detect_one(&self, image: &RgbImage) -> Result<Detection, ModelError> {
        let seen = self.crop.cropped(image);
        let mut sizes = Vec::with_capacity(self.banks.len());
        for SizeBank { side, bank, usual } in &self.banks {
            let patches = patches(self.extractor.as_ref(), self.embedding, &[&seen], *side)?;
            let patches = patches.first().ok_or(ModelError::NoImages)?;
            sizes.push((self.scoring.compare(patches, bank, None)?, *usual));
        }
        self.scoring.detection(&sizes, &self.crop)
    }
}

/// The patches of images of one size, as the network sees them at `side` pixels a side; larger or smaller images are brought to it,
/// with antialiasing.
///
/// # Errors
/// As [`FeatureExtractor::features`].
pub fn patches(
    network: &dyn FeatureExtractor,
    embedding: Embedding,
    images: &[&RgbImage],
    side: u32,
) -> Result<Vec<Patches>, ModelError> {
    let fits = |image: &&RgbImage| image.dimensions() == (side, side);
    if images.iter().all(fits) {
        return embedding.patches(&network.features(images)?);
    }
    let resizing = Resizing::antialiased(side, side);
    let resized: Vec<RgbImage> = images.iter().map(|image| resizing.apply(image)).collect();
    embedding.patches(&network.features(&resized.iter().collect::<Vec<_>>())?)
}

impl Detector for PatchCore {
    fn resizing(&self) -> Resizing {
        Resizing::antialiased(self.crop.image.0, self.crop.image.1)
    }

    fn field_of_view(&self) -> Option<FieldOfView> {
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
