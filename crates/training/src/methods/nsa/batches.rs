//! NSA's batches: random parts of normal images with patches of others blended in.

use flawforge_augment::{Kind, Nsa, Parameters, Preparation, Sample, Stream, keep_inside, to_float};
use flawforge_datasets::TrainImage;
use flawforge_masks::{Mask, OUTSIDE};
use image::Rgb;
use rand::Rng;
use rayon::prelude::*;

use super::preparation::prepare;
use crate::error::{Result, TrainingError};
use crate::recipe::{Batch, BatchSource, Part, Pool, drawn};
use crate::settings::Draw;
use crate::windowing::{Windowing, shown};

/// Batches of NSA.
pub(crate) struct NsaBatches<'a> {
    pub(crate) images: &'a [TrainImage],
    pub(crate) pool: Pool,
    pub(crate) draw: Draw,
    pub(crate) simulator: Nsa,
    pub(crate) preparation: Preparation,
    /// Side of what the network sees, in pixels.
    pub(crate) side: u32,
    pub(crate) max_degrees: f64,
    pub(crate) seed: u64,
    pub(crate) windowing: Option<Windowing>,
    /// Whether images tell a region of interest, in which alone patches are blended.
    pub(crate) inside: bool,
}

impl NsaBatches<'_> {
    /// A sample of the training image at `index`, and its label.
    fn sample(&self, index: usize, stream: Stream) -> Result<(Sample, Vec<f32>)> {
        let prepared = |index: usize, purpose: &str| {
            let mut rng = stream.rng(purpose);
            let image = shown(self.windowing.as_ref(), self.images[index].image()?, stream);
            // NSA's code leaves corners black; where images tell a region, corners are no part of it.
            let corners = match self.inside {
                true => OUTSIDE,
                false => Rgb([0; 3]),
            };
            let prepared = prepare(
                self.preparation,
                &image,
                self.side,
                self.max_degrees,
                corners,
                &mut rng,
            );
            Ok::<_, TrainingError>(prepared)
        };
        let normal = prepared(index, "nsa destination")?;
        // NSA's code takes the image that was asked for before, under shuffling any other one.
        let others = self.pool.images.len() - 1;
        let source = match others {
            0 => index,
            _ => {
                let place = stream.rng("nsa source image").random_range(0..others);
                let candidate = self.pool.images[place];
                if candidate == index {
                    self.pool.images[others]
                } else {
                    candidate
                }
            }
        };
        let source = prepared(source, "nsa source")?;
        let (width, height) = normal.dimensions();
        let made = self.simulator.blend(&normal, &source, &mut stream.rng("nsa"));
        let kept = made.and_then(|mut made| {
            let mut image = to_float(&made.image);
            if self.inside && !keep_inside(&normal, &mut image, &mut made.mask) {
                return None;
            }
            if self.inside {
                let pairs = made.label.iter_mut().zip(normal.pixels());
                pairs
                    .filter(|(_, pixel)| **pixel == OUTSIDE)
                    .for_each(|(label, _)| *label = 0.0);
            }
            Some((image, made))
        });
        Ok(match kept {
            Some((image, made)) => (
                Sample {
                    normal,
                    image,
                    mask: made.mask,
                    kind: Some(Kind::Nsa),
                    parameters: made.parameters,
                },
                made.label,
            ),
            None => (
                Sample {
                    image: to_float(&normal),
                    normal,
                    mask: Mask::empty(width, height),
                    kind: None,
                    parameters: Parameters::new(),
                },
                vec![0.0; width as usize * height as usize],
            ),
        })
    }
}

impl BatchSource for NsaBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let indices: Vec<usize> = (0..self.pool.batch)
            .map(|slot| drawn(self.draw, self.seed, &self.pool, step, slot, 0))
            .collect();
        let made: Vec<(Sample, Vec<f32>)> = indices
            .par_iter()
            .enumerate()
            .map(|(slot, &index)| {
                let stream = Stream {
                    seed: self.seed,
                    step,
                    index: slot as u64,
                };
                self.sample(index, stream)
            })
            .collect::<Result<_>>()?;
        let (samples, labels) = made.into_iter().unzip();
        let names = indices.iter().map(|&index| self.images[index].name.clone());
        let part = Part {
            samples,
            names: names.collect(),
            labels,
        };
        Ok(Batch {
            step,
            parts: vec![part],
        })
    }
}
