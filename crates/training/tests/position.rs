//! Forge where the place of a patch counts: what lies at a wrong place is found, images are added, and windows are refused.

use std::path::Path;

use crate::support::{quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, TrainImage};
use flawforge_training::{Experiment, Method, Overrides, Product, Profile, Run, add_normals, train};
use image::{Rgb, RgbImage};

/// A run of distances alone.
fn experiment(overrides: &str) -> flawforge_training::Result<Experiment> {
    let product = Product::new("board", Selection::default());
    let mut experiment = Experiment::new(Method::Forge, &Profile::builtin("smoke").unwrap(), &product, 0)?
        .with(&Overrides::from_toml(overrides, "the test").unwrap())?;
    if let Some(settings) = experiment.settings.forge_mut() {
        settings.forge.head.simulated = 0;
    }
    Ok(experiment)
}

/// A white and a black square on grey, in one of two orders, with grain.
fn board(number: u32, swapped: bool) -> RgbImage {
    RgbImage::from_fn(96, 96, |x, y| {
        let grain = ((x * 31 + y * 17 + number * 7) ^ (x * y)) % 9;
        let level = match (x / 32, y / 32) {
            (0, 1) if swapped => 20,
            (2, 1) if swapped => 230,
            (0, 1) => 230,
            (2, 1) => 20,
            _ => 120,
        };
        Rgb([(level + grain) as u8; 3])
    })
}

fn boards(numbers: std::ops::Range<u32>, swapped: bool) -> Category {
    let train = numbers.map(|number| TrainImage::new(format!("{number}"), board(number, swapped)));
    Category {
        name: "board".to_owned(),
        train: train.collect(),
        ..Category::default()
    }
}

fn trained(experiment: &Experiment, dir: &Path) -> Run {
    train(experiment, &boards(0..12, false), textures(), dir, &quiet()).unwrap();
    Run::open(dir).unwrap()
}

fn score(run: &Run, image: &RgbImage) -> f32 {
    run.detector().unwrap().detect(&[image]).unwrap()[0].score
}

fn highest_normal(run: &Run) -> f32 {
    let calibrated = run.calibrated().unwrap();
    calibrated.normal().map(|one| one.score).fold(f32::MIN, f32::max)
}

#[test]
fn what_lies_at_a_wrong_place_is_found_until_it_is_added() {
    let out = tempfile::tempdir().unwrap();
    // Banks of all patches: what counts as near is then near in place too.
    let dense = |position: f32| {
        let overrides = format!("[forge]\nposition = {position:.1}\nvectors = 2000\ncandidates = 5000");
        trained(
            &experiment(&overrides).unwrap(),
            &out.path().join(position.to_string()),
        )
    };
    let (without, with) = (dense(0.0), dense(20.0));
    let swapped = board(40, true);
    let [before, now] = [&without, &with].map(|run| score(run, &swapped) / highest_normal(run));
    assert!(now > 2.0 && now > 1.2 * before, "{before} {now}");
    // Files of runs without it are those of before.
    let names = |run: &Run| {
        let tensors = candle_core::safetensors::load(run.file(), &candle_core::Device::Cpu).unwrap();
        tensors
            .into_keys()
            .filter(|name| name.contains("position"))
            .count()
    };
    assert_eq!((names(&without), names(&with)), (0, 2));
    let dir = out.path().join("more");
    add_normals(&with, &boards(50..56, true), "a folder", &dir).unwrap();
    let more = Run::open(&dir).unwrap();
    assert_eq!(names(&more), 2);
    let later = score(&more, &swapped);
    assert!(later < 0.5 * score(&with, &swapped), "{later}");
}

#[test]
fn a_share_out_of_range_and_windows_are_refused_in_one_line() {
    let refused = |overrides: &str| {
        let experiment = match experiment(overrides) {
            Ok(experiment) => experiment,
            Err(fault) => return fault.to_string(),
        };
        let out = tempfile::tempdir().unwrap();
        let category = boards(0..4, false);
        let fault = train(&experiment, &category, textures(), out.path(), &quiet()).unwrap_err();
        fault.to_string()
    };
    for (overrides, said) in [
        ("[forge]\nposition = -0.5", "forge.position"),
        ("[forge]\nposition = 1000.0", "forge.position"),
        (
            "[forge]\nposition = 1.0\n[view]\nkind = \"tiles\"\nscale = 1.0",
            "needs the view stretch",
        ),
        (
            "[forge]\nposition = 1.0\n[view]\nkind = \"fit\"\naspect = [4, 3]",
            "needs the view stretch",
        ),
    ] {
        let fault = refused(overrides);
        assert!(
            fault.contains(said) && !fault.contains('\n'),
            "{overrides}: {fault}"
        );
    }
}
