//! The detector.

use std::sync::Arc;

use flawforge_onnx::{Graph, Value};
use flawforge_resample::Resizing;
use image::RgbImage;
use rayon::prelude::*;

use super::{FeatureMap, Fusion, Head, SizedBank};
use crate::detector::check_sizes;
use crate::export::{GraphPlace, Outputs};
use crate::patchcore::FeatureExtractor;
use crate::{AnomalyMap, Detection, Detector, MapScores, ModelError, Place};

/// Which of a network's maps the memory banks compare: all but the finest, which the head sees too.
pub fn compared(maps: &[FeatureMap]) -> &[FeatureMap] {
    maps.get(1..).unwrap_or_default()
}

/// The map that a bank of details compares: the finest.
pub fn finest(maps: &[FeatureMap]) -> &[FeatureMap] {
    maps.get(..1).unwrap_or_default()
}

/// A detector by memory banks at several sizes, and a head that was trained on simulated anomalies.
///
/// Scores are in standard deviations of normal images: 0 is usual, there is no upper bound.
#[derive(Clone)]
pub struct Forge {
    pub(super) network: Arc<dyn FeatureExtractor>,
    /// Width and height in pixels of the images that are taken.
    pub(super) size: (u32, u32),
    pub(super) banks: Vec<SizedBank>,
    pub(super) head: Option<Head>,
    pub(super) fusion: Fusion,
    full_scale: f32,
}

impl Forge {
    /// A detector of images of this width and height in pixels, by a network that gives its maps at all [strides](crate::patchcore::STRIDES).
    /// Behind the banks of the sizes comes that of details, at the first size, if the fusion knows of one.
    ///
    /// # Errors
    /// No bank, or another number of them than the fusion knows of.
    pub fn new(
        network: Arc<dyn FeatureExtractor>,
        size: (u32, u32),
        banks: Vec<SizedBank>,
        head: Option<Head>,
        fusion: Fusion,
    ) -> Result<Self, ModelError> {
        let known = fusion.usual.len() + usize::from(fusion.details.is_some());
        if banks.is_empty() || fusion.usual.is_empty() || banks.len() != known {
            return Err(ModelError::Vectors {
                count: banks.len(),
                dimension: known,
            });
        }
        Ok(Self {
            network,
            size,
            banks,
            head,
            fusion,
            full_scale: 1.0,
        })
    }

    /// The same detector, telling pictures to show this score as fully anomalous.
    #[must_use]
    pub fn with_full_scale(mut self, score: f32) -> Self {
        self.full_scale = score;
        self
    }

    /// The banks at each size.
    pub(super) fn sizes(&self) -> &[SizedBank] {
        &self.banks[..self.fusion.usual.len()]
    }

    /// The bank of details.
    pub(super) fn details(&self) -> Option<&SizedBank> {
        self.banks.get(self.fusion.usual.len())
    }

    fn detect_one(&self, image: &RgbImage, place: Place) -> Result<Detection, ModelError> {
        let mut distances = Vec::with_capacity(self.banks.len());
        let mut details = None;
        let mut probabilities = None;
        for (number, bank) in self.sizes().iter().enumerate() {
            let maps = seen(self.network.as_ref(), image, bank.size)?;
            distances.push(self.fusion.smooth(&bank.distances(compared(&maps), place)?));
            if number > 0 {
                continue;
            }
            if let Some(bank) = self.details() {
                details = Some(self.fusion.smooth(&bank.distances(finest(&maps), place)?));
            }
            if let Some(head) = &self.head {
                probabilities = Some(self.fusion.smooth(&head.probabilities(&maps)?));
            }
        }
        distances.extend(details);
        let map = self
            .fusion
            .fused(&self.fusion.sum(&distances), probabilities.as_ref());
        let score = self.fusion.score(&map);
        Ok(Detection {
            score,
            verdict_score: score,
            map,
            reconstruction: None,
        })
    }
}

/// What a network sees of an image that is brought to this width and height, multiples of 32: its maps at [`STRIDES`], each number
/// the mean of 3×3 places.
///
/// # Errors
/// As [`FeatureExtractor::features`].
///
/// [`STRIDES`]: crate::patchcore::STRIDES
pub fn seen(
    network: &dyn FeatureExtractor,
    image: &RgbImage,
    (width, height): (u32, u32),
) -> Result<Vec<FeatureMap>, ModelError> {
    let mut maps = Vec::new();
    for batch in network.features(&[&Resizing::antialiased(width, height).apply(image)])? {
        maps.extend(FeatureMap::all(&batch)?.iter().map(FeatureMap::mean3));
    }
    Ok(maps)
}

impl Detector for Forge {
    fn resizing(&self) -> Resizing {
        Resizing::antialiased(self.size.0, self.size.1)
    }

    fn full_scale(&self) -> f32 {
        self.full_scale
    }

    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        let score = self.fusion.score(map);
        MapScores {
            score,
            verdict_score: score,
        }
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.scored(graph, map)
    }

    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        self.outputs(graph, images, None)
    }

    fn graph_at(&self, graph: &mut Graph, parts: Value, place: GraphPlace) -> Result<Outputs, ModelError> {
        self.outputs(graph, parts, Some(place))
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let whole: Vec<(&RgbImage, Place)> = images.iter().map(|&image| (image, Place::WHOLE)).collect();
        self.detect_at(&whole)
    }

    /// The place matters where the banks [know it](super::Weights::position).
    fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
        check_sizes(
            &parts.iter().map(|&(image, _)| image).collect::<Vec<_>>(),
            self.size,
        )?;
        // Next to each other: small maps leave cores idle between the parallel parts of one image.
        let parts = parts
            .par_iter()
            .map(|&(image, place)| self.detect_one(image, place));
        parts.collect()
    }
}
