//! Which window suits the score that verdicts are made on: detectors are trained on three quarters of a category's normal images,
//! the rest is scored, unchanged and with small flaws of many sizes and places. No test image is read.
//!
//! `cargo run --release -p flawforge-lab --example verdict_window [FOLDER ...]`; without folders: the demo's categories.

use std::path::Path;
use std::sync::Arc;

use flawforge::augment::{ProceduralTextures, Selection, Stream, TextureSource};
use flawforge::datasets::{Category, CategoryFiles, Limits, Purpose, TrainImage, demo};
use flawforge::masks::rand::Rng;
use flawforge::metrics::{auroc, image_score, image_score_window, verdict_score};
use flawforge::models::Detector;
use flawforge::training::{Experiment, Method, Product, Profile, Run, TrainOptions, train};
use image::RgbImage;

/// Side of the images in pixels.
const SIDE: u32 = 128;
/// Sides of the flaws, of 256.
const SIDES: [f64; 6] = [3.0, 6.0, 10.0, 16.0, 28.0, 48.0];
/// Windows, of 256.
const WINDOWS: [usize; 7] = [1, 3, 5, 7, 9, 13, 21];
/// Flaws of each side at each place.
const EACH: usize = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<String> = match folders.is_empty() {
        true => demo::CATEGORIES.iter().map(|name| (*name).to_owned()).collect(),
        false => folders.clone(),
    };
    for name in &names {
        let category_name = Path::new(name)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let product = Product::new(&category_name, Selection::default());
        let mut experiment = Experiment::new(Method::LinYan, &Profile::builtin("demo")?, &product, 0)?;
        experiment.image_size = SIDE;
        let mut category: Category = match folders.is_empty() {
            true => demo::category(name, &experiment.loading(), 0)?,
            false => {
                let limits = Limits::default();
                let files = CategoryFiles::discover_for(Path::new(name), Purpose::Training, &limits)?;
                Category::load_normals(&files, &experiment.loading(), &limits)?
            }
        };
        category.name = category_name;
        let kept: Vec<TrainImage> = category.train.iter().skip(3).step_by(4).cloned().collect();
        let mut place = 0;
        category.train.retain(|_| {
            place += 1;
            place % 4 != 0
        });
        let out = tempfile::tempdir()?;
        let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::default());
        train(
            &experiment,
            &category,
            textures.clone(),
            out.path(),
            &TrainOptions::default(),
        )?;
        let detector = Run::open(out.path())?.detector()?;
        tell(name, detector.as_ref(), &kept, textures.as_ref())?;
    }
    Ok(())
}

type Score = Box<dyn Fn(&[f32], usize, usize) -> f32>;

/// AUROC of the scores by each window, for flaws of each side, inside and at the border.
fn tell(
    name: &str,
    detector: &dyn Detector,
    kept: &[TrainImage],
    textures: &dyn TextureSource,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut scores: Vec<(String, Score)> = vec![(
        "protocol".to_owned(),
        Box::new(|map, w, h| image_score(map, w, h, image_score_window(w, h))),
    )];
    for window in WINDOWS {
        scores.push((
            format!("own {window}"),
            Box::new(move |map, w, h| verdict_score_of(map, w, h, window)),
        ));
    }
    let maps = |images: &[RgbImage]| -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
        let detections = detector.detect(&images.iter().collect::<Vec<_>>())?;
        Ok(detections.into_iter().map(|one| one.map.scores).collect())
    };
    let normals: Vec<RgbImage> = kept
        .iter()
        .map(|one| Ok(one.image()?.into_owned()))
        .collect::<Result<_, flawforge::datasets::DatasetError>>()?;
    let (width, height) = normals[0].dimensions();
    let (w, h) = (width as usize, height as usize);
    let normal_maps = maps(&normals)?;
    println!(
        "{name}: {} normal images; AUROC inside/at the border by side of the flaw (of 256)",
        normals.len()
    );
    print!("{:<10}", "");
    SIDES.iter().for_each(|side| print!("{side:>14}"));
    println!("{:>10}", "mean");
    let mut flawed = Vec::new();
    for (number, side) in SIDES.iter().enumerate() {
        for border in [false, true] {
            let images: Vec<RgbImage> = (0..EACH)
                .map(|index| {
                    let stream = Stream {
                        seed: 1,
                        step: number as u64 * 2 + u64::from(border),
                        index: index as u64,
                    };
                    flaw(
                        &normals[index % normals.len()],
                        side * f64::from(width.min(height)) / 256.0,
                        border,
                        textures,
                        stream,
                    )
                })
                .collect();
            flawed.push(maps(&images)?);
        }
    }
    for (label, score) in &scores {
        let of = |maps: &[Vec<f32>]| -> Vec<f32> { maps.iter().map(|map| score(map, w, h)).collect() };
        let normal = of(&normal_maps);
        print!("{label:<10}");
        let mut sum = 0.0;
        for pair in flawed.chunks(2) {
            let values: Vec<f64> = pair
                .iter()
                .map(|maps| {
                    let anomalous = of(maps);
                    let labels: Vec<bool> = (0..normal.len() + anomalous.len())
                        .map(|i| i >= normal.len())
                        .collect();
                    auroc(&[normal.clone(), anomalous].concat(), &labels)
                })
                .collect::<Result<_, _>>()?;
            print!(
                "{:>14}",
                format!("{:.1}/{:.1}", 100.0 * values[0], 100.0 * values[1])
            );
            sum += values[0] + values[1];
        }
        println!("{:>10.1}", 100.0 * sum / flawed.len() as f64);
    }
    Ok(())
}

/// The verdict score with another window.
fn verdict_score_of(map: &[f32], width: usize, height: usize, window: usize) -> f32 {
    match window {
        5 => verdict_score(map, width, height),
        window => {
            // The same mean, from its definition.
            let wanted = (window * width.min(height)) as f64 / 256.0;
            let half = ((wanted - 1.0) / 2.0).round().max(0.0) as usize;
            let mut best = f32::NEG_INFINITY;
            for y in 0..height {
                for x in 0..width {
                    let rows = y.saturating_sub(half)..(y + half + 1).min(height);
                    let columns = x.saturating_sub(half)..(x + half + 1).min(width);
                    let sum: f32 = rows
                        .clone()
                        .map(|row| map[row * width..][columns.clone()].iter().sum::<f32>())
                        .sum();
                    best = best.max(sum / (rows.len() * columns.len()) as f32);
                }
            }
            best
        }
    }
}

/// A square of texture, between faint and opaque.
fn flaw(
    normal: &RgbImage,
    side: f64,
    border: bool,
    textures: &dyn TextureSource,
    stream: Stream,
) -> RgbImage {
    let mut rng = stream.rng("flaw");
    let (width, height) = normal.dimensions();
    let side = (side.round() as u32).max(1);
    let texture = textures.texture(width, height, &mut rng);
    let share = rng.random_range(0.3..1.0f32);
    let (mut left, mut top) = (
        rng.random_range(side..width - 2 * side),
        rng.random_range(side..height - 2 * side),
    );
    if border {
        match rng.random_range(0..4) {
            0 => left = 0,
            1 => left = width - side,
            2 => top = 0,
            _ => top = height - side,
        }
    }
    let mut image = normal.clone();
    for y in top..top + side {
        for x in left..left + side {
            let (pixel, texture) = (image.get_pixel_mut(x, y), texture.get_pixel(x, y));
            for (value, other) in pixel.0.iter_mut().zip(texture.0) {
                *value = (f32::from(*value) * (1.0 - share) + f32::from(other) * share).round() as u8;
            }
        }
    }
    image
}
