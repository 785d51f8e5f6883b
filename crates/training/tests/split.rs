//! Split training (docs/method.md, section 11): who trains on what, and that each switch does what it says.

use std::collections::HashMap;

use crate::support::{SIDE, category, experiment, textures};
use candle_core::{Device, Tensor};
use flawforge_datasets::parity_split;
use flawforge_training::methods::draem::{DraemRecipe, NormMode, Settings, SimulatedBatches, Split};
use flawforge_training::recipe::{Batch, BatchSource, Pool};
use flawforge_training::settings::Draw;
use flawforge_training::{Method, Recipe};

/// Seed of the tests' experiments.
const SEED: u64 = 5;

fn settings(method: Method) -> Settings {
    experiment(method, 3).settings.draem().unwrap().clone()
}

fn split(settings: &mut Settings) -> &mut Split {
    settings.split.as_mut().unwrap()
}

fn state(recipe: &DraemRecipe) -> HashMap<String, Vec<f32>> {
    let numbers = |tensor: &Tensor| {
        tensor
            .to_dtype(candle_core::DType::F32)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    recipe
        .state()
        .unwrap()
        .iter()
        .map(|(name, tensor)| (name.clone(), numbers(tensor)))
        .collect()
}

/// Batches of X and Y.
fn batches(config: &Settings) -> Vec<Batch> {
    let category = category(8);
    let (x, y) = parity_split(8);
    let source = SimulatedBatches {
        windowing: None,
        images: &category.train,
        pools: vec![
            Pool {
                images: x,
                batch: config.split.as_ref().unwrap().batch_x,
            },
            Pool {
                images: y,
                batch: config.split.as_ref().unwrap().batch_y,
            },
        ],
        draw: config.batch.draw,
        simulation: config.simulation.simulation(&textures().into()),
        seed: SEED,
    };
    (0..3).map(|step| source.batch(step).unwrap()).collect()
}

/// The state after one step on a batch, with a change of the settings.
fn after(batch: &Batch, change: impl FnOnce(&mut Settings)) -> HashMap<String, Vec<f32>> {
    let mut config = settings(Method::LinYan);
    change(&mut config);
    let mut recipe = DraemRecipe::new(&config, SEED, (SIDE, SIDE), &Device::Cpu).unwrap();
    recipe.step(batch, 1e-3).unwrap();
    state(&recipe)
}

fn differing(a: &HashMap<String, Vec<f32>>, b: &HashMap<String, Vec<f32>>, part: &str) -> usize {
    a.iter()
        .filter(|(name, values)| name.starts_with(part) && b[*name] != **values)
        .count()
}

#[test]
fn x_and_y_come_from_their_halves_in_the_sizes_asked_for() {
    for draw in [Draw::WithReplacement, Draw::Shuffled] {
        let mut config = settings(Method::LinYan);
        config.batch.draw = draw;
        for batch in batches(&config) {
            let [x, y] = batch.parts.as_slice() else {
                panic!("two parts")
            };
            assert_eq!((x.samples.len(), y.samples.len()), (3, 2));
            let parity = |name: &String| name.parse::<usize>().unwrap() % 2;
            assert!(x.names.iter().all(|name| parity(name) == 0), "{:?}", x.names);
            assert!(y.names.iter().all(|name| parity(name) == 1), "{:?}", y.names);
        }
    }
}

#[test]
fn a_shuffled_epoch_sees_every_image_once() {
    let mut config = settings(Method::LinYan);
    config.batch.draw = Draw::Shuffled;
    split(&mut config).batch_x = 2;
    let mut seen: Vec<String> = batches(&config)[..2]
        .iter()
        .flat_map(|batch| batch.parts[0].names.clone())
        .collect();
    seen.sort();
    assert_eq!(seen, ["000", "002", "004", "006"]);
}

#[test]
fn with_the_defaults_y_never_touches_the_reconstructive_network() {
    let config = settings(Method::LinYan);
    let all = batches(&config);
    let mut swapped = all[0].clone();
    swapped.parts[1] = all[1].parts[1].clone();
    let (a, b) = (after(&all[0], |_| {}), after(&swapped, |_| {}));
    assert_eq!(differing(&a, &b, "reconstructive."), 0);
    assert_eq!(differing(&a, &b, "adam.reconstructive."), 0);
    assert!(differing(&a, &b, "discriminative.") > 50);
}

#[test]
fn without_the_detachment_the_focal_gradient_reaches_the_reconstructive_network() {
    let config = settings(Method::LinYan);
    let batch = &batches(&config)[0];
    let (on, off) = (
        after(batch, |_| {}),
        after(batch, |c| split(c).detach_focal = false),
    );
    // With the running statistics of an untrained network most of the signal is lost on the way; its end moves surely.
    let last = "adam.reconstructive.decoder.fin_out.0.bias.m";
    assert_ne!(on[last], off[last]);
    assert_eq!(differing(&on, &off, "discriminative."), 0);
    let with_batch_statistics = |detach| {
        after(batch, |c| {
            split(c).reconstruction_bn_on_y = NormMode::Train;
            split(c).detach_focal = detach;
        })
    };
    let (a, b) = (with_batch_statistics(true), with_batch_statistics(false));
    assert!(differing(&a, &b, "adam.reconstructive.") > 80);
    // Its running statistics follow from X alone either way.
    let statistics = |state: &HashMap<String, Vec<f32>>| -> Vec<Vec<f32>> {
        let mut found: Vec<_> = state
            .iter()
            .filter(|(name, _)| name.starts_with("reconstructive.") && name.contains("running_"))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        found.into_iter().map(|(_, values)| values.clone()).collect()
    };
    assert_eq!(statistics(&on), statistics(&off));
}

#[test]
fn batch_norms_in_training_mode_on_y_change_running_statistics_only_of_r() {
    let config = settings(Method::LinYan);
    let batch = &batches(&config)[0];
    let eval = after(batch, |_| {});
    let train = after(batch, |c| split(c).reconstruction_bn_on_y = NormMode::Train);
    // Detached: no weight of R changes, but every running mean and variance of its 22 batch norms, and their counts.
    assert_eq!(differing(&eval, &train, "adam.reconstructive."), 0);
    let changed: Vec<&String> = eval
        .iter()
        .filter(|(name, values)| name.starts_with("reconstructive.") && train[*name] != **values)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed.len(), 66);
    assert!(
        changed
            .iter()
            .all(|name| name.contains("running_") || name.contains("num_batches")),
        "{changed:?}"
    );
}

#[test]
fn joint_training_lets_the_focal_loss_train_both_networks() {
    let mut config = settings(Method::Draem);
    let category = category(8);
    let source = SimulatedBatches {
        windowing: None,
        images: &category.train,
        pools: vec![Pool {
            images: (0..8).collect(),
            batch: 3,
        }],
        draw: config.batch.draw,
        simulation: config.simulation.simulation(&textures().into()),
        seed: SEED,
    };
    let batch = source.batch(0).unwrap();
    assert_eq!(batch.parts.len(), 1);
    (config.loss.ssim_weight, config.loss.l2_weight) = (0.0, 0.0);
    let mut recipe = DraemRecipe::new(&config, SEED, (SIDE, SIDE), &Device::Cpu).unwrap();
    let before = state(&recipe);
    let losses = recipe.step(&batch, 1e-3).unwrap();
    assert_eq!(
        losses.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["ssim", "l2", "focal"]
    );
    let later = state(&recipe);
    let weights = |name: &str| differing(&before, &later, name);
    assert!(weights("reconstructive.decoder") > 20 && weights("discriminative.") > 50);
}
