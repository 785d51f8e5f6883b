//! A finished run is trained further; what detects travels in a file of its own; faults say what has changed.

use std::fs;
use std::path::Path;

use crate::support::{self, category, category_of, experiment, quiet, run, textures};
use flawforge_datasets::TrainImage;
use flawforge_training::fit::read_journal;
use flawforge_training::methods::draem::Average;
use flawforge_training::{Experiment, Method, Run, RunFiles, TrainOptions, TrainingError, train};

fn resumed() -> TrainOptions {
    TrainOptions {
        resume: true,
        ..quiet()
    }
}

fn extended() -> TrainOptions {
    TrainOptions {
        extend: true,
        ..quiet()
    }
}

fn bytes(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap()
}

/// The tensors of a file by name, as bytes. (Decimal text may lose the last bit of a number in the header.)
fn tensors(file: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = bytes(file);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect();
    all.sort();
    all
}

fn map(run: &Run) -> Vec<f32> {
    let side = run.loading().image.of((1, 1)).0;
    let image = category_of(7, side).train[2].image().unwrap().into_owned();
    let detector = run.detector().unwrap();
    detector.detect(&[&image]).unwrap().remove(0).map.scores
}

/// Averaged, so that what an extension does to the average is part of the test.
fn config(method: Method) -> Experiment {
    let mut config = experiment(method, 8);
    if let Some(settings) = config.settings.draem_mut() {
        settings.average = Some(Average {
            share: 0.5,
            decay: None,
        });
    }
    config
}

#[test]
fn an_extended_run_goes_on_as_the_longer_training_would_and_survives_interruption() {
    for method in [Method::LinYan, Method::Nsa] {
        let (short, long) = (config(method), config(method).with_steps(14).unwrap());
        let (straight, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [straight.path(), broken.path()] {
            run(&short, dir, &quiet()).unwrap();
        }
        let report = run(&long, straight.path(), &extended()).unwrap();
        assert_eq!(
            (report.resumed_from, report.steps, report.total_steps),
            (8, 14, 14)
        );
        let stopping = TrainOptions {
            stop_after: Some(11),
            ..extended()
        };
        run(&long, broken.path(), &stopping).unwrap();
        let files = RunFiles::new(broken.path());
        assert!(
            !files.model().exists(),
            "the model of the shorter training is gone"
        );
        // It is no longer finished: it is resumed, not extended again.
        let again = long.with_steps(20).unwrap();
        let fault = run(&again, broken.path(), &extended()).unwrap_err().to_string();
        assert!(
            fault.contains("not finished (step 11 of 14); resume it"),
            "{fault}"
        );
        run(&long, broken.path(), &resumed()).unwrap();
        let straight_files = RunFiles::new(straight.path());
        assert!(
            bytes(&straight_files.checkpoint()) == bytes(&files.checkpoint()),
            "{method}"
        );
        assert!(
            bytes(&straight_files.model()) == bytes(&files.model()),
            "{method}"
        );
        assert_eq!(
            fs::read_to_string(files.config()).unwrap(),
            long.to_toml().unwrap()
        );

        let opened = Run::open(straight.path()).unwrap();
        assert_eq!((opened.extended(), opened.total_steps()), (&[8][..], 14));
        assert_eq!(opened.experiment(), &long);
        let lines = read_journal(&straight_files.metrics()).unwrap();
        let steps: Vec<u64> = lines.iter().map(|line| line.step).collect();
        assert_eq!(steps, [3, 6, 8, 9, 12, 14]);
        // From there on the rate is that of the longer training.
        let settings = long.settings.clone();
        let schedule = settings.clone().schedule_mut().unwrap().clone();
        for line in &lines[3..] {
            assert_eq!(line.learning_rate, schedule.rate(line.step - 1, 14));
        }

        let shorter = run(&short, straight.path(), &extended()).unwrap_err().to_string();
        assert!(shorter.contains("has 14 steps already"), "{shorter}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let fault = run(&config(Method::Draem), nowhere.path(), &extended()).unwrap_err();
    assert!(fault.to_string().contains("holds no run to extend"), "{fault}");
    let fault = experiment(Method::PatchCore, 1).with_steps(9).unwrap_err();
    assert!(
        fault.to_string().contains("passes over the images once"),
        "{fault}"
    );
}

#[test]
fn an_extended_run_is_learnt_with_the_moments_of_the_shorter_one() {
    // With a constant rate an extension is the longer training, number for number.
    let steady = |steps| {
        let mut config = experiment(Method::Draem, steps);
        let schedule = config.settings.schedule_mut().unwrap();
        (schedule.warm_up, schedule.decay_factor) = (0.0, 1.0);
        schedule.decay = flawforge_training::settings::Decay::Milestones;
        config
    };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&steady(10), whole.path(), &quiet()).unwrap();
    run(&steady(6), parts.path(), &quiet()).unwrap();
    run(&steady(10), parts.path(), &extended()).unwrap();
    let model = |dir: &Path| {
        let file = RunFiles::new(dir).model();
        candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap()
    };
    let (whole, parts) = (model(whole.path()), model(parts.path()));
    assert!(whole.len() > 300);
    for (name, tensor) in &whole {
        let numbers = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_string();
        assert_eq!(numbers(tensor), numbers(&parts[name]), "{name}");
    }
}

#[test]
fn what_detects_travels_alone_and_does_not_go_on() {
    for method in [Method::LinYan, Method::Nsa, Method::PatchCore] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(method);
        run(&config, dir.path(), &quiet()).unwrap();
        let files = RunFiles::new(dir.path());
        let whole = Run::open(dir.path()).unwrap();
        assert_eq!(whole.file(), files.checkpoint());

        let exported = dir.path().join("for-the-line.safetensors");
        whole.export(&exported).unwrap();
        let travelling = Run::open(&exported).unwrap();
        assert!(map(&travelling) == map(&whole), "{method}");
        assert_eq!(travelling.calibrated(), whole.calibrated());
        assert_eq!(travelling.appearance(), whole.appearance());
        assert_eq!(travelling.experiment(), whole.experiment());
        assert_eq!(travelling.data(), whole.data());
        if method == Method::PatchCore {
            // Nothing can be left out.
            assert!(!files.model().exists() && !travelling.detects_only());
            assert!(tensors(&exported) == tensors(&files.checkpoint()));
            continue;
        }
        assert!(travelling.detects_only());
        assert!(tensors(&exported) == tensors(&files.model()), "{method}");
        // A third of the numbers and less: no moments, and the average in the place of the weights.
        let numbers = |file: &Path| -> usize {
            let tensors = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
            tensors.values().map(candle_core::Tensor::elem_count).sum()
        };
        assert!(
            2 * numbers(&files.model()) < numbers(&files.checkpoint()),
            "{method}"
        );
        // What was exported can be exported.
        let again = dir.path().join("again.safetensors");
        travelling.export(&again).unwrap();
        assert!(tensors(&again) == tensors(&exported));

        // A folder with the model alone is a run that detects, and no run that goes on.
        let line = tempfile::tempdir().unwrap();
        fs::copy(files.model(), RunFiles::new(line.path()).model()).unwrap();
        assert!(map(&Run::open(line.path()).unwrap()) == map(&whole));
        for options in [resumed(), extended()] {
            let fault = run(&config, line.path(), &options).unwrap_err();
            assert!(matches!(fault, TrainingError::Mismatch { .. }));
            let fault = fault.to_string();
            assert!(fault.contains("without the optimizer's moments"), "{fault}");
        }
        let fault = run(&config, line.path(), &quiet()).unwrap_err().to_string();
        assert!(fault.contains("already holds a run"), "{fault}");
        // Under the other name it is refused as clearly.
        fs::rename(
            RunFiles::new(line.path()).model(),
            RunFiles::new(line.path()).checkpoint(),
        )
        .unwrap();
        let fault = run(&config, line.path(), &resumed()).unwrap_err().to_string();
        assert!(fault.contains("without the optimizer's moments"), "{fault}");

        // A model that was lost is written again; one that is not wanted is not.
        fs::remove_file(files.model()).unwrap();
        let unwanted = TrainOptions {
            model: false,
            ..resumed()
        };
        run(&config, dir.path(), &unwanted).unwrap();
        assert!(!files.model().exists());
        run(&config, dir.path(), &resumed()).unwrap();
        assert!(tensors(&exported) == tensors(&files.model()));
    }
}

#[test]
fn a_fault_says_which_images_have_changed() {
    let dir = tempfile::tempdir().unwrap();
    let config = experiment(Method::Draem, 4);
    let stopping = TrainOptions {
        stop_after: Some(2),
        ..quiet()
    };
    run(&config, dir.path(), &stopping).unwrap();
    let fault = |change: &dyn Fn(&mut Vec<TrainImage>)| {
        let mut images = category(7);
        change(&mut images.train);
        train(&config, &images, textures(), dir.path(), &resumed())
            .unwrap_err()
            .to_string()
    };
    let picture = |shade| image::RgbImage::from_pixel(support::SIDE, support::SIDE, image::Rgb([shade; 3]));
    let more = fault(&|images| images.push(TrainImage::new("more", picture(9))));
    assert!(
        more.contains("(1 image beside the 7 of before); resume it with its own images; then `train --from "),
        "{more}"
    );
    let fewer = fault(&|images| images.truncate(5));
    assert!(fewer.ends_with("(2 images of 7 missing)"), "{fewer}");
    let other = fault(&|images| images[3] = TrainImage::new("003", picture(7)));
    assert!(other.ends_with("(1 image new, 1 image of 7 missing)"), "{other}");
    let twice = fault(&|images| {
        let pixels = images[0].image().unwrap().into_owned();
        images.push(TrainImage::new("again", pixels));
    });
    assert!(twice.contains("(1 image beside the 7 of before); "), "{twice}");
    let order = fault(&|images| images.swap(0, 1));
    assert!(order.contains("same pictures have other names"), "{order}");
}

#[test]
fn a_fault_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = experiment(Method::Draem, 4);
    run(&config, dir.path(), &quiet()).unwrap();
    let fault = |steps: u64| {
        let longer = config.clone().with_steps(steps).unwrap();
        run(&longer, dir.path(), &resumed()).unwrap_err().to_string()
    };
    let longer = fault(9);
    assert!(
        longer.contains("schedule.length is \"9 steps\", was \"4 steps\"; the run is finished: `--extend 5` trains it longer"),
        "{longer}"
    );
    let shorter = fault(3);
    assert!(
        shorter.ends_with("a run becomes no shorter: train a new one"),
        "{shorter}"
    );
    let mut images = category(7);
    let picture = image::RgbImage::from_pixel(support::SIDE, support::SIDE, image::Rgb([9; 3]));
    images.train.push(TrainImage::new("more", picture));
    let more = train(&config, &images, textures(), dir.path(), &resumed())
        .unwrap_err()
        .to_string();
    assert!(
        more.ends_with(&format!(
            "(1 image beside the 7 of before); `train --from {} DIR --out NEW` goes on with further images, as a new run",
            dir.path().display()
        )),
        "{more}"
    );
    // Another seed is another run: nothing is advised.
    let other = Experiment {
        seed: config.seed + 1,
        ..config.clone()
    };
    let other = run(&other, dir.path(), &resumed()).unwrap_err().to_string();
    assert!(
        !other.contains("--extend") && !other.contains("--from"),
        "{other}"
    );
}
