//! What each method is put together from: the images it wants, its recipe, its batches, the anomalies it is calibrated on.
//!
//! The only place, beside the settings, that tells methods apart: the loop, checkpoints, evaluation and the command line
//! know recipes, batches and detectors alone.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_augment::{Selection, Simulation, TextureSource};
use flawforge_datasets::{Category, Loading};
use flawforge_models::Detector;

use crate::batch::{BatchSource, SimulatedBatches};
use crate::config::Config;
use crate::error::Result;
use crate::method::Method;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::simulation::simulation;
use crate::two_networks::TwoNetworks;

/// What a run is about, as far as networks and detectors depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Name of the category.
    pub category: &'a str,
    /// Its selection.
    pub selection: &'a Selection,
}

/// The sizes and the filter by which the images of a run are to be loaded.
pub fn loading_for(config: &Config, _subject: Subject<'_>) -> Loading {
    match config.method {
        Method::Draem | Method::LinYan => Loading::opencv(config.image_size, config.image_size),
    }
}

/// The recipe of a run with its initial weights.
///
/// # Errors
/// If a tensor cannot be allocated.
pub fn recipe_for(config: &Config, _subject: Subject<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
    Ok(match config.method {
        Method::Draem | Method::LinYan => Box::new(TwoNetworks::new(config, device)?),
    })
}

/// The detector of a run with the weights of a checkpoint.
///
/// # Errors
/// If a weight is missing or has another shape.
pub(crate) fn detector_for(
    config: &Config,
    subject: Subject<'_>,
    state: &HashMap<String, Tensor>,
    device: &Device,
) -> Result<Box<dyn Detector>> {
    let mut recipe = recipe_for(config, subject, device)?;
    recipe.restore_weights(state)?;
    recipe.detector()
}

/// The data of a run: everything that batches are made of.
pub(crate) struct Data<'a> {
    pub(crate) category: &'a Category,
    pub(crate) textures: Arc<dyn TextureSource>,
    pub(crate) selection: &'a Selection,
    pub(crate) plan: &'a Plan,
}

/// The batches of a run.
pub(crate) fn source_for<'a>(config: &Config, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
    match config.method {
        Method::Draem | Method::LinYan => Box::new(SimulatedBatches {
            images: &data.category.train,
            pools: data.plan.pools(),
            draw: config.batch.draw,
            simulation: simulation(config, data.textures.clone(), data.selection),
            seed: config.seed,
        }),
    }
}

/// The anomalies by which the threshold of verdicts is found.
pub(crate) fn calibration_for(config: &Config, data: &Data<'_>) -> Simulation {
    match config.method {
        Method::Draem | Method::LinYan => simulation(config, data.textures.clone(), data.selection),
    }
}
