//! A run that was interrupted goes on as if it had not been, or says why it cannot.

mod support;

use std::fs;
use std::path::Path;

use flawforge_training::{Line, Method, RunFiles, TrainOptions, TrainingError, read_journal};
use support::{config, quiet, run};

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

#[test]
fn five_steps_and_seven_more_equal_twelve() {
    for method in Method::ALL {
        let config = config(method, 12);
        let (straight, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let report = run(&config, straight.path(), &quiet()).unwrap();
        assert_eq!((report.steps, report.resumed_from), (12, 0));

        let stop = TrainOptions {
            stop_after: Some(5),
            ..quiet()
        };
        let report = run(&config, broken.path(), &stop).unwrap();
        assert_eq!((report.steps, report.total_steps), (5, 12));
        // What a killed process leaves: work after the checkpoint, a torn line, a temporary file.
        let files = RunFiles::new(broken.path());
        let mut journal = fs::read_to_string(files.metrics()).unwrap();
        journal.push_str(&journal.clone().replace("\"step\":3", "\"step\":6"));
        journal.push_str("{\"step\":9,\"lo");
        fs::write(files.metrics(), journal).unwrap();
        fs::write(broken.path().join(".unfinished-abc"), b"torn").unwrap();
        let report = run(&config, broken.path(), &resumed()).unwrap();
        assert_eq!((report.steps, report.resumed_from), (12, 5));

        let checkpoint = |dir: &Path| fs::read(RunFiles::new(dir).checkpoint()).unwrap();
        assert!(
            checkpoint(straight.path()) == checkpoint(broken.path()),
            "{method}: checkpoints differ"
        );
        assert_eq!(losses(straight.path()), losses(broken.path()));
        let steps: Vec<u64> = losses(broken.path()).iter().map(|line| line.step).collect();
        assert_eq!(steps, [3, 6, 9, 12], "{method}");
        let threshold = |dir: &Path| fs::read(RunFiles::new(dir).threshold()).ok();
        // NSA finds no place for a patch in so small an image, and then there is no threshold.
        assert!(
            threshold(straight.path()).is_some() || method == Method::Nsa,
            "{method}"
        );
        assert_eq!(threshold(straight.path()), threshold(broken.path()));
        assert!(!broken.path().join(".unfinished-abc").exists());

        // A finished run that is started again does nothing.
        let again = run(&config, broken.path(), &resumed()).unwrap();
        assert_eq!((again.steps, again.resumed_from), (12, 12));
        assert!(again.last.is_some());
    }
}

#[test]
fn a_run_is_neither_overwritten_nor_mixed_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = config(Method::LinYan, 4);
    run(&first, dir.path(), &quiet()).unwrap();
    let message = run(&first, dir.path(), &quiet()).unwrap_err().to_string();
    assert!(message.contains("already holds a run"), "{message}");

    let mut other = first.clone();
    other.split.detach_focal = false;
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
    let config = config(Method::Draem, 4);
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
    category.train[3].image.put_pixel(1, 1, image::Rgb([255, 0, 0]));
    let selection = flawforge_augment::Selection::default();
    let textures = support::textures();
    let fault = flawforge_training::train(&config, &category, textures, &selection, dir.path(), &resumed())
        .unwrap_err();
    assert!(fault.to_string().contains("training images"), "{fault}");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(Method::LinYan, 2);
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
