//! A method of another program: its own recipe, batches and detector, trained by the house's loop and tabulated beside NSA.
//!
//! ```text
//! cargo run --release -p flawforge-lab --example own_method -- [OUT]
//! ```
//!
//! The method keeps the mean and the standard deviation of each pixel of the normal images. A pixel is as anomalous as it is
//! far from its mean, in standard deviations. It is right for parts in one pose, and for little else; it stands for any
//! method that you would rather try.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use flawforge::augment::{Sample, to_float};
use flawforge::datasets::{Category, Loading, demo};
use flawforge::masks::Mask;
use flawforge::models::{AnomalyMap, Detection, Detector, ModelError, Resizing};
use flawforge::source::{DEMO_SEED, Images, Textures};
use flawforge::training::fit::DataDigests;
use flawforge::training::recipe::{Batch, BatchSource, Losses, Part};
use flawforge::training::settings::Intervals;
use flawforge::training::{
    Experiment, Method, Profile, Recipe, Run, RunPlan, TrainOptions, TrainingError, evaluate, train,
    train_with,
};
use flawforge_lab::cell::CellResult;
use flawforge_lab::published::Published;
use flawforge_lab::tables::{Finished, PaperTable, build};
use image::RgbImage;
use serde_json::json;

/// Side of the images in pixels.
const SIDE: u32 = 64;
/// Images a step.
const BATCH: usize = 8;
/// A pixel that never varies still has this standard deviation, of a range of 1: the noise of a camera.
const LEAST_DEVIATION: f32 = 0.02;
/// The score that pictures show as surely anomalous, in standard deviations.
const FULL_SCALE: f32 = 6.0;

/// Normal images as they are, each once, in order.
struct Plain<'a>(&'a Category);

impl BatchSource for Plain<'_> {
    fn batch(&self, step: u64) -> Result<Batch, TrainingError> {
        let images = self.0.train.chunks(BATCH).nth(step as usize).unwrap_or_default();
        let sample = |image: &RgbImage| Sample {
            normal: image.clone(),
            image: to_float(image),
            mask: Mask::empty(image.width(), image.height()),
            ..Sample::default()
        };
        let part = Part {
            samples: images
                .iter()
                .map(|image| Ok(sample(&*image.image()?)))
                .collect::<Result<_, TrainingError>>()?,
            names: images.iter().map(|image| image.name.clone()).collect(),
            ..Part::default()
        };
        Ok(Batch {
            step,
            parts: vec![part],
        })
    }
}

/// Sums over the normal images, from which the mean and the deviation follow.
#[derive(Clone, Default)]
struct Template {
    count: f32,
    sum: Vec<f32>,
    squares: Vec<f32>,
}

impl Recipe for Template {
    fn step(&mut self, batch: &Batch, _learning_rate: f64) -> flawforge::training::Result<Losses> {
        for sample in batch.parts.iter().flat_map(|part| &part.samples) {
            let pixels = sample.normal.as_raw();
            self.sum.resize(pixels.len(), 0.0);
            self.squares.resize(pixels.len(), 0.0);
            for ((sum, square), &level) in self.sum.iter_mut().zip(&mut self.squares).zip(pixels) {
                let value = f32::from(level) / 255.0;
                *sum += value;
                *square += value * value;
            }
            self.count += 1.0;
        }
        Ok(Losses::new())
    }

    fn state(&self) -> flawforge::training::Result<Vec<(String, Tensor)>> {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu);
        Ok(vec![
            ("count".to_owned(), tensor(&[self.count])?),
            ("sum".to_owned(), tensor(&self.sum)?),
            ("squares".to_owned(), tensor(&self.squares)?),
        ])
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, _steps: u64) -> flawforge::training::Result<()> {
        self.restore_weights(state)
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> flawforge::training::Result<()> {
        let values = |name: &str| -> flawforge::training::Result<Vec<f32>> {
            let tensor = state.get(name).ok_or_else(|| ModelError::MissingTensor {
                name: name.to_owned(),
            })?;
            Ok(tensor.to_vec1()?)
        };
        self.count = values("count")?.first().copied().unwrap_or_default();
        self.sum = values("sum")?;
        self.squares = values("squares")?;
        Ok(())
    }

    fn detector(&self) -> flawforge::training::Result<Box<dyn Detector>> {
        Ok(Box::new(self.clone()))
    }
}

impl Detector for Template {
    fn resizing(&self) -> Resizing {
        Resizing::opencv(SIDE, SIDE)
    }

    fn full_scale(&self) -> f32 {
        FULL_SCALE
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let far = |index: usize, value: f32| {
            let mean = self.sum[index] / self.count;
            let variance = self.squares[index] / self.count - mean * mean;
            (value - mean).abs() / variance.max(0.0).sqrt().max(LEAST_DEVIATION)
        };
        let detection = |image: &&RgbImage| {
            let pixels = to_float(image);
            let (channels, _) = pixels.as_raw().as_chunks::<3>();
            let scores: Vec<f32> = (channels.iter().enumerate())
                .map(|(place, rgb)| {
                    let distances = (0..3).map(|channel| far(3 * place + channel, rgb[channel]));
                    distances.fold(0.0, f32::max)
                })
                .collect();
            let score = scores.iter().copied().fold(0.0, f32::max);
            Detection {
                score,
                verdict_score: score,
                map: AnomalyMap {
                    width: image.width(),
                    height: image.height(),
                    scores,
                },
                reconstruction: None,
            }
        };
        Ok(images.iter().map(detection).collect())
    }
}

/// Trains the template of a category and scores it.
fn own(method: Method, name: &str, out: &Path) -> Result<CellResult> {
    let category = demo::category(name, &Loading::opencv(SIDE, SIDE), DEMO_SEED)?;
    let plan = RunPlan {
        label: format!("{method} {name}"),
        settings: json!({ "method": method, "category": name, "side": SIDE, "least": LEAST_DEVIATION }),
        data: DataDigests::default(),
        steps: category.train.len().div_ceil(BATCH) as u64,
        schedule: None,
        every: Intervals {
            log: 10,
            checkpoint: 100,
            panel: 0,
        },
    };
    let options = TrainOptions {
        resume: true,
        ..TrainOptions::default()
    };
    let mut recipe = Template::default();
    let report = train_with(
        &mut recipe,
        &Plain(&category),
        &plan,
        &out.join(&plan.label),
        &options,
    )?;
    let evaluation = evaluate(recipe.detector()?.as_ref(), &category)?;
    Ok(CellResult {
        method,
        category: name.to_owned(),
        seed: 0,
        profile: "own".to_owned(),
        steps: report.steps,
        train_seconds: report.train_seconds,
        scores: evaluation.scores,
        scores_in_view: evaluation.scores_in_view,
        image_size: SIDE,
        train_images: category.train.len(),
        test_images: category.test.len(),
        data: Images::Demo.describe(),
        textures: Textures::Procedural.describe(),
        config_hash: String::new(),
    })
}

/// Trains a method of the house on the same category and scores it.
fn of_the_house(method: Method, name: &str, out: &Path) -> Result<CellResult> {
    let product = Images::Demo.product(name, Images::Demo.selection(name, None)?.selection);
    let experiment = Experiment::new(method, &Profile::builtin("smoke")?, &product, 0)?;
    let category = Images::Demo.load(name, &experiment.loading())?;
    let dir = out.join(format!("{method} {name}"));
    let options = TrainOptions {
        resume: true,
        ..TrainOptions::default()
    };
    let textures = Textures::Procedural.load(experiment.image_size)?;
    let report = train(&experiment, &category, textures, &dir, &options)?;
    let evaluation = evaluate(Run::open(&dir)?.detector()?.as_ref(), &category)?;
    Ok(CellResult {
        method,
        category: name.to_owned(),
        seed: 0,
        profile: experiment.profile.clone(),
        steps: report.steps,
        train_seconds: report.train_seconds,
        scores: evaluation.scores,
        scores_in_view: evaluation.scores_in_view,
        image_size: experiment.image_size,
        train_images: category.train.len(),
        test_images: category.test.len(),
        data: Images::Demo.describe(),
        textures: Textures::Procedural.describe(),
        config_hash: experiment.hash(),
    })
}

fn main() -> Result<()> {
    let out = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("out/own-method"), PathBuf::from);
    let methods = [Method::custom("pixel-template")?, Method::Nsa];
    let categories = ["connector", "weave"].map(str::to_owned);
    let mut cells = Vec::new();
    for name in &categories {
        cells.push(own(methods[0], name, &out)?);
        cells.push(of_the_house(methods[1], name, &out)?);
    }
    let table = build(
        PaperTable::Two,
        &Published::load()?,
        Finished {
            methods: &methods,
            columns: &[],
            categories: &categories,
            bendable: &[],
            seeds: 1,
            of_paper: &[],
            cells: &cells,
            simulated: &[],
            differences: vec!["the generated demo data, a moment of training".to_owned()],
        },
    );
    table.write(&out).context("the table")?;
    println!("{}", table.markdown());
    Ok(())
}
