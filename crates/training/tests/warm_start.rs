//! A run that begins with another's weights, on that run's images and further ones.

use std::fs;
use std::path::Path;

use crate::support::{self, category, category_of, experiment, quiet, run, textures};
use candle_core::Device;
use flawforge_datasets::{Category, TrainImage};
use flawforge_training::fit::{Origin, joined};
use flawforge_training::{Experiment, Method, Run, RunFiles, TrainOptions, train, train_from};
use image::{Rgb, RgbImage};

/// A run that holds two of its seven images out.
fn held_out(method: Method) -> Experiment {
    let mut config = experiment(method, 6);
    config.calibration.held_out = 0.3;
    config.calibration.anomalies = 5;
    config
}

/// The images of the run, one of them again, and two that it does not know, one under a name that is taken.
fn more(side: u32) -> Category {
    let own = category_of(7, side);
    let again = TrainImage::new("again", own.train[1].image().unwrap().into_owned());
    let shade = |shade| RgbImage::from_fn(side, side, |x, y| Rgb([shade, (3 * x) as u8, (5 * y) as u8]));
    let added = Category {
        train: vec![
            again,
            TrainImage::new("003", shade(10)),
            TrainImage::new("new", shade(200)),
        ],
        ..own.clone()
    };
    joined(own, added)
}

#[test]
fn further_images_come_after_the_runs_own_and_no_picture_comes_twice() {
    let names: Vec<String> = more(32).train.iter().map(|image| image.name.clone()).collect();
    assert_eq!(
        names,
        [
            "000",
            "001",
            "002",
            "003",
            "004",
            "005",
            "006",
            "added/003",
            "new"
        ]
    );
}

#[test]
fn a_run_begins_with_anothers_weights_and_says_what_has_changed() {
    for method in [Method::LinYan, Method::Nsa] {
        let (old, new, broken) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        run(&held_out(method), old.path(), &quiet()).unwrap();
        let old = Run::open(old.path()).unwrap();
        let images = more(old.loading().image.of((1, 1)).0);
        let successor = old.successor(&images, Some(5)).unwrap();
        assert_eq!(successor.steps(9), 5);
        assert_eq!(successor.calibration.held_out_names.len(), 2, "{method}");
        let report = train_from(&old, &successor, &images, textures(), new.path(), &quiet()).unwrap();
        assert_eq!((report.resumed_from, report.steps), (0, 5));

        let opened = Run::open(new.path()).unwrap();
        assert_eq!(opened.experiment(), &successor);
        let predecessor = opened.predecessor().unwrap();
        assert_eq!(report.predecessor.as_ref(), Some(predecessor));
        assert_eq!((predecessor.own, predecessor.new.len()), (7, 2));
        assert!(predecessor.held_out && predecessor.frozen.len() == 2);
        // The frozen set is the old run's own calibration set, score by score.
        let scores = old.calibrated().unwrap();
        let threshold = predecessor.threshold.unwrap();
        let above = |simulated: bool| {
            let of_sort = scores.scores.iter().filter(|one| one.kind.is_some() == simulated);
            of_sort.clone().filter(|one| one.score >= threshold).count()
        };
        let before = predecessor.before.unwrap();
        assert_eq!(
            (before.normal, before.alarms),
            (scores.normal().count(), above(false))
        );
        // NSA takes patches of all normal images, of which there are more now: its flaws are others, the same before and after.
        if method != Method::Nsa {
            assert_eq!(
                (before.simulated, before.found),
                (scores.simulated().count(), above(true))
            );
        }
        assert_eq!(before.simulated, predecessor.after.unwrap().simulated);
        assert_eq!(before.added, 2);
        // So is the new run's, since the same images were held out: its own scores tell the same.
        let scores = opened.calibrated().unwrap();
        assert_eq!(scores.origin, Origin::HeldOut);
        let alarms = scores.normal().filter(|one| one.score >= threshold).count();
        let after = predecessor.after.unwrap();
        assert_eq!((after.normal, after.alarms, after.added), (2, alarms, 2));
        let sentences = predecessor.sentences().join("\n");
        for part in ["(step 6)", "7 of its images and 2 added", "2 added good parts"] {
            assert!(sentences.contains(part), "{part} in {sentences}");
        }

        // Interrupted, it goes on without the old run, and ends as the unbroken one.
        let stopping = TrainOptions {
            stop_after: Some(4),
            ..quiet()
        };
        train_from(&old, &successor, &images, textures(), broken.path(), &stopping).unwrap();
        let resumed = TrainOptions {
            resume: true,
            ..quiet()
        };
        train(&successor, &images, textures(), broken.path(), &resumed).unwrap();
        let checkpoint = |dir: &Path| fs::read(RunFiles::new(dir).checkpoint()).unwrap();
        assert!(checkpoint(new.path()) == checkpoint(broken.path()), "{method}");
    }
}

#[test]
fn the_first_step_has_the_weights_of_the_run_or_of_what_travels() {
    let (dir, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&held_out(Method::Draem), dir.path(), &quiet()).unwrap();
    let model = RunFiles::new(dir.path()).model();
    let old = Run::open(&model).unwrap();
    let images = more(support::SIDE);
    let mut successor = old.successor(&images, Some(2)).unwrap();
    // A rate that leaves weights where they are.
    successor.warm_start.as_mut().unwrap().rate = 1e-9;
    train_from(&old, &successor, &images, textures(), new.path(), &quiet()).unwrap();
    let load = |file: &Path| candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let (before, after) = (load(&model), load(&RunFiles::new(new.path()).model()));
    let mut moved = 0;
    for (name, tensor) in before.iter().filter(|(name, _)| name.ends_with(".weight")) {
        let difference = (tensor - &after[name]).unwrap().abs().unwrap();
        let largest: f32 = difference
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap();
        assert!(largest < 1e-6, "{name} moved by {largest}");
        moved += 1;
    }
    assert!(moved > 60, "{moved}");
}

#[test]
fn where_nothing_was_held_out_nothing_is_now() {
    let (dir, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = experiment(Method::Draem, 6);
    (config.calibration.folds, config.calibration.fewest) = (2, 20);
    run(&config, dir.path(), &quiet()).unwrap();
    let old = Run::open(dir.path()).unwrap();
    assert_eq!(old.calibrated().unwrap().origin, Origin::CrossFitted);
    let images = more(support::SIDE);
    let successor = old.successor(&images, None).unwrap();
    assert_eq!(successor.steps(9), 300);
    assert!(successor.calibration.held_out_names.is_empty());
    let successor = successor.with_steps(3).unwrap();
    train_from(&old, &successor, &images, textures(), new.path(), &quiet()).unwrap();
    let opened = Run::open(new.path()).unwrap();
    assert_eq!(opened.calibrated().unwrap().origin, Origin::CrossFitted);
    let predecessor = opened.predecessor().unwrap();
    assert!(!predecessor.held_out);
    assert!(predecessor.sentences()[1].contains("that both were trained on"));
    // It is extended like any other; the comparison is made anew.
    let longer = successor.with_steps(5).unwrap();
    let extending = TrainOptions {
        extend: true,
        ..quiet()
    };
    let report = train(&longer, &images, textures(), new.path(), &extending).unwrap();
    assert_eq!((report.resumed_from, report.steps), (3, 5));
    assert!(report.predecessor.unwrap().after.is_some());
}

#[test]
fn what_does_not_fit_is_refused() {
    let (dir, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&held_out(Method::Draem), dir.path(), &quiet()).unwrap();
    let old = Run::open(dir.path()).unwrap();
    let images = more(support::SIDE);
    let successor = old.successor(&images, Some(2)).unwrap();
    let fault = |experiment: &Experiment, of: Option<&Run>, images: &Category| {
        let trained = match of {
            Some(old) => train_from(old, experiment, images, textures(), new.path(), &quiet()),
            None => train(experiment, images, textures(), new.path(), &quiet()),
        };
        trained.unwrap_err().to_string()
    };
    let alone = fault(&successor, None, &images);
    assert!(
        alone.contains("warm_start") && alone.contains("not given"),
        "{alone}"
    );
    let mut other = successor.clone();
    other.warm_start.as_mut().unwrap().weights = "0".repeat(64);
    let other = fault(&other, Some(&old), &images);
    assert!(other.contains("warm_start.weights"), "{other}");
    let absent = fault(&successor, Some(&old), &category(1));
    assert!(absent.contains("to hold out"), "{absent}");

    let bank = tempfile::tempdir().unwrap();
    run(&experiment(Method::PatchCore, 1), bank.path(), &quiet()).unwrap();
    let fault = Run::open(bank.path()).unwrap().successor(&images, None);
    let fault = fault.unwrap_err().to_string();
    assert!(fault.contains("passes over the images once"), "{fault}");
}
