//! A run that was interrupted goes on as if it had not been, or says why it cannot.

use std::fs;
use std::path::Path;

use crate::support::{self, category, experiment, quiet, run, textures};
use flawforge_training::fit::{Line, read_journal};
use flawforge_training::{Method, Run, RunFiles, TrainOptions, TrainingError, train};

fn losses(run_dir: &Path) -> Vec<Line> {
    let lines = read_journal(&RunFiles::new(run_dir).metrics()).unwrap();
    // Seconds are the only thing that two runs may differ in.
    lines
        .into_iter()
        .map(|line| Line { seconds: 0.0, ..line })
        .collect()
}

fn resumed() -> TrainOptions {
    TrainOptions {
        resume: true,
        ..quiet()
    }
}

/// The scale of deep images travels in the run's file, and a run goes on with its own alone.
#[test]
fn a_run_keeps_the_scale_of_its_images() {
    let config = experiment(Method::Draem, 4);
    let dir = tempfile::tempdir().unwrap();
    let mut images = category(7);
    images.scale.words = Some(12);
    let stopping = TrainOptions {
        stop_after: Some(2),
        ..quiet()
    };
    train(&config, &images, textures(), dir.path(), &stopping).unwrap();
    let run = Run::open(dir.path()).unwrap();
    assert_eq!(run.pixel_scale(), images.scale);
    assert_eq!(run.loading(), config.loading().by(images.scale));
    let other = train(&config, &category(7), textures(), dir.path(), &resumed()).unwrap_err();
    assert!(other.to_string().contains("scale"), "{other}");
    train(&config, &images, textures(), dir.path(), &resumed()).unwrap();
    // Runs of 8-bit images have no such entry, as before.
    let plain = tempfile::tempdir().unwrap();
    train(&config, &category(7), textures(), plain.path(), &quiet()).unwrap();
    assert!(Run::open(plain.path()).unwrap().pixel_scale().is_default());
    let bytes = fs::read(RunFiles::new(plain.path()).checkpoint()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("scale"));
}

#[test]
fn five_steps_and_seven_more_equal_twelve() {
    for &method in Method::ALL {
        // Batches of 3 pass once over 7 images, of forge over 3 simulated anomalies too. What they collect is not kept on the way, and
        // is collected again.
        let (steps, stop, goes_on_from) = match method {
            Method::PatchCore => (3, 2, 0),
            Method::Forge => (4, 2, 0),
            _ => (12, 5, 5),
        };
        let config = experiment(method, 12);
        let (straight, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let report = run(&config, straight.path(), &quiet()).unwrap();
        assert_eq!((report.steps, report.resumed_from), (steps, 0));

        let stopping = TrainOptions {
            stop_after: Some(stop),
            ..quiet()
        };
        let report = run(&config, broken.path(), &stopping).unwrap();
        assert_eq!((report.steps, report.total_steps), (stop, steps));
        // What a killed process leaves: work after the checkpoint, a torn line, a temporary file.
        let files = RunFiles::new(broken.path());
        let mut journal = fs::read_to_string(files.metrics()).unwrap();
        journal.push_str(&journal.clone().replace("\"step\":3", "\"step\":6"));
        journal.push_str("{\"step\":9,\"lo");
        fs::write(files.metrics(), journal).unwrap();
        fs::write(broken.path().join(".unfinished-abc"), b"torn").unwrap();
        let report = run(&config, broken.path(), &resumed()).unwrap();
        assert_eq!((report.steps, report.resumed_from), (steps, goes_on_from));

        let checkpoint = |dir: &Path| fs::read(RunFiles::new(dir).checkpoint()).unwrap();
        assert!(
            checkpoint(straight.path()) == checkpoint(broken.path()),
            "{method}: checkpoints differ"
        );
        assert_eq!(losses(straight.path()), losses(broken.path()));
        let logged: Vec<u64> = losses(broken.path()).iter().map(|line| line.step).collect();
        let expected: Vec<u64> = (1..=steps)
            .filter(|&step| step % 3 == 0 || step == steps)
            .collect();
        assert_eq!(logged, expected, "{method}");
        let threshold = |dir: &Path| Run::open(dir).unwrap().calibrated().cloned();
        assert!(threshold(straight.path()).is_some(), "{method}");
        assert_eq!(threshold(straight.path()), threshold(broken.path()));
        assert!(!broken.path().join(".unfinished-abc").exists());

        // A finished run that is started again does nothing.
        let again = run(&config, broken.path(), &resumed()).unwrap();
        assert_eq!((again.steps, again.resumed_from), (steps, steps));
        assert!(again.last.is_some());
    }
}

#[test]
fn a_run_is_neither_overwritten_nor_mixed_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = experiment(Method::LinYan, 4);
    run(&first, dir.path(), &quiet()).unwrap();
    let message = run(&first, dir.path(), &quiet()).unwrap_err().to_string();
    assert!(message.contains("already holds a run"), "{message}");

    let mut other = first.clone();
    other
        .settings
        .draem_mut()
        .unwrap()
        .split
        .as_mut()
        .unwrap()
        .detach_focal = false;
    other.seed = 6;
    let fault = run(&other, dir.path(), &resumed()).unwrap_err();
    assert!(matches!(fault, TrainingError::Mismatch { .. }));
    let message = fault.to_string();
    for part in [
        "checkpoint.safetensors",
        "seed is 6, was 5",
        "split.detach_focal is false, was true",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let kept = fs::read_to_string(RunFiles::new(dir.path()).config()).unwrap();
    assert_eq!(
        kept,
        first.to_toml().unwrap(),
        "a refused run must leave the settings alone"
    );
}

#[test]
fn other_images_are_not_trained_on_half_way() {
    let dir = tempfile::tempdir().unwrap();
    let config = experiment(Method::Draem, 4);
    run(
        &config,
        dir.path(),
        &TrainOptions {
            stop_after: Some(2),
            ..quiet()
        },
    )
    .unwrap();
    let mut category = support::category(7);
    let mut changed = category.train[3].image().unwrap().into_owned();
    changed.put_pixel(1, 1, image::Rgb([255, 0, 0]));
    category.train[3] = flawforge_datasets::TrainImage::new("003", changed);
    let textures = support::textures();
    let error = flawforge_training::train(&config, &category, textures, dir.path(), &resumed()).unwrap_err();
    assert!(error.to_string().contains("training images"), "{error}");
    let other = std::sync::Arc::new(flawforge_augment::ProceduralTextures::default());
    let category = support::category(7);
    let error = flawforge_training::train(&config, &category, other, dir.path(), &resumed()).unwrap_err();
    assert!(error.to_string().contains("textures have changed"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = experiment(Method::LinYan, 2);
    run(&config, dir.path(), &quiet()).unwrap();
    let path = RunFiles::new(dir.path()).checkpoint();
    let whole = fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let fault = run(&config, dir.path(), &resumed()).unwrap_err();
        assert!(matches!(fault, TrainingError::Checkpoint { .. }), "{fault}");
        let message = fault.to_string();
        assert!(
            message.contains("checkpoint.safetensors") && !message.contains('\n'),
            "{message}"
        );
        let opened = flawforge_training::Run::open(dir.path()).err().unwrap();
        assert!(matches!(opened, TrainingError::Checkpoint { .. }), "{opened}");
    };
    for length in (0..whole.len()).step_by(whole.len() / 23) {
        damaged(&whole[..length]);
    }
    let mut flipped = whole.clone();
    let middle = whole.len() * 2 / 3;
    flipped[middle] ^= 1;
    damaged(&flipped);
    damaged(b"not a checkpoint at all");
    fs::write(&path, &whole).unwrap();
    run(&config, dir.path(), &resumed()).unwrap();
}
