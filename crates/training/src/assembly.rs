//! What each method is put together from: the images it wants, its recipe, its batches, the anomalies it is calibrated on.
//!
//! The only place, beside the settings, that tells methods apart: the loop, checkpoints, evaluation and the command line
//! know recipes, batches and detectors alone.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_augment::{Choice, Nsa, OnFailure, Selection, Simulation, TextureBank, TextureSource};
use flawforge_datasets::{Category, Loading};
use flawforge_models::Detector;

use crate::batch::{BatchSource, Pool, SimulatedBatches};
use crate::config::Config;
use crate::error::Result;
use crate::method::Architecture;
use crate::nsa::{self, NsaBatches, NsaRecipe, Preparation};
use crate::patchcore::{self, PatchCoreRecipe, PlainBatches};
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
pub fn loading_for(config: &Config, subject: Subject<'_>) -> Loading {
    match config.method.architecture() {
        Architecture::TwoNetworks => Loading::opencv(config.image_size, config.image_size),
        Architecture::Nsa => Preparation::of(subject).loading(config.image_size),
        Architecture::PatchCore => patchcore::loading(config),
    }
}

/// The device on which a run computes when `wanted` is to be had: the networks of NSA and PatchCore have no kernels for a
/// GPU, and a step that is half kernels, half reference has no gradients, so that they stay on the processor.
pub(crate) fn device_for(config: &Config, wanted: &Device) -> Device {
    match config.method.architecture() {
        Architecture::TwoNetworks => wanted.clone(),
        Architecture::Nsa | Architecture::PatchCore => {
            if !wanted.is_cpu() {
                log::info!(
                    "{} has no kernels for a GPU; it computes on the processor",
                    config.method
                );
            }
            Device::Cpu
        }
    }
}

/// The recipe of a run with its initial weights.
///
/// # Errors
/// If a tensor cannot be allocated.
pub fn recipe_for(config: &Config, subject: Subject<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
    Ok(match config.method.architecture() {
        Architecture::TwoNetworks => Box::new(TwoNetworks::new(config, device)?),
        Architecture::Nsa => Box::new(NsaRecipe::new(config, subject, device)?),
        Architecture::PatchCore => Box::new(PatchCoreRecipe::new(config, device)?),
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

impl<'a> Data<'a> {
    fn subject(&self) -> Subject<'a> {
        Subject {
            category: &self.category.name,
            selection: self.selection,
        }
    }
}

/// The batches of a run.
pub(crate) fn source_for<'a>(config: &Config, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
    match config.method.architecture() {
        Architecture::TwoNetworks => Box::new(SimulatedBatches {
            images: &data.category.train,
            pools: data.plan.pools(),
            draw: config.batch.draw,
            simulation: simulation(config, data.textures.clone(), data.selection),
            seed: config.seed,
        }),
        Architecture::PatchCore => Box::new(PlainBatches {
            images: &data.category.train,
            chosen: data
                .plan
                .pools()
                .into_iter()
                .flat_map(|pool| pool.images)
                .collect(),
            batch: config.batch.size,
        }),
        Architecture::Nsa => {
            let preparation = Preparation::of(data.subject());
            let images: Vec<usize> = data
                .plan
                .pools()
                .into_iter()
                .flat_map(|pool| pool.images)
                .collect();
            Box::new(NsaBatches {
                images: &data.category.train,
                pool: Pool {
                    images,
                    batch: config.batch.size,
                },
                draw: config.batch.draw,
                simulator: nsa::simulator(config, data.subject()),
                preparation,
                side: preparation.crop(config.image_size).crop.0,
                max_degrees: config.nsa.as_ref().map_or(0.0, |nsa| nsa.max_degrees),
                seed: config.seed,
            })
        }
    }
}

/// The anomalies by which the threshold of verdicts is found.
pub(crate) fn calibration_for(config: &Config, data: &Data<'_>) -> Simulation {
    match config.method.architecture() {
        Architecture::TwoNetworks | Architecture::PatchCore => {
            simulation(config, data.textures.clone(), data.selection)
        }
        Architecture::Nsa => {
            let normals = data.category.train.iter().map(|image| image.image.clone());
            let sources = TextureBank::new(normals.collect()).ok();
            let simulator = Nsa {
                sources: sources.map(|bank| Arc::new(bank) as Arc<dyn TextureSource>),
                ..nsa::simulator(config, data.subject())
            };
            Simulation {
                p_clean: 0.0,
                rotation: None,
                choices: vec![Choice {
                    simulator: Arc::new(simulator),
                    weight: 1.0,
                    on_failure: OnFailure::Clean,
                }],
            }
        }
    }
}
