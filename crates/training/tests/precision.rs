//! Runs in bfloat16.

use std::process::Command;

use flawforge_augment::Selection;
use flawforge_datasets::demo as demo_data;
use flawforge_ops::Precision;
use flawforge_ops::cpu::ISA_VARIABLE;
use flawforge_testing::{Need, skip};
use flawforge_training::fit::read_journal;
use flawforge_training::methods::backbone::Backbone;
use flawforge_training::{Experiment, Method, Product, Profile, Run, RunFiles, train};
use image::RgbImage;

use crate::support::{experiment, quiet, run, textures};

const STEPS: u64 = 6;

/// Trains in a precision; the losses of all steps, and the anomaly map of a picture in f32 and in bfloat16.
fn trained(precision: Precision) -> (Vec<f64>, [Vec<f32>; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = experiment(Method::LinYan, STEPS);
    let settings = config.settings.draem_mut().unwrap();
    settings.networks.reconstructive_width = 16;
    settings.networks.discriminative_width = 16;
    settings.precision = precision;
    config.every.log = 1;
    run(&config, directory.path(), &quiet()).unwrap();
    let run = Run::open(directory.path()).unwrap();
    let lines = read_journal(&RunFiles::new(directory.path()).metrics()).unwrap();
    let losses = lines.iter().flat_map(|line| line.losses.values().copied());
    let side = config.image_size;
    let picture = RgbImage::from_fn(side, side, |x, y| image::Rgb([(x * 5) as u8, (y * 7) as u8, 90]));
    let map = |precision| {
        let detector = run.detector_in(precision).unwrap();
        detector.detect(&[&picture]).unwrap().remove(0).map.scores
    };
    (losses.collect(), [Precision::F32, Precision::Bf16].map(map))
}

fn apart(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> f64 {
    a.into_iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn bfloat16_trains_and_detects_nearly_as_f32_does() {
    if !Precision::Bf16.is_served_here() {
        return skip(Need::Bf16, "this processor has no instructions for it");
    }
    let (single, _) = trained(Precision::F32);
    let (rounded, [in_f32, in_bf16]) = trained(Precision::Bf16);
    assert!(single.len() >= STEPS as usize && single.len() == rounded.len());
    // Three losses and their sum a step. The first step's differ by rounding alone; afterwards Adam turns what was hardly
    // more than rounding into whole steps.
    let first = apart(single[..4].to_vec(), rounded[..4].to_vec());
    assert!((1e-7..5e-3).contains(&first), "first losses are {first} apart");
    let losses = apart(single, rounded);
    assert!(losses < 0.1, "losses are {losses} apart");
    let doubles = |map: Vec<f32>| map.into_iter().map(f64::from);
    let maps = apart(doubles(in_f32), doubles(in_bf16));
    assert!((1e-7..0.05).contains(&maps), "maps are {maps} apart");
}

#[test]
fn what_the_processor_lacks_is_refused_before_anything_is_written() {
    if Precision::Bf16.is_served_here() {
        // The same test in a process that makes no use of the processor's instructions for bfloat16.
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["what_the_processor_lacks", "--quiet"])
            .env(ISA_VARIABLE, "portable");
        assert!(child.status().unwrap().success());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut config = experiment(Method::Draem, STEPS);
    config.settings.draem_mut().unwrap().precision = Precision::Bf16;
    let fault = run(&config, directory.path(), &quiet()).unwrap_err().to_string();
    assert!(
        fault.contains("precision") && fault.contains("bfloat16"),
        "{fault}"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Scores of the demo's test images by a memory bank that was filled in a precision: as its network multiplies f32, and bfloat16.
fn scored(method: Method, filled: Precision) -> [Vec<f64>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let product = Product::new("gear", Selection::default());
    let profile = Profile::builtin("smoke").unwrap();
    let mut config = Experiment::new(method, &profile, &product, 0).unwrap();
    *config.settings.precision_mut().unwrap() = filled;
    if let Some(settings) = config.settings.patchcore_mut() {
        settings.patchcore.backbone = Backbone::EfficientNetLite0;
    }
    let category = demo_data::category("gear", &config.loading(), 0).unwrap();
    train(&config, &category, textures(), directory.path(), &quiet()).unwrap();
    let run = Run::open(directory.path()).unwrap();
    assert_eq!(run.precision(), filled);
    let images: Vec<_> = category.test.iter().take(6).map(|test| &test.image).collect();
    [Precision::F32, Precision::Bf16].map(|precision| {
        let found = run.detector_in(precision).unwrap().detect(&images).unwrap();
        found.iter().map(|found| f64::from(found.score)).collect()
    })
}

/// Filled in another precision, a small bank holds other patches: nearly the same are the scores of one bank.
#[test]
fn memory_banks_score_nearly_the_same_in_bfloat16() {
    if !Precision::Bf16.is_served_here() {
        return skip(Need::Bf16, "this processor has no instructions for it");
    }
    for method in [Method::Forge, Method::PatchCore] {
        for filled in [Precision::F32, Precision::Bf16] {
            let [single, rounded] = scored(method, filled);
            let scale = single.iter().copied().fold(0.0, f64::max);
            let most = apart(single, rounded) / scale;
            assert!(
                (1e-7..0.1).contains(&most),
                "{method} filled in {filled}: scores are {most} apart"
            );
        }
    }
}
