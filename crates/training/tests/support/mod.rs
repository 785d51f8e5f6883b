//! A tiny category and settings that train in a moment.

// Each test program uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;

use flawforge_augment::{Selection, TextureBank, TextureSource};
use flawforge_datasets::{Category, TrainImage};
use flawforge_training::settings::Length;
use flawforge_training::{
    Experiment, Method, MethodSettings, Product, Profile, ProgressStyle, Result, TrainOptions, TrainReport,
    train,
};
use image::{Rgb, RgbImage};

/// Side of the images: the smallest that the networks take.
pub const SIDE: u32 = 32;

/// Striped images that differ in phase and brightness.
pub fn category(images: usize) -> Category {
    category_of(images, SIDE)
}

/// The same at another size.
pub fn category_of(images: usize, side: u32) -> Category {
    let image = |index: usize| {
        RgbImage::from_fn(side, side, |x, y| {
            let stripe = (x + 3 * index as u32) % 8 * 16;
            Rgb([60 + stripe as u8, 90 + 2 * y as u8, 40 + 5 * index as u8])
        })
    };
    let train = (0..images)
        .map(|index| TrainImage::new(format!("{index:03}"), image(index)))
        .collect();
    Category {
        name: "stripes".to_owned(),
        train,
        ..Category::default()
    }
}

pub fn textures() -> Arc<dyn TextureSource> {
    let texture = |i: u32| {
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            Rgb([(x * y * i) as u8, (x * 8) as u8, (i * 60) as u8])
        })
    };
    Arc::new(TextureBank::new((1..4).map(texture).collect()).unwrap())
}

/// An experiment on the stripes with a selection.
pub fn selected(method: Method, steps: u64, selection: Selection) -> Experiment {
    let product = Product::new("stripes", selection);
    let profile = Profile::builtin("smoke").unwrap();
    let mut experiment = Experiment::new(method, &profile, &product, 5).unwrap();
    experiment.image_size = SIDE;
    match &mut experiment.settings {
        MethodSettings::Draem(settings) => {
            settings.networks.reconstructive_width = 2;
            settings.networks.discriminative_width = 2;
            settings.batch.size = 3;
            if let Some(split) = &mut settings.split {
                (split.batch_x, split.batch_y) = (3, 2);
            }
            settings.schedule.length = Length::Steps(steps);
        }
        MethodSettings::Nsa(settings) => {
            settings.nsa.width = 4;
            settings.batch.size = 3;
            settings.schedule.length = Length::Steps(steps);
        }
        MethodSettings::PatchCore(settings) => {
            let group = &mut settings.patchcore;
            (group.resize, group.crop, group.embedding, group.batch) = (SIDE, SIDE, 64, 3);
        }
        MethodSettings::Forge(settings) => {
            let group = &mut settings.forge;
            (group.sides, group.batch, group.vectors) = (vec![SIDE, 2 * SIDE], 3, 20);
            (group.head.simulated, group.head.steps) = (3, 5);
        }
        _ => unreachable!("a method of the house"),
    }
    experiment.every.log = 3;
    experiment.every.checkpoint = 4;
    experiment.every.panel = 0;
    experiment.calibration.images = 3;
    experiment
}

/// An experiment on the stripes. PatchCore passes over its images once, whatever the steps.
pub fn experiment(method: Method, steps: u64) -> Experiment {
    selected(method, steps, Selection::default())
}

pub fn quiet() -> TrainOptions {
    TrainOptions {
        progress: ProgressStyle::Silent,
        ..TrainOptions::default()
    }
}

pub fn run(experiment: &Experiment, run_dir: &Path, options: &TrainOptions) -> Result<TrainReport> {
    let side = experiment.loading().image.of((1, 1)).0;
    train(experiment, &category_of(7, side), textures(), run_dir, options)
}
