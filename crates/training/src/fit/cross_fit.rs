//! Scores of normal images that were all trained on, as if they had not been: each part of them is scored by a short training on the
//! others.

use candle_core::Device;
use flawforge_augment::Stream;
use flawforge_metrics::high_pixel;
use image::RgbImage;
use rand::seq::SliceRandom;

use super::RunPlan;
use super::prefetch::with_batches;
use super::progress::{Display, ProgressStyle};
use super::session::check_finite;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::methods::{Checked, Data};
use crate::recipe::{Highest, Recipe, Unseen, decoded};

/// What a cross-fitting needs to know of the training that it stands beside.
pub(super) struct CrossFit<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) data: &'a Data<'a>,
    pub(super) plan: &'a RunPlan,
    pub(super) device: &'a Device,
    pub(super) progress: &'a ProgressStyle,
    /// Whether it is to end.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
}

impl CrossFit<'_> {
    /// The scores of all images, in `folds` parts; the images are offered to `highest`. Nothing where the images without a part do not suffice for a training.
    ///
    /// A short training ends with a detector that has learnt less than the whole one, so its normal images score a little higher:
    /// a threshold on these scores keeps its promise, and may miss a little more.
    ///
    /// # Errors
    /// As those of a training.
    pub(super) fn scores(&self, folds: usize, highest: &mut Highest) -> Result<Option<Vec<Unseen>>> {
        let images = &self.data.category.train;
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.shuffle(&mut Stream::of_run(self.experiment.seed).rng("folds"));
        let mut scores = Vec::with_capacity(images.len());
        for fold in 0..folds {
            let of_fold = |&(place, _): &(usize, &usize)| place % folds == fold;
            let chosen = |inside: bool| {
                let places = order.iter().enumerate();
                let mut places: Vec<usize> = places
                    .filter(|one| of_fold(one) == inside)
                    .map(|(_, &image)| image)
                    .collect();
                places.sort_unstable();
                places
            };
            let Some(recipe) = self.trained(chosen(false), fold, folds)? else {
                return Ok(None);
            };
            let detector = self.experiment.looking_inside(recipe.detector()?);
            for chunk in chosen(true).chunks(self.experiment.evaluation.batch.max(1)) {
                let pictures = chunk.iter().map(|&place| &images[place]).collect::<Vec<_>>();
                let pictures = decoded(&pictures)?;
                let pictures: Vec<&RgbImage> = pictures.iter().map(AsRef::as_ref).collect();
                for (&place, detection) in chunk.iter().zip(detector.detect(&pictures)?) {
                    highest.offer(place, detection.verdict_score, &detection.map);
                    scores.push(Unseen {
                        place,
                        score: detection.verdict_score,
                        pixel: high_pixel(&detection.map.scores),
                    });
                }
            }
        }
        scores.sort_by_key(|one| one.place);
        Ok(Some(scores))
    }

    /// A recipe after a short training on some of the images.
    fn trained(&self, kept: Vec<usize>, fold: usize, folds: usize) -> Result<Option<Box<dyn Recipe>>> {
        let method = self.experiment.settings.assembly();
        let small = self.experiment.made_small(self.data.category);
        let Ok(pools) = method.pools(kept) else {
            return Ok(None);
        };
        let data = Data {
            category: self.data.category,
            pools,
            textures: self.data.textures.clone(),
            normals: self.data.normals.clone(),
            inside: self.data.inside,
        };
        let batches = Checked {
            batches: self.experiment.batches(&data, small.as_ref()),
            normals: data.normals.clone(),
        };
        // Not those of a warm start: these trainings begin with initial weights.
        let whole = method.steps(self.data.category.train.len());
        let share = whole as f64 * self.experiment.calibration.fold_steps;
        let plan = RunPlan {
            steps: (share.round() as u64).max(1),
            schedule: method.schedule().cloned(),
            ..self.plan.clone()
        };
        let mut recipe = self.experiment.recipe(self.device)?;
        recipe.expect(plan.steps);
        recipe.begin()?;
        let label = format!("cross-fitting {} of {folds}", fold + 1);
        let mut display = Display::new(self.progress, &label, plan.steps, 0);
        with_batches(&batches, 0..plan.steps, |batches| {
            for batch in batches {
                if (self.is_stopped)() {
                    return Err(TrainingError::Stopped);
                }
                let batch = batch?;
                let losses = recipe.step(&batch, plan.rate(batch.step))?;
                check_finite(&losses, batch.step + 1, || batch.names())?;
                display.step();
            }
            for losses in recipe.pending_losses()? {
                check_finite(&losses, plan.steps, || format!("a batch of {label}"))?;
            }
            recipe.finish()
        })?;
        Ok(Some(recipe))
    }
}
