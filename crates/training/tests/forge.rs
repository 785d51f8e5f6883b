//! Forge from images to scores: what it finds, that a run stands alone, and what no thread or order changes.

use crate::support::{quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, demo as demo_data};
use flawforge_metrics::Metric;
use flawforge_training::fit::Origin;
use flawforge_training::{Experiment, Method, Product, Profile, Run, TrainOptions, evaluate, train};

fn experiment() -> Experiment {
    let product = Product::new("gear", Selection::default());
    let profile = Profile::builtin("smoke").unwrap();
    Experiment::new(Method::Forge, &profile, &product, 0).unwrap()
}

fn gear(experiment: &Experiment) -> Category {
    demo_data::category("gear", &experiment.loading(), 0).unwrap()
}

#[test]
fn random_features_find_the_demo_defects_and_a_run_stands_alone() {
    let experiment = experiment();
    let category = gear(&experiment);
    let out = tempfile::tempdir().unwrap();
    let report = train(&experiment, &category, textures(), out.path(), &quiet()).unwrap();
    let images = category.train.len();
    // Every normal image once, and eight simulated anomalies.
    assert_eq!(report.steps, (images.div_ceil(4) + 2) as u64);
    let run = Run::open(out.path()).unwrap();
    let detector = run.detector().unwrap();
    let evaluation = evaluate(detector.as_ref(), &category).unwrap();
    let auroc = evaluation.scores[&Metric::PixelAuroc];
    assert!(auroc > 0.6, "pixel AUROC {auroc}");
    assert!(detector.full_scale() > 0.0);
    // All normal images calibrate the threshold, each as if it had not been seen.
    let calibrated = run.calibrated().unwrap();
    let unseen: Vec<_> = calibrated.normal().collect();
    assert_eq!((unseen.len(), calibrated.origin), (images, Origin::LeftOut));
    for (scored, train) in unseen.iter().zip(&category.train) {
        assert_eq!((&scored.image, &scored.kind), (&train.name, &None));
        assert!(scored.score.is_finite());
    }
    // An image is not at a distance of nothing from the others, as it would be from its own patches.
    let least = unseen
        .iter()
        .map(|scored| scored.score)
        .fold(f32::INFINITY, f32::min);
    assert!(least > 0.0, "{least}");
}

#[test]
fn neither_threads_nor_company_change_a_number() {
    let mut experiment = experiment();
    experiment.settings.forge_mut().unwrap().forge.head.simulated = 4;
    let mut category = gear(&experiment);
    category.train.truncate(6);
    let out = tempfile::tempdir().unwrap();
    let trained = |name: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let dir = out.path().join(name);
        pool.install(|| train(&experiment, &category, textures(), &dir, &quiet()))
            .unwrap();
        std::fs::read(dir.join("checkpoint.safetensors")).unwrap()
    };
    // Checkpoints hold the seconds of the training in their header; tensors lie behind it.
    let tensors = |bytes: &[u8]| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + length..].to_vec()
    };
    assert_eq!(tensors(&trained("one", 1)), tensors(&trained("three", 3)));
    let detector = Run::open(&out.path().join("one")).unwrap().detector().unwrap();
    let images: Vec<_> = category.test.iter().take(3).map(|test| &test.image).collect();
    let together = detector.detect(&images).unwrap();
    for (image, found) in images.iter().zip(&together) {
        let alone = &detector.detect(&[image]).unwrap()[0];
        assert_eq!((alone.score, &alone.map), (found.score, &found.map));
    }
}

fn numbers(tensor: &candle_core::Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(candle_core::DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_training_that_was_stopped_on_its_way_ends_as_an_unbroken_one() {
    let experiment = experiment();
    let mut category = gear(&experiment);
    category.train.truncate(8);
    let out = tempfile::tempdir().unwrap();
    let trained = |name: &str, stops: &[u64]| {
        let dir = out.path().join(name);
        for stop_after in stops.iter().copied().map(Some).chain([None]) {
            let options = TrainOptions {
                resume: true,
                stop_after,
                ..quiet()
            };
            let report = train(&experiment, &category, textures(), &dir, &options).unwrap();
            // What was collected before is not kept, and is collected again.
            assert_eq!(report.resumed_from, 0);
            assert_eq!(report.steps, stop_after.unwrap_or(report.total_steps));
        }
        let tensors =
            candle_core::safetensors::load(dir.join("checkpoint.safetensors"), &candle_core::Device::Cpu);
        let mut tensors: Vec<(String, Vec<f32>)> = tensors
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| (name, numbers(&tensor)))
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        (tensors, Run::open(&dir).unwrap().calibrated().cloned())
    };
    let unbroken = trained("unbroken", &[]);
    // In the normal images, and in the simulated anomalies.
    assert_eq!(trained("stopped", &[1, 3]), unbroken);
    assert!(unbroken.0.iter().any(|(name, _)| name == "bank.0.vectors"));
}

#[test]
fn one_normal_image_has_no_others_to_be_compared_with() {
    let experiment = experiment();
    let mut category = gear(&experiment);
    category.train.truncate(1);
    let out = tempfile::tempdir().unwrap();
    let fault = train(&experiment, &category, textures(), out.path(), &quiet()).unwrap_err();
    assert!(fault.to_string().contains("at least 2 normal images"), "{fault}");
}

#[test]
fn without_a_head_distances_alone_decide() {
    let mut experiment = experiment();
    experiment.settings.forge_mut().unwrap().forge.head.simulated = 0;
    let mut category = gear(&experiment);
    category.train.truncate(8);
    let out = tempfile::tempdir().unwrap();
    let report = train(&experiment, &category, textures(), out.path(), &quiet()).unwrap();
    assert_eq!(report.steps, 2);
    let evaluation = evaluate(
        Run::open(out.path()).unwrap().detector().unwrap().as_ref(),
        &category,
    )
    .unwrap();
    assert!(evaluation.scores[&Metric::ImageAuroc] > 0.5);
}
