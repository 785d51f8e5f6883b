//! A tiny category and settings that train in a moment.

// Each test program uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;

use flawforge_augment::{Selection, TextureBank, TextureSource};
use flawforge_datasets::{Category, TrainImage};
use flawforge_training::{
    Config, Length, Method, Profile, ProgressStyle, Result, Subject, TrainOptions, TrainReport, loading_for,
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
        .map(|index| TrainImage {
            name: format!("{index:03}"),
            image: image(index),
        })
        .collect();
    Category {
        name: "stripes".to_owned(),
        train,
        test: Vec::new(),
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

pub fn config(method: Method, steps: u64) -> Config {
    let mut config = Config::for_method(method, &Profile::builtin("smoke").unwrap(), 5);
    config.image_size = SIDE;
    config.networks.reconstructive_width = 2;
    config.networks.discriminative_width = 2;
    config.batch.size = 3;
    (config.split.batch_x, config.split.batch_y) = (3, 2);
    if let Some(nsa) = &mut config.nsa {
        nsa.width = 4;
    }
    config.schedule.length = Length::Steps(steps);
    config.every.log = 3;
    config.every.checkpoint = 4;
    config.every.panel = 0;
    config.calibration.images = 3;
    config
}

pub fn quiet() -> TrainOptions {
    TrainOptions {
        progress: ProgressStyle::Silent,
        ..TrainOptions::default()
    }
}

pub fn run(config: &Config, run_dir: &Path, options: &TrainOptions) -> Result<TrainReport> {
    let selection = Selection::default();
    let subject = Subject {
        category: "stripes",
        selection: &selection,
    };
    let side = loading_for(config, subject).image.0;
    train(
        config,
        &category_of(7, side),
        textures(),
        &selection,
        run_dir,
        options,
    )
}
