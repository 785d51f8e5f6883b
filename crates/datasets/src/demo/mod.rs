//! A generated data set that needs no files: four products, photographed, some of them faulty.
//!
//! ```text
//! (seed, category, part, index) ──ChaCha8──> product ──painted──────────> good picture ──> light, focus, grain ──> image
//!                                               └────painted with flaw──> bad picture  ──> the same camera     ──> image
//!                                                         where the two differ visibly ──> ground-truth mask
//! ```
//!
//! The categories differ in the two questions that the paper's selection asks (Lin & Yan, "selection strategy"):
//!
//! | category | what it is | pose | structure | NDAA | rotate normals |
//! |---|---|---|---|---|---|
//! | [`connector`](CATEGORIES) | wires, housing, pins | fixed | fixed layout | yes | no |
//! | `gear` | coarse steel gear | any angle | fixed geometry | yes | yes |
//! | `weave` | plain-woven cloth | fixed | regular texture | yes | no |
//! | `leather` | hide | any angle | irregular texture | no | yes |
//!
//! Normal images vary in position, material, light, focus and grain. Defects are made by the renderer, which shares no code
//! with the anomaly simulators: it bends a pin, breaks a tooth, leaves out a yarn, cuts the hide. Their strength is spread
//! from barely visible to plain, so that a detector is not right by default.
//!
//! Every picture depends on the seed, the category, and its place in the category alone, and is the same on every machine.
//! The same seed at another size gives the same scenes, nearly: only a defect too small for the size is drawn again.
//!
//! ```
//! use flawforge_datasets::{Loading, demo};
//!
//! let gear = demo::category("gear", &Loading::opencv(64, 64), 1)?;
//! assert_eq!(gear.train.len(), demo::TRAIN);
//! let broken = gear.test.iter().find(|image| image.defect == "broken_tooth").expect("a defect type of the gear");
//! assert!(broken.is_defective() && broken.mask.count() > 0);
//! # Ok::<(), flawforge_datasets::DatasetError>(())
//! ```

use std::ops::RangeInclusive;

use flawforge_masks::Mask;
use flawforge_resample::Sizing;
use image::RgbImage;
use rayon::prelude::*;

use crate::{Category, DatasetError, GOOD, Limits, Loading, RegionOfInterest, TestImage, TrainImage};

mod camera;
mod canvas;
mod connector;
mod export;
mod gear;
mod lattice;
mod leather;
mod picture;
mod product;
mod shapes;
mod sheet;
mod surface;
mod weave;

pub use export::export;

use picture::{Part, Picture};
use product::Product;

/// The categories, in the order in which they are generated and reported.
pub const CATEGORIES: [&str; 4] = ["connector", "gear", "weave", "leather"];

/// Generated beside them, by name alone: `sheet`, images of 2048×1024 pixels with flaws of 6 to 40 (20 normal ones to train on, 8
/// and 18 to test on). They are in no table.
pub const LARGE: [&str; 1] = [sheet::NAME];

/// Normal images to train on, per category.
pub const TRAIN: usize = 60;

/// Normal test images per category.
pub const TEST_GOOD: usize = 16;

/// Defective test images per category, spread evenly over its defect types.
pub const TEST_DEFECTIVE: usize = 24;

/// Side in pixels of a picture's file, where one is thought of.
const DRAWN: u32 = 256;

/// Width and height of a category's files, where some are thought of: what views that keep scale or aspect ratio begin with.
pub fn file_size(name: &str) -> (u32, u32) {
    match name == sheet::NAME {
        true => sheet::SIZE,
        false => (DRAWN, DRAWN),
    }
}

/// The first normal images of a category of [large](LARGE) ones, at the size of their files; none of the others.
pub fn at_file_size(name: &str, count: usize, seed: u64) -> Vec<RgbImage> {
    match name == sheet::NAME {
        true => (0..count).map(|index| sheet::normal(seed, index)).collect(),
        false => Vec::new(),
    }
}

/// Sizes that can be generated, in pixels a side.
pub const SIZES: RangeInclusive<u32> = 32..=512;

/// Generates one category: [`TRAIN`] normal images to train on, [`TEST_GOOD`] normal and [`TEST_DEFECTIVE`] defective ones to
/// test on, in the order in which [`crate::CategoryFiles::discover`] would list them. Images and masks have the sizes asked for,
/// each of its own; pictures are drawn at their size, whatever the filter.
///
/// Masks are exact: the pixels where the defect changes the noise-free picture visibly. `mask` and `mask_half` are the same.
///
/// # Errors
/// [`DatasetError::UnknownCategory`], and [`DatasetError::DemoSize`] for a size that is not square or outside [`SIZES`].
pub fn category(name: &str, loading: &Loading, seed: u64) -> Result<Category, DatasetError> {
    let mut category = match name == sheet::NAME {
        true => sheet::category(loading, seed),
        false => of_one_size(name, loading, seed)?,
    };
    if let Some(region) = &loading.region {
        look_inside(&mut category, region)?;
    }
    Ok(category)
}

/// A category whose pictures are drawn at the size asked for.
fn of_one_size(name: &str, loading: &Loading, seed: u64) -> Result<Category, DatasetError> {
    let (image, mask) = (side(loading.image)?, side(loading.mask)?);
    let mut category = drawn(name, image, seed)?;
    if mask != image {
        let truth = drawn(name, mask, seed)?;
        for (test, truth) in category.test.iter_mut().zip(truth.test) {
            (test.mask, test.mask_half, test.marks) = (truth.mask, truth.mask_half, truth.marks);
        }
    }
    Ok(category)
}

/// Leaves a region of all images to look at.
fn look_inside(category: &mut Category, region: &RegionOfInterest) -> Result<(), DatasetError> {
    let limits = Limits::default();
    for train in &mut category.train {
        let mut image = train.image()?.into_owned();
        region.paint(&mut image, None, train.size, &limits)?;
        *train = TrainImage::of_file(train.name.clone(), train.size, image);
    }
    for test in &mut category.test {
        region.paint(&mut test.image, None, test.file_size, &limits)?;
        let inside = region.of(None, test.file_size, &limits)?;
        let inside = inside.scaled(test.mask.width(), test.mask.height());
        for mask in [&mut test.mask, &mut test.mask_half] {
            *mask = mask.intersection(&inside).unwrap_or_default();
        }
        test.inside = Some(inside);
    }
    Ok(())
}

/// The side of a size that can be generated.
fn side(sizing: Sizing) -> Result<u32, DatasetError> {
    // The pictures have no size of their own.
    let (width, height) = sizing.of((DRAWN, DRAWN));
    let known = width == height && SIZES.contains(&width);
    known
        .then_some(width)
        .ok_or(DatasetError::DemoSize { size: width })
}

fn drawn(name: &str, size: u32, seed: u64) -> Result<Category, DatasetError> {
    match name {
        "connector" => Ok(generate::<connector::Connector>(name, size, seed)),
        "gear" => Ok(generate::<gear::Gear>(name, size, seed)),
        "weave" => Ok(generate::<weave::Weave>(name, size, seed)),
        "leather" => Ok(generate::<leather::Leather>(name, size, seed)),
        _ => Err(DatasetError::UnknownCategory {
            name: name.to_owned(),
            known: [&CATEGORIES[..], &LARGE].concat().join(", "),
        }),
    }
}

/// Which simulators and which rotation of normals suit each demo category, in the form of the augment crate's selections.
pub fn selections_toml() -> &'static str {
    include_str!("../../data/demo_selection.toml")
}

fn generate<P: Product>(name: &str, size: u32, seed: u64) -> Category {
    let train = (0..TRAIN)
        .into_par_iter()
        .map(|index| {
            let picture = Picture::normal::<P>(size, seed, name, Part::Train, index);
            TrainImage::new(format!("{index:03}"), picture.image)
        })
        .collect();
    let per_defect = TEST_DEFECTIVE.div_ceil(P::DEFECTS.len());
    let mut places: Vec<(&str, Option<usize>, usize)> =
        (0..TEST_GOOD).map(|index| (GOOD, None, index)).collect();
    places.extend((0..TEST_DEFECTIVE).map(|place| {
        let defect = place / per_defect;
        (P::DEFECTS[defect], Some(defect), place % per_defect)
    }));
    places.sort();
    let test = places
        .into_par_iter()
        .map(|(label, defect, index)| {
            let picture = match defect {
                None => Picture::normal::<P>(size, seed, name, Part::Test, index),
                Some(defect) => Picture::defective::<P>(size, seed, name, defect, index, per_defect),
            };
            let Picture { image, mask, .. } = picture;
            test_image(label, index, image, mask)
        })
        .collect();
    Category {
        name: name.to_owned(),
        train,
        test,
        ..Category::default()
    }
}

fn test_image(defect: &str, index: usize, image: RgbImage, mask: Mask) -> TestImage {
    TestImage::drawn(format!("{defect}/{index:03}"), defect.to_owned(), image, mask)
}

#[cfg(test)]
mod tests;
