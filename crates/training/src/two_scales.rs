//! A method at two scales at once: a recipe on whole images made small, and one on windows at the scale of the images.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use flawforge_datasets::{Category, TrainImage};
use flawforge_metrics::high_pixel;
use flawforge_models::{Detector, ModelError, TwoScales, UsualScores};
use flawforge_resample::Resizing;
use image::RgbImage;

use crate::error::Result;
use crate::recipe::{Batch, BatchSource, Losses, Recipe, below, prefixed};

const WHOLE: &str = "whole";
const TILES: &str = "tiles";
const USUAL: &str = "usual";

/// Normal images of each scale whose maps tell what is usual (proposal).
const TELLING: usize = 16;

/// Both recipes learn from every batch, each from its own parts.
pub(crate) struct TwoScaleRecipe {
    whole: Box<dyn Recipe>,
    tiles: Box<dyn Recipe>,
    /// The first normal images of each, until the end of the training.
    seen: [Vec<RgbImage>; 2],
    usual: Option<UsualScores>,
}

impl TwoScaleRecipe {
    pub(crate) fn new(whole: Box<dyn Recipe>, tiles: Box<dyn Recipe>) -> Self {
        Self {
            whole,
            tiles,
            seen: [Vec::new(), Vec::new()],
            usual: None,
        }
    }

    fn both(&mut self) -> [&mut dyn Recipe; 2] {
        [self.whole.as_mut(), self.tiles.as_mut()]
    }

    /// What is usual for a detector of what the batches showed.
    fn usual_of(recipe: &dyn Recipe, seen: &[RgbImage]) -> Result<f32> {
        // Scores as if the image had not been seen are better, where a method has them.
        let pixels: Vec<f32> = match recipe.unseen_scores() {
            Some(unseen) if !unseen.is_empty() => unseen.iter().map(|one| one.pixel).collect(),
            _ => {
                let detector = recipe.batch_detector()?;
                let mut pixels = Vec::with_capacity(seen.len());
                for image in seen {
                    let found = detector.detect(&[image])?;
                    pixels.extend(found.iter().map(|one| high_pixel(&one.map.scores)));
                }
                pixels
            }
        };
        let mean = pixels.iter().sum::<f32>() / pixels.len().max(1) as f32;
        Ok(if mean > 0.0 { mean } else { 1.0 })
    }

    fn detector_of(&self, whole: Box<dyn Detector>, tiles: Box<dyn Detector>) -> Box<dyn Detector> {
        // Before the end of a training nothing is usual: a picture on the way shows both as they are.
        let usual = self.usual.unwrap_or(UsualScores {
            whole: 1.0,
            tiles: 1.0,
        });
        Box::new(TwoScales::new(whole, tiles, usual))
    }

    fn take_usual(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.usual = match state.get(USUAL) {
            None => None,
            Some(tensor) => {
                let numbers: Vec<f32> = tensor.to_vec1()?;
                let &[whole, tiles] = numbers.as_slice() else {
                    let name = USUAL.to_owned();
                    return Err(ModelError::MissingTensor { name }.into());
                };
                Some(UsualScores { whole, tiles })
            }
        };
        Ok(())
    }
}

/// The losses of both under names of their own.
fn named(losses: Losses, tiles: bool) -> Losses {
    let name = |name: &'static str| match (tiles, name) {
        (false, _) => name,
        (true, "l2") => "l2 (tiles)",
        (true, "ssim") => "ssim (tiles)",
        (true, "focal") => "focal (tiles)",
        (true, "truncated_l1") => "truncated_l1 (tiles)",
        (true, "mse") => "mse (tiles)",
        (true, "bce") => "bce (tiles)",
        (true, _) => "loss (tiles)",
    };
    losses.into_iter().map(|(of, loss)| (name(of), loss)).collect()
}

impl Recipe for TwoScaleRecipe {
    fn expect(&mut self, steps: u64) {
        self.both().into_iter().for_each(|recipe| recipe.expect(steps));
    }

    fn begin(&mut self) -> Result<()> {
        self.both().into_iter().try_for_each(|recipe| recipe.begin())
    }

    fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<Losses> {
        let (whole, tiles) = batch.parts.split_at(batch.parts.len() / 2);
        let mut losses = Losses::new();
        for (of_tiles, parts) in [(false, whole), (true, tiles)] {
            let seen = &mut self.seen[usize::from(of_tiles)];
            let samples = parts.iter().flat_map(|part| &part.samples);
            let room = TELLING - seen.len().min(TELLING);
            seen.extend(samples.take(room).map(|sample| sample.normal.clone()));
            let batch = Batch {
                step: batch.step,
                parts: parts.to_vec(),
            };
            let recipe = if of_tiles {
                &mut self.tiles
            } else {
                &mut self.whole
            };
            losses.extend(named(recipe.step(&batch, learning_rate)?, of_tiles));
        }
        Ok(losses)
    }

    fn pending_losses(&mut self) -> Result<Vec<Losses>> {
        let whole = self.whole.pending_losses()?;
        let tiles = self.tiles.pending_losses()?;
        Ok(match whole.is_empty() {
            true => tiles.into_iter().map(|losses| named(losses, true)).collect(),
            false => {
                let mut tiles = tiles.into_iter();
                let joined = whole.into_iter().map(|mut losses| {
                    losses.extend(named(tiles.next().unwrap_or_default(), true));
                    losses
                });
                joined.collect()
            }
        })
    }

    fn finish(&mut self) -> Result<()> {
        self.both().into_iter().try_for_each(|recipe| recipe.finish())?;
        self.usual = Some(UsualScores {
            whole: Self::usual_of(self.whole.as_ref(), &self.seen[0])?,
            tiles: Self::usual_of(self.tiles.as_ref(), &self.seen[1])?,
        });
        self.seen = [Vec::new(), Vec::new()];
        Ok(())
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state: Vec<_> = prefixed(WHOLE, self.whole.state()?).collect();
        state.extend(prefixed(TILES, self.tiles.state()?));
        if let Some(usual) = self.usual {
            let numbers = Tensor::new(&[usual.whole, usual.tiles], &Device::Cpu)?;
            state.push((USUAL.to_owned(), numbers));
            return Ok(state);
        }
        // A training that goes on tells the same in the end as one that was not interrupted.
        for (name, seen) in [WHOLE, TILES].into_iter().zip(&self.seen) {
            for (place, image) in seen.iter().enumerate() {
                let shape = (image.height() as usize, image.width() as usize, 3);
                let tensor = Tensor::from_vec(image.as_raw().clone(), shape, &Device::Cpu)?;
                state.push((format!("seen.{name}.{place}"), tensor));
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        self.whole.restore(&below(WHOLE, state), steps)?;
        self.tiles.restore(&below(TILES, state), steps)?;
        for (name, seen) in [WHOLE, TILES].into_iter().zip(&mut self.seen) {
            let kept: BTreeMap<usize, Tensor> = below(&format!("seen.{name}"), state)
                .into_iter()
                .filter_map(|(place, tensor)| Some((place.parse().ok()?, tensor)))
                .collect();
            *seen = Vec::with_capacity(kept.len());
            for tensor in kept.values() {
                let (height, width, _) = tensor.dims3()?;
                let bytes = tensor.flatten_all()?.to_vec1::<u8>()?;
                seen.extend(RgbImage::from_raw(width as u32, height as u32, bytes));
            }
        }
        self.take_usual(state)
    }

    fn begins_anew(&self) -> bool {
        self.whole.begins_anew() || self.tiles.begins_anew()
    }

    fn weights(&self) -> Result<Option<Vec<(String, Tensor)>>> {
        let (whole, tiles) = (self.whole.weights()?, self.tiles.weights()?);
        let (Some(whole), Some(tiles)) = (whole, tiles) else {
            return Ok(None);
        };
        let mut weights: Vec<_> = prefixed(WHOLE, whole).chain(prefixed(TILES, tiles)).collect();
        if let Some(usual) = self.usual {
            let numbers = Tensor::new(&[usual.whole, usual.tiles], &Device::Cpu)?;
            weights.push((USUAL.to_owned(), numbers));
        }
        Ok(Some(weights))
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.whole.restore_weights(&below(WHOLE, state))?;
        self.tiles.restore_weights(&below(TILES, state))?;
        self.take_usual(state)
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        Ok(self.detector_of(self.whole.detector()?, self.tiles.detector()?))
    }

    fn telling(&self) -> Result<Box<dyn Detector>> {
        Ok(self.detector_of(self.whole.telling()?, self.tiles.telling()?))
    }

    fn batch_detector(&self) -> Result<Box<dyn Detector>> {
        // Panels show what the networks of whole images make of their parts.
        self.whole.batch_detector()
    }
}

/// The batches of both, those of whole images first.
pub(crate) struct TwoScaleBatches<'a> {
    pub(crate) whole: Box<dyn BatchSource + 'a>,
    pub(crate) tiles: Box<dyn BatchSource + 'a>,
}

impl BatchSource for TwoScaleBatches<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let mut parts = self.whole.batch(step)?.parts;
        parts.extend(self.tiles.batch(step)?.parts);
        Ok(Batch { step, parts })
    }
}

/// The category's normal images made small as a whole, one after the other when it is wanted.
pub(crate) fn made_small(category: &Category, resizing: Resizing) -> Category {
    let small = |image: &TrainImage| image.made_small(resizing);
    Category {
        name: category.name.clone(),
        train: category.train.iter().map(small).collect(),
        ..Category::default()
    }
}
