//! What cannot work is refused before the first step; what goes wrong later keeps the last good checkpoint.

use std::fs;
use std::sync::Arc;

use crate::support::{SIDE, category, experiment, quiet, run, selected, textures};
use flawforge_augment::{Selection, TextureSource};
use flawforge_datasets::TrainImage;
use flawforge_training::settings::Length;
use flawforge_training::{Method, Run, RunFiles, TrainingError, train};
use image::RgbImage;
use rand::RngCore;

struct WrongSize;

impl TextureSource for WrongSize {
    fn texture_into(&self, _: u32, _: u32, texture: &mut RgbImage, _: &mut dyn RngCore) {
        *texture = RgbImage::new(3, 3);
    }
}

#[test]
fn data_that_do_not_suffice_are_refused_and_nothing_is_written() {
    let mut larger = category(4);
    larger.train[2] = TrainImage::new("002", RgbImage::new(SIDE, SIDE + 1));
    let mut other = category(4);
    other.name = "dots".to_owned();
    let wrong: Arc<dyn TextureSource> = Arc::new(WrongSize);
    let cases = [
        (category(0), textures(), "no normal images"),
        (category(1), textures(), "at least 2"),
        (larger, textures(), "002"),
        (category(4), wrong, "texture"),
        (other, textures(), "the experiment is about stripes"),
    ];
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join("run");
    let config = experiment(Method::LinYan, 2);
    for (category, textures, word) in cases {
        let name = category.name.clone();
        let error = train(&config, &category, textures, &dir, &quiet()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&name) && message.contains(word), "{message}");
        assert!(!dir.exists());
    }
    let mut nothing = Selection::default();
    nothing.kinds.clear();
    let config = selected(Method::LinYan, 2, nothing.clone());
    let message = train(&config, &category(4), textures(), &dir, &quiet())
        .unwrap_err()
        .to_string();
    assert!(message.contains("simulation.kinds"), "{message}");
    assert!(!dir.exists());
    // DRAEM asks neither for a selection nor for two halves.
    let config = selected(Method::Draem, 1, nothing);
    train(&config, &category(1), textures(), &dir, &quiet()).unwrap();
}

#[test]
fn a_bad_setting_is_refused_by_name() {
    let out = tempfile::tempdir().unwrap();
    let mut config = experiment(Method::LinYan, 2);
    config.image_size = 48;
    let message = run(&config, &out.path().join("run"), &quiet())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("image_size") && message.contains("48"),
        "{message}"
    );
    assert!(!out.path().join("run").exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = experiment(Method::LinYan, 60);
    config.settings.draem_mut().unwrap().schedule.learning_rate = 1e30;
    config.every.checkpoint = 1;
    let fault = run(&config, dir.path(), &quiet()).unwrap_err();
    let TrainingError::NonFinite { step, batch, .. } = &fault else {
        panic!("{fault}")
    };
    assert!(*step >= 1, "{fault}");
    let message = fault.to_string();
    assert!(message.contains(&format!("step {step}")), "{message}");
    assert!(
        batch.contains("00"),
        "the images of the batch are named: {message}"
    );
    // Weights that are finite but absurd may have been saved; none that are not finite.
    let path = RunFiles::new(dir.path()).checkpoint();
    if path.exists() {
        let run = Run::open(dir.path()).unwrap();
        assert!(run.step() < *step);
        run.detector().unwrap();
    }
    assert!(
        fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().starts_with(".unfinished") })
    );
}

#[test]
fn epochs_count_all_images_of_both_halves() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = experiment(Method::LinYan, 1);
    config.settings.draem_mut().unwrap().schedule.length = Length::Epochs(2);
    // 7 images in batches of 3: 3 steps an epoch.
    assert_eq!(run(&config, dir.path(), &quiet()).unwrap().steps, 6);
}
