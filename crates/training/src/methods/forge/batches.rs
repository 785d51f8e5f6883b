//! Forge's batches: every normal image once, unchanged; then simulated anomalies.

use flawforge_augment::{Simulation, Stream};
use flawforge_datasets::TrainImage;

use crate::error::Result;
use crate::methods::one_pass::{Relit, normals};
use crate::recipe::{Batch, BatchSource, Part};
use crate::windowing::{Windowing, shown};

/// First the unchanged images in order, beside them their copies in another light, then simulated anomalies on images in the same order.
pub(super) struct ForgeBatches<'a> {
    pub(super) images: &'a [TrainImage],
    /// Positions of those that are taken.
    pub(super) chosen: Vec<usize>,
    /// Images a step.
    pub(super) batch: usize,
    /// Simulated anomalies in all.
    pub(super) simulated: usize,
    pub(super) simulation: Simulation,
    pub(super) seed: u64,
    pub(super) windowing: Option<Windowing>,
    /// How copies of normal images in another light are made, if they are.
    pub(super) relit: Option<Relit>,
}

/// Steps for `images` normal images and `simulated` anomalies.
pub(super) fn steps(images: usize, simulated: usize, batch: usize) -> u64 {
    let batch = batch.max(1);
    (images.div_ceil(batch) + simulated.div_ceil(batch)) as u64
}

impl BatchSource for ForgeBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let plain = steps(self.chosen.len(), 0, self.batch);
        let of = |step: u64, count: usize| {
            let from = (step as usize).saturating_mul(self.batch).min(count);
            from..(from + self.batch).min(count)
        };
        if step < plain {
            let chosen = &self.chosen[of(step, self.chosen.len())];
            return Ok(Batch {
                step,
                parts: normals(self.images, chosen, self.relit.as_ref())?,
            });
        }
        let mut part = Part::default();
        for index in of(step - plain, self.simulated) {
            // Spread over all images, so that few anomalies are not all on the first.
            let place = self.chosen[index * self.chosen.len() / self.simulated.max(1) % self.chosen.len()];
            let image = &self.images[place];
            let stream = Stream {
                seed: self.seed,
                step: 0,
                index: index as u64,
            };
            part.names.push(image.name.clone());
            let image = shown(self.windowing.as_ref(), image.image()?, stream);
            part.samples.push(self.simulation.sample(&image, stream));
        }
        Ok(Batch {
            step,
            parts: vec![part],
        })
    }
}
