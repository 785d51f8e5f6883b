//! Forge where details count: what is fine is found more clearly, restless details stay out, and images are added.

use std::path::Path;

use crate::support::{quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, TrainImage};
use flawforge_models::Detection;
use flawforge_training::{Experiment, Method, Overrides, Product, Profile, Run, add_normals, train};
use image::{Rgb, RgbImage};

/// Soft stripes with grain; scratched along one line of pixels.
fn plate(number: u32, is_scratched: bool) -> RgbImage {
    RgbImage::from_fn(96, 96, |x, y| {
        let stripes = 120.0 + 40.0 * (f64::from(x) / 9.0).sin();
        let grain = ((x * 31 + y * 17 + number * 7) ^ (x * y)) % 9;
        let line = if is_scratched && y == 40 + x / 8 { 70 } else { 0 };
        Rgb([(stripes as u32 + grain + line) as u8; 3])
    })
}

fn plates(numbers: std::ops::Range<u32>, are_scratched: bool) -> Category {
    let train = numbers.map(|number| TrainImage::new(format!("{number}"), plate(number, are_scratched)));
    Category {
        name: "plate".to_owned(),
        train: train.collect(),
        ..Category::default()
    }
}

/// A run without a head, whose details have these settings.
fn trained(details: &str, dir: &Path) -> Run {
    let product = Product::new("plate", Selection::default());
    let text = format!("[forge]\nposition = 0\n[forge.head]\nsimulated = 0\n[forge.details]\n{details}");
    let experiment = Experiment::new(Method::Forge, &Profile::builtin("smoke").unwrap(), &product, 0)
        .and_then(|experiment| experiment.with(&Overrides::from_toml(&text, "the test").unwrap()))
        .unwrap();
    train(&experiment, &plates(0..12, false), textures(), dir, &quiet()).unwrap();
    Run::open(dir).unwrap()
}

fn detection(run: &Run, image: &RgbImage) -> Detection {
    run.detector().unwrap().detect(&[image]).unwrap().remove(0)
}

/// Vectors of the bank of details, behind those of two sizes.
fn vectors(run: &Run) -> Option<usize> {
    let tensors = candle_core::safetensors::load(run.file(), &candle_core::Device::Cpu).unwrap();
    let vectors = tensors.get("bank.2.vectors");
    assert_eq!(vectors.is_some(), tensors.contains_key("fusion.details"));
    Some(vectors?.dims()[0])
}

/// Of any images, from half of the reach of normal ones on.
const ALWAYS: &str = "below = 0.5\nrestless = 1000000.0\n";

#[test]
fn a_fine_scratch_stands_out_more_until_it_is_added() {
    let out = tempfile::tempdir().unwrap();
    let dir = |name: &str| out.path().join(name);
    let with = trained(ALWAYS, &dir("with"));
    let without = trained("weight = 0.0\n", &dir("without"));
    assert_eq!((vectors(&with), vectors(&without)), (Some(50), None));
    // In what the highest normal image has.
    let scratched = plate(20, true);
    let [more, less] = [&with, &without].map(|run| {
        let calibrated = run.calibrated().unwrap();
        let highest = calibrated.normal().map(|one| one.score).fold(f32::MIN, f32::max);
        detection(run, &scratched).score / highest
    });
    println!("with details {more}, without {less}");
    assert!(more > 1.1 * less && more > 1.0, "{more} {less}");
    add_normals(&with, &plates(30..36, true), "a folder", &dir("added")).unwrap();
    let added = Run::open(&dir("added")).unwrap();
    assert!(vectors(&added) > Some(50), "{:?}", vectors(&added));
    let (before, later) = (
        detection(&with, &scratched).score,
        detection(&added, &scratched).score,
    );
    println!("{before} before, {later} later");
    assert!(later < 0.7 * before, "{before} {later}");
}

#[test]
fn restless_details_leave_the_detector_as_it_is_without_them() {
    let out = tempfile::tempdir().unwrap();
    let dir = |name: &str| out.path().join(name);
    // Nine in ten reach as far as half of them in no case.
    let restless = trained("restless = 1.0\n", &dir("restless"));
    let without = trained("weight = 0.0\n", &dir("without"));
    assert_eq!(vectors(&restless), None);
    let image = plate(21, true);
    let (one, other) = (detection(&restless, &image), detection(&without, &image));
    assert_eq!((one.score, one.map), (other.score, other.map));
}
