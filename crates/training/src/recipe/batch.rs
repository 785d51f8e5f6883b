//! Batches of simulated samples, each a function of its step's number alone.

use std::borrow::Cow;

use flawforge_augment::{Sample, Stream};
use flawforge_datasets::{DatasetError, TrainImage};
use image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::error::Result;
use crate::settings::Draw;

/// The samples of a step for one purpose; under split training there are two of them, X and Y.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The samples: reconstruction target, network input and mask.
    pub samples: Vec<Sample>,
    /// Names of the training images that they were made of.
    pub names: Vec<String>,
    /// How anomalous each pixel is, row-major, where that is finer than the masks; in the order of the samples, or empty.
    pub labels: Vec<Vec<f32>>,
}

/// What one step consumes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The step, counted from 0.
    pub step: u64,
    /// Its parts, in the order that the recipe asked for.
    pub parts: Vec<Part>,
}

impl Batch {
    /// Names of all training images in the batch, for messages.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self
            .parts
            .iter()
            .flat_map(|part| &part.names)
            .map(String::as_str)
            .collect();
        names.join(", ")
    }
}

/// Makes the batch of any step. Called on a thread of its own, ahead of the step.
pub trait BatchSource: Send + Sync {
    /// The batch of `step` (counted from 0); the same bytes whenever it is asked for.
    ///
    /// # Errors
    /// An image that is decoded only now can no longer be read, or has changed.
    fn batch(&self, step: u64) -> Result<Batch>;
}

/// Decodes images that are not held, on all threads of the current pool.
///
/// # Errors
/// As [`TrainImage::image`].
pub fn decoded<'a>(images: &[&'a TrainImage]) -> Result<Vec<Cow<'a, RgbImage>>> {
    let images = images.par_iter().map(|image| image.image());
    Ok(images.collect::<Result<_, DatasetError>>()?)
}

/// A set of images from which each step draws.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Positions in the list of training images; not empty.
    pub images: Vec<usize>,
    /// Images a step.
    pub batch: usize,
}

/// The image in `slot` of `pool` at `step`; `first` is the number of slots in the pools before it.
pub fn drawn(draw: Draw, seed: u64, pool: &Pool, step: u64, slot: usize, first: usize) -> usize {
    let count = pool.images.len();
    let position = match draw {
        Draw::WithReplacement => {
            let index = (first + slot) as u64;
            let stream = Stream { seed, step, index };
            stream.rng("image").random_range(0..count)
        }
        Draw::Shuffled => {
            let place = step as usize * pool.batch + slot;
            let (epoch, index) = ((place / count) as u64, first as u64);
            let mut order: Vec<usize> = (0..count).collect();
            order.shuffle(
                &mut Stream {
                    seed,
                    step: epoch,
                    index,
                }
                .rng("shuffle"),
            );
            order[place % count]
        }
    };
    pool.images[position]
}
