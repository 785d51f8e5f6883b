//! PatchCore's batches: unchanged normal images, and copies of them in another light.

use flawforge_datasets::TrainImage;

use crate::error::Result;
use crate::methods::one_pass::{Relit, normals};
use crate::recipe::{Batch, BatchSource};

/// Unchanged normal images, each once, in order; beside them their copies.
pub(crate) struct PlainBatches<'a> {
    pub(super) images: &'a [TrainImage],
    /// Positions of those that are taken.
    pub(super) chosen: Vec<usize>,
    /// Images a step.
    pub(super) batch: usize,
    /// How copies in another light are made, if they are.
    pub(super) relit: Option<Relit>,
}

impl BatchSource for PlainBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let from = (step as usize).saturating_mul(self.batch).min(self.chosen.len());
        let chosen = &self.chosen[from..(from + self.batch).min(self.chosen.len())];
        Ok(Batch {
            step,
            parts: normals(self.images, chosen, self.relit.as_ref())?,
        })
    }
}
