//! Batches of two-network training, each a function of its step's number alone.

use std::borrow::Cow;

use flawforge_augment::{Simulation, Stream};
use flawforge_datasets::TrainImage;
use image::RgbImage;

use crate::error::Result;
use crate::recipe::{Batch, BatchSource, Part, Pool, decoded, drawn};
use crate::settings::Draw;
use crate::windowing::{Windowing, shown};

/// Batches of samples simulated on images drawn from one or more pools.
pub struct SimulatedBatches<'a> {
    /// All training images.
    pub images: &'a [TrainImage],
    /// Pools, one for each part of a batch.
    pub pools: Vec<Pool>,
    /// How images are drawn.
    pub draw: Draw,
    /// The simulation.
    pub simulation: Simulation,
    /// Seed of the draws and of the simulation.
    pub seed: u64,
    /// How images of any size are seen; without, they are all of one size.
    pub windowing: Option<Windowing>,
}

impl BatchSource for SimulatedBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let mut first = 0;
        let mut parts = Vec::with_capacity(self.pools.len());
        for pool in &self.pools {
            let drawn: Vec<&TrainImage> = (0..pool.batch)
                .map(|slot| &self.images[drawn(self.draw, self.seed, pool, step, slot, first)])
                .collect();
            let streams: Vec<Stream> = (0..pool.batch)
                .map(|slot| Stream {
                    seed: self.seed,
                    step,
                    index: (first + slot) as u64,
                })
                .collect();
            let images: Vec<Cow<'_, RgbImage>> = decoded(&drawn)?
                .into_iter()
                .zip(&streams)
                .map(|(image, &stream)| shown(self.windowing.as_ref(), image, stream))
                .collect();
            let normals: Vec<&RgbImage> = images.iter().map(AsRef::as_ref).collect();
            parts.push(Part {
                samples: self.simulation.batch(&normals, &streams),
                names: drawn.iter().map(|image| image.name.clone()).collect(),
                labels: Vec::new(),
            });
            first += pool.batch;
        }
        Ok(Batch { step, parts })
    }
}
