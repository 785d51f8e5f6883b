//! PatchCore's batches: unchanged normal images.

use flawforge_augment::{Parameters, Sample};
use flawforge_datasets::TrainImage;
use flawforge_masks::Mask;
use image::RgbImage;

use crate::error::Result;
use crate::recipe::{Batch, BatchSource, Part, decoded};

/// Unchanged normal images, each once, in order.
pub(crate) struct PlainBatches<'a> {
    pub(super) images: &'a [TrainImage],
    /// Positions of those that are taken.
    pub(super) chosen: Vec<usize>,
    /// Images a step.
    pub(super) batch: usize,
}

impl BatchSource for PlainBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let from = (step as usize).saturating_mul(self.batch).min(self.chosen.len());
        let chosen = &self.chosen[from..(from + self.batch).min(self.chosen.len())];
        let sample = |image: &RgbImage| {
            let normal = flawforge_augment::to_float(image);
            Sample {
                image: normal.clone(),
                normal,
                mask: Mask::empty(image.width(), image.height()),
                kind: None,
                parameters: Parameters::new(),
            }
        };
        let chosen: Vec<&TrainImage> = chosen.iter().map(|&index| &self.images[index]).collect();
        let part = Part {
            samples: decoded(&chosen)?.iter().map(|image| sample(image)).collect(),
            names: chosen.iter().map(|image| image.name.clone()).collect(),
            labels: Vec::new(),
        };
        Ok(Batch {
            step,
            parts: vec![part],
        })
    }
}
