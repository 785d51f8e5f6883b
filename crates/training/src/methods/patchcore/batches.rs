//! PatchCore's batches: unchanged normal images.

use flawforge_datasets::TrainImage;

use crate::error::Result;
use crate::methods::one_pass::unchanged;
use crate::recipe::{Batch, BatchSource};

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
        let chosen: Vec<&TrainImage> = chosen.iter().map(|&index| &self.images[index]).collect();
        Ok(Batch {
            step,
            parts: vec![unchanged(&chosen)?],
        })
    }
}
