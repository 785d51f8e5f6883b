//! From distances of patches to a map and an image score.

use flawforge_ops::vectors::Among;

use super::embedding::Patches;
use super::memory::MemoryBank;
use super::smoothing::gaussian_blur;
use crate::{AnomalyMap, CenterCrop, Detection, ModelError};

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

/// The patches of one image compared with a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The squared distance of each patch to its nearest vector.
    pub squared: AnomalyMap,
    /// The image's score by these alone.
    pub score: f32,
}

impl Scoring {
    /// Compares the patches of an image with a bank; with `among`, with those of its vectors alone.
    ///
    /// # Errors
    /// As [`MemoryBank::nearest`].
    pub fn compare(
        &self,
        patches: &Patches,
        bank: &MemoryBank,
        among: Option<&Among>,
    ) -> Result<Compared, ModelError> {
        let neighbors = match among {
            None => bank.nearest(&patches.vectors)?,
            Some(among) => bank.nearest_among(among, &patches.vectors)?,
        };
        let mut farthest = 0;
        for (place, neighbor) in neighbors.iter().enumerate() {
            if neighbor.squared > neighbors[farthest].squared {
                farthest = place;
            }
        }
        let nearest = *neighbors.get(farthest).ok_or(ModelError::NoImages)?;
        let score = match self.reweight {
            None => nearest.squared,
            Some(count) => {
                let query = &patches.vectors[farthest * bank.length()..][..bank.length()];
                bank.reweighted(query, nearest, count, among)
            }
        };
        Ok(Compared {
            score,
            squared: AnomalyMap {
                width: patches.width as u32,
                height: patches.height as u32,
                scores: neighbors.iter().map(|neighbor| neighbor.squared).collect(),
            },
        })
    }

    /// What is detected in a crop, from what was compared at several sizes, each with what counts as far there: the mean squared
    /// distance of normal patches.
    ///
    /// At one size these are the official map and score, in squared distances, whatever counts as far. At several, maps are summed
    /// in units of what counts as far, and the score is the largest of the smoothed sum (proposal).
    ///
    /// # Errors
    /// As [`CenterCrop::placed`].
    pub fn detection(&self, sizes: &[(Compared, f32)], crop: &CenterCrop) -> Result<Detection, ModelError> {
        let (width, height) = crop.crop;
        let (smooth, score) = match sizes {
            [(one, _)] => {
                let map = one.squared.resized_as_pytorch(width, height);
                (gaussian_blur(&map, self.sigma), one.score)
            }
            _ => {
                let mut scores = vec![0.0; width as usize * height as usize];
                for (compared, usual) in sizes {
                    let map = compared.squared.resized_as_pytorch(width, height);
                    for (sum, score) in scores.iter_mut().zip(&map.scores) {
                        *sum += score / usual;
                    }
                }
                let sum = AnomalyMap {
                    width,
                    height,
                    scores,
                };
                let map = gaussian_blur(&sum, self.sigma);
                let largest = map.scores.iter().copied().fold(0.0, f32::max);
                (map, largest)
            }
        };
        Ok(Detection {
            map: crop.placed(smooth)?.resized_as_pytorch(crop.map.0, crop.map.1),
            score,
            verdict_score: score,
            reconstruction: None,
        })
    }
}
