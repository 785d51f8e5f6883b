//! What two-network training can do beside the papers' methods, each off by default: averaged weights, mirrored passes, a
//! truncated L1 loss.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::support::{SIDE, category, experiment, quiet, run, textures};
use candle_core::{DType, Device, Tensor};
use flawforge_models::{Detector, Discriminative, Draem, Flips, Reconstructive};
use flawforge_training::fit::read_journal;
use flawforge_training::methods::draem::{Average, DraemRecipe, SimulatedBatches, TruncatedL1};
use flawforge_training::recipe::{BatchSource, Pool, below};
use flawforge_training::{Experiment, Method, Overrides, Recipe, Run, RunFiles, TrainOptions};

fn with_all(steps: u64, share: f64) -> Experiment {
    let mut experiment = experiment(Method::LinYan, steps);
    let settings = experiment.settings.draem_mut().unwrap();
    // Wide enough that maps are not flat after a few steps.
    settings.networks.discriminative_width = 8;
    settings.average = Some(Average {
        share,
        decay: Some(0.7),
    });
    settings.flips = Some(Flips::Both);
    settings.loss.truncated_l1 = Some(TruncatedL1::default());
    experiment
}

#[test]
fn a_run_with_everything_on_is_resumed_bit_for_bit() {
    // Stopped before the average begins, at its first step, and amid it.
    let config = with_all(12, 0.5);
    let straight = tempfile::tempdir().unwrap();
    run(&config, straight.path(), &quiet()).unwrap();
    let checkpoint = |dir: &Path| fs::read(RunFiles::new(dir).checkpoint()).unwrap();
    for stop in [5, 7, 9] {
        let broken = tempfile::tempdir().unwrap();
        let stopping = TrainOptions {
            stop_after: Some(stop),
            ..quiet()
        };
        run(&config, broken.path(), &stopping).unwrap();
        let resumed = TrainOptions {
            resume: true,
            ..quiet()
        };
        run(&config, broken.path(), &resumed).unwrap();
        assert!(
            checkpoint(straight.path()) == checkpoint(broken.path()),
            "stopped after {stop}"
        );
    }
    let lines = read_journal(&RunFiles::new(straight.path()).metrics()).unwrap();
    assert!(lines.iter().all(|line| line.losses["truncated_l1"] > 0.0));
}

fn state(recipe: &DraemRecipe) -> HashMap<String, Tensor> {
    recipe.state().unwrap().into_iter().collect()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// The states after each of `steps` steps with an average over the last `share`.
fn states(average: Average, steps: u64) -> (DraemRecipe, Vec<HashMap<String, Tensor>>) {
    let mut settings = experiment(Method::Draem, steps).settings.draem().unwrap().clone();
    settings.networks.discriminative_width = 8;
    settings.average = Some(average);
    let category = category(7);
    let source = SimulatedBatches {
        windowing: None,
        images: &category.train,
        pools: vec![Pool {
            images: (0..7).collect(),
            batch: 3,
        }],
        draw: settings.batch.draw,
        simulation: settings.simulation.simulation(&textures().into()),
        seed: 5,
    };
    let mut recipe = DraemRecipe::new(&settings, 5, (SIDE, SIDE), &Device::Cpu).unwrap();
    recipe.expect(steps);
    let states = (0..steps)
        .map(|step| {
            recipe.step(&source.batch(step).unwrap(), 1e-3).unwrap();
            state(&recipe)
        })
        .collect();
    (recipe, states)
}

#[test]
fn the_average_is_that_of_the_last_steps_weights_and_statistics() {
    for (decay, weights) in [
        // 3 of 6 steps count, all alike.
        (None, [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]),
        // With decay 0.5 the mean of the first two, then half of the newest.
        (Some(0.5), [0.25, 0.25, 0.5]),
    ] {
        let (_, states) = states(Average { share: 0.5, decay }, 6);
        assert!(!states[2].contains_key("average.begun"));
        let last = &states[5];
        assert_eq!(last["average.begun"].to_scalar::<i64>().unwrap(), 3);
        let mut compared = 0;
        for (name, average) in last.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix("average.")?;
            let weighed = !name.ends_with("num_batches_tracked") && name != "begun";
            weighed.then_some((name, tensor))
        }) {
            let steps: Vec<Vec<f32>> = states[3..].iter().map(|state| numbers(&state[name])).collect();
            for (place, average) in numbers(average).into_iter().enumerate() {
                let expected: f64 = (0..3)
                    .map(|step| weights[step] * f64::from(steps[step][place]))
                    .sum();
                assert!((f64::from(average) - expected).abs() < 1e-5, "{name}");
            }
            compared += 1;
        }
        assert!(compared > 200, "{compared}");
        // Statistics are among them, and they move.
        let statistics = "discriminative.encoder_segment.block1.1.running_mean";
        assert_ne!(
            numbers(&last[&format!("average.{statistics}")]),
            numbers(&last[statistics])
        );
    }
}

/// The detector of the networks in a state, below a prefix.
fn detector_of(state: &HashMap<String, Tensor>, prefix: Option<&str>) -> Draem {
    let tensors = prefix.map_or_else(|| state.clone(), |prefix| below(prefix, state));
    let reconstructive =
        Reconstructive::from_tensors(&below("reconstructive", &tensors), &Device::Cpu).unwrap();
    let discriminative =
        Discriminative::from_tensors(&below("discriminative", &tensors), &Device::Cpu).unwrap();
    Draem::new(&reconstructive, &discriminative, SIDE, SIDE).unwrap()
}

fn map(detector: &dyn Detector) -> Vec<f32> {
    let image = category(7).train[2].image().unwrap().into_owned();
    detector.detect(&[&image]).unwrap().remove(0).map.scores
}

#[test]
fn detectors_of_a_recipe_and_of_its_file_use_the_average() {
    let (recipe, states) = states(Average::default(), 6);
    let last = &states[5];
    let found = map(recipe.detector().unwrap().as_ref());
    assert!(found == map(&detector_of(last, Some("average"))));
    assert!(found != map(&detector_of(last, None)));

    // Without a step that counts, the weights as they are.
    let mut settings = experiment(Method::Draem, 6).settings.draem().unwrap().clone();
    settings.average = Some(Average::default());
    let fresh = DraemRecipe::new(&settings, 5, (SIDE, SIDE), &Device::Cpu).unwrap();
    settings.average = None;
    let plain = DraemRecipe::new(&settings, 5, (SIDE, SIDE), &Device::Cpu).unwrap();
    assert!(map(fresh.detector().unwrap().as_ref()) == map(plain.detector().unwrap().as_ref()));

    let dir = tempfile::tempdir().unwrap();
    run(&with_all(6, 0.5), dir.path(), &quiet()).unwrap();
    let file = RunFiles::new(dir.path()).checkpoint();
    let saved = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let opened = map(Run::open(dir.path()).unwrap().detector().unwrap().as_ref());
    let averaged = detector_of(&saved, Some("average"));
    assert!(opened != map(&averaged), "flips are part of the detector");
    assert!(opened == map(&averaged.with_flips(Flips::Both)));
}

#[test]
fn settings_are_off_by_default_and_leave_no_trace() {
    for method in [Method::Draem, Method::LinYan, Method::SplitDraemSimulation] {
        let config = experiment(method, 3);
        let text = config.to_toml().unwrap();
        for word in ["average", "flips", "truncated"] {
            assert!(!text.contains(word), "{word} in\n{text}");
        }
        assert!(
            !config
                .deviations(3)
                .iter()
                .any(|line| line.contains("average") || line.contains("mirror"))
        );
    }
}

#[test]
fn settings_are_read_checked_and_named_as_deviations() {
    let text = "flips = \"horizontal\"\n[average]\n[loss.truncated_l1]\nweight = 0.5\n";
    let overrides = Overrides::from_toml(text, "my.toml").unwrap();
    let config = experiment(Method::LinYan, 3).with(&overrides).unwrap();
    config.validate().unwrap();
    let settings = config.settings.draem().unwrap();
    assert_eq!(settings.flips, Some(Flips::Horizontal));
    assert_eq!(settings.average, Some(Average::default()));
    let truncated = settings.loss.truncated_l1.unwrap();
    assert_eq!((truncated.weight, truncated.margin), (0.5, 0.5));
    assert_eq!(
        Experiment::from_toml(&config.to_toml().unwrap(), "test").unwrap(),
        config
    );
    assert_ne!(config.hash(), experiment(Method::LinYan, 3).hash());
    let lines = config.deviations(3).join("\n");
    for part in [
        "last 25 % of the steps",
        "2 mirror images",
        "truncated L1 loss, weight 0.5",
    ] {
        assert!(lines.contains(part), "{part} in\n{lines}");
    }
    for (text, name) in [
        ("[average]\nshare = 0.0\n", "average.share"),
        ("[average]\ndecay = 1.0\n", "average.decay"),
        ("[loss.truncated_l1]\nmargin = -1.0\n", "loss.truncated_l1.margin"),
    ] {
        let overrides = Overrides::from_toml(text, "my.toml").unwrap();
        let fault = experiment(Method::Draem, 3).with(&overrides).unwrap().validate();
        let fault = fault.unwrap_err().to_string();
        assert!(fault.contains(name), "{fault}");
    }
}

#[test]
fn shares_of_a_training_are_whole_steps() {
    let first = |share, steps| Average { share, decay: None }.first(steps);
    assert_eq!(
        [
            first(0.25, 8),
            first(0.25, 10),
            first(1.0, 10),
            first(0.1, 30),
            first(0.01, 5)
        ],
        [6, 7, 0, 27, 4]
    );
    let decaying = Average {
        share: 1.0,
        decay: Some(0.9),
    };
    let newest: Vec<f64> = [1, 2, 10, 100].map(|count| decaying.newest(count)).into();
    for (found, expected) in newest.iter().zip([1.0, 0.5, 0.1, 0.1]) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}
