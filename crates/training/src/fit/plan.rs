//! What the loop is told about a run, and checks of the data before the first step.

use flawforge_augment::{Stream, TextureSource};
use flawforge_datasets::{Appearance, Category, Sizing};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::Value;

use super::checkpoint::DataDigests;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::settings::{Intervals, Schedule, Split};

/// A run as the loop sees it.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// Name in front of the progress bar and over panels.
    pub label: String,
    /// Everything that decides what is learnt, as JSON. A run is resumed only where this is equal.
    pub settings: Value,
    /// Digests of the images and textures that it is learnt from.
    pub data: DataDigests,
    /// Steps of the whole training.
    pub steps: u64,
    /// The learning rate; without one it is 0 in every step.
    pub schedule: Option<Schedule>,
    /// Intervals of journal, checkpoints and panels.
    pub every: Intervals,
}

impl RunPlan {
    /// The learning rate of `step`, counted from 0.
    pub(super) fn rate(&self, step: u64) -> f64 {
        self.schedule
            .as_ref()
            .map_or(0.0, |schedule| schedule.rate(step, self.steps))
    }
}

/// Whether there are training images, and all images have the size that the method wants; or what is wrong.
pub(crate) fn check_images(category: &Category, experiment: &Experiment) -> std::result::Result<(), String> {
    if category.train.is_empty() {
        return Err("has no normal images to train on".to_owned());
    }
    let Sizing::Exactly((width, height)) = experiment.loading().image else {
        return Ok(());
    };
    let train = category
        .train
        .iter()
        .map(|image| (&image.name, image.dimensions()));
    let test = category
        .test
        .iter()
        .map(|image| (&image.name, image.image.dimensions()));
    for (name, (found_width, found_height)) in train.chain(test) {
        if (found_width, found_height) != (width, height) {
            return Err(format!(
                "image {name} was loaded at {found_width}x{found_height}, but the method wants {width}x{height}"
            ));
        }
    }
    Ok(())
}

/// Positions kept for training, and those held out, both ascending.
pub(crate) fn hold_out(count: usize, experiment: &Experiment) -> (Vec<usize>, Vec<usize>) {
    let share = match experiment.calibration.split(count) {
        Split::HeldOut(share) => share,
        Split::Folds(_) | Split::None => 0,
    };
    let mut order: Vec<usize> = (0..count).collect();
    if share > 0 {
        order.shuffle(&mut Stream::of_run(experiment.seed).rng("held out"));
    }
    let mut held_out = order.split_off(count - share);
    order.sort_unstable();
    held_out.sort_unstable();
    (order, held_out)
}

/// As [`hold_out`], of the images of a category; those that the experiment names are held out, if it names any. The error says
/// which name no image has.
pub(super) fn hold_out_of(
    category: &Category,
    experiment: &Experiment,
) -> std::result::Result<(Vec<usize>, Vec<usize>), String> {
    let names = &experiment.calibration.held_out_names;
    if names.is_empty() {
        return Ok(hold_out(category.train.len(), experiment));
    }
    let is_there = |name: &&String| category.train.iter().any(|image| image.name == **name);
    if let Some(absent) = names.iter().find(|name| !is_there(name)) {
        return Err(format!("has no image {absent} to hold out"));
    }
    let is_held = |place: &usize| names.contains(&category.train[*place].name);
    let (held_out, kept) = (0..category.train.len()).partition(is_held);
    Ok((kept, held_out))
}

/// What tells the data of one run from those of another; or what is wrong with the textures.
pub(super) fn digests(category: &Category, textures: &dyn TextureSource, side: u32) -> Result<DataDigests> {
    let texture = textures.texture(side, side, &mut Stream::default().rng("texture probe"));
    if texture.dimensions() != (side, side) {
        let (width, height) = texture.dimensions();
        return Err(TrainingError::Data {
            category: category.name.clone(),
            fault: format!("a texture came as {width}x{height} instead of {side}x{side}"),
        });
    }
    let looks: Vec<_> = category
        .train
        .par_iter()
        .map(|train| (train.look(), train.size))
        .collect();
    Ok(DataDigests {
        images: category.train_digest()?,
        each: looks.iter().map(|(look, _)| look.short_digest()).collect(),
        appearance: Appearance::of(looks.iter().map(|(look, size)| (look, *size))),
        textures: textures.identity(),
        scale: category.scale,
    })
}
