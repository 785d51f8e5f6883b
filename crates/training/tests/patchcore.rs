//! PatchCore from images to scores: what it finds, what it keeps, and what it says when something is missing.

use std::sync::Arc;

use crate::support::{experiment, quiet, run, textures};
use candle_core::Device;
use flawforge_augment::Selection;
use flawforge_datasets::demo as demo_data;
use flawforge_metrics::Metric;
use flawforge_training::methods::backbone::{Backbone, BackboneSource, BackboneWeights, Given, Weights};
use flawforge_training::{Experiment, Method, Product, Profile, Run, evaluate, evaluate_each, train};

fn demo(category: &str) -> Experiment {
    let product = Product::new(category, Selection::default());
    let mut config = Experiment::new(
        Method::PatchCore,
        &Profile::builtin("smoke").unwrap(),
        &product,
        0,
    )
    .unwrap();
    config.calibration.images = 4;
    config
}

#[test]
fn random_features_find_the_demo_defects_and_a_run_stands_alone() {
    let config = demo("gear");
    let category = demo_data::category("gear", &config.loading(), 0).unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = train(&config, &category, textures(), out.path(), &quiet()).unwrap();
    assert_eq!(report.steps, category.train.len().div_ceil(4) as u64);
    let detector = Run::open(out.path()).unwrap().detector().unwrap();
    let evaluation = evaluate(detector.as_ref(), &category).unwrap();
    let auroc = evaluation.scores[&Metric::ImageAuroc];
    assert!(auroc > 0.6, "image AUROC {auroc}");
    // Scores are squared distances: pictures need their scale.
    assert!(detector.full_scale() > 0.0);
    // The same for any number of threads.
    let images: Vec<_> = category.test.iter().take(2).map(|test| &test.image).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = pool.install(|| detector.detect(&images)).unwrap();
    let together = detector.detect(&images).unwrap();
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!((alone.score, &alone.map), (together.score, &together.map));
    }
}

#[test]
fn given_weights_are_named_by_their_digest_and_kept_in_the_run() {
    let dir = tempfile::tempdir().unwrap();
    // A run's own random weights, saved as a file, are weights like any other.
    let mut config = experiment(Method::PatchCore, 3);
    run(&config, &dir.path().join("random"), &quiet()).unwrap();
    let checkpoint = dir.path().join("random/checkpoint.safetensors");
    let tensors = candle_core::safetensors::load(&checkpoint, &Device::Cpu).unwrap();
    let backbone = tensors
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor)));
    let file = dir.path().join("weights.safetensors");
    flawforge_models::import::write_tensors(&backbone.collect(), &file).unwrap();

    let source = BackboneSource::resolve(Some(&file), None, None, None, Backbone::ResNet18).unwrap();
    let weights = source.weights(Backbone::ResNet18, dir.path()).unwrap().unwrap();
    assert_eq!(
        (weights.kind, weights.digest.len()),
        (BackboneWeights::Pretrained, 64)
    );
    let weights = Arc::new(weights);
    let settings = config.settings.patchcore_mut().unwrap();
    settings.give(weights.clone());
    settings.given = Given::default();
    config.validate().unwrap();
    let missing = run(&config, &dir.path().join("given"), &quiet())
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("patchcore.weights") && missing.contains("--backbone"),
        "{missing}"
    );
    config.settings.patchcore_mut().unwrap().given = Given(Some(weights.clone()));
    run(&config, &dir.path().join("given"), &quiet()).unwrap();
    // No file is needed to detect, and the bank is that of the same weights.
    let bank = |name: &str| {
        let path = dir.path().join(name).join("checkpoint.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        tensors["bank"].to_vec2::<f32>().unwrap()
    };
    assert_eq!(bank("given"), bank("random"));
    assert!(Run::open(&dir.path().join("given")).unwrap().detector().is_ok());

    config.settings.patchcore_mut().unwrap().given = Given(Some(Arc::new(Weights {
        digest: "0".repeat(64),
        ..(*weights).clone()
    })));
    let fault = run(&config, &dir.path().join("other"), &quiet())
        .unwrap_err()
        .to_string();
    assert!(fault.contains("patchcore.digest"), "{fault}");
    let wrong = Weights::read(&file, Backbone::ResNet50, BackboneWeights::Pretrained)
        .unwrap_err()
        .to_string();
    assert!(
        wrong.contains("weights.safetensors") && wrong.contains("not of resnet50"),
        "{wrong}"
    );
}

#[test]
fn sources_are_settled_before_anything_is_read() {
    let resolve = |file: Option<&str>,
                   how: Option<&str>,
                   textures: Option<&str>,
                   downloads: Option<&std::path::Path>| {
        let path = |text: Option<&str>| text.map(std::path::PathBuf::from);
        let (file, textures) = (path(file), path(textures));
        BackboneSource::resolve(
            file.as_deref(),
            how,
            textures.as_deref(),
            downloads,
            Backbone::WideResNet50,
        )
    };
    let downloads = tempfile::tempdir().unwrap();
    assert_eq!(
        resolve(None, None, None, Some(downloads.path())).unwrap(),
        BackboneSource::Random
    );
    let there = downloads.path().join("wide-resnet50-2.safetensors");
    std::fs::write(&there, "").unwrap();
    let found = resolve(None, None, None, Some(downloads.path())).unwrap();
    assert_eq!(found, BackboneSource::File(there));
    assert_eq!(
        resolve(None, Some("random"), None, Some(downloads.path())).unwrap(),
        BackboneSource::Random
    );
    for (file, how) in [
        (Some("x"), Some("random")),
        (None, Some("textures")),
        (None, Some("imagenet")),
    ] {
        let fault = resolve(file, how, None, None).unwrap_err().to_string();
        assert!(fault.contains("--backbone-init"), "{fault}");
    }
    let textures = resolve(None, Some("textures"), Some("dtd"), None).unwrap();
    assert_eq!(textures, BackboneSource::Textures("dtd".into()));
}

#[test]
fn the_official_crop_leaves_the_frame_at_zero_and_is_scored_by_itself_too() {
    let mut config = demo("weave");
    let patchcore = &mut config.settings.patchcore_mut().unwrap().patchcore;
    (patchcore.resize, patchcore.crop, patchcore.reweight) = (64, 48, 9);
    let mut category = demo_data::category("weave", &config.loading(), 0).unwrap();
    category.train.truncate(10);
    let out = tempfile::tempdir().unwrap();
    train(&config, &category, textures(), out.path(), &quiet()).unwrap();
    let detector = Run::open(out.path()).unwrap().detector().unwrap();
    let mut maps = Vec::new();
    let evaluation = evaluate_each(
        detector.as_ref(),
        &category,
        &config.evaluation,
        &mut |_, detection| {
            maps.push(detection.map.clone());
        },
    )
    .unwrap();
    assert_eq!(maps.len(), category.test.len());
    for map in maps {
        assert_eq!((map.width, map.height), (64, 64));
        assert!(map.scores[..64 * 8].iter().all(|&score| score == 0.0));
        assert!(map.scores.iter().any(|&score| score > 0.0));
    }
    assert!(evaluation.scores_in_view.is_some());
}

#[test]
fn too_many_patches_are_thinned_on_the_way_and_it_is_said() {
    let all = demo("gear");
    let category = demo_data::category("gear", &all.loading(), 0).unwrap();
    let images = category.train.len();
    assert!(all.notices(images).is_empty() && !all.to_toml().unwrap().contains("most_bytes"));
    // All patches: 60 images of 8×8, 1024 numbers each.
    let bytes = images as u64 * 64 * 1024 * 4;
    let with = |most_bytes| {
        let mut config = demo("gear");
        config.settings.patchcore_mut().unwrap().patchcore.most_bytes = most_bytes;
        config
    };
    let bank = |config: &Experiment, steps: Option<u64>| {
        let out = tempfile::tempdir().unwrap();
        for stop_after in steps.into_iter().map(Some).chain([None]) {
            let options = flawforge_training::TrainOptions {
                stop_after,
                resume: true,
                ..quiet()
            };
            train(config, &category, textures(), out.path(), &options).unwrap();
        }
        let tensors = candle_core::safetensors::load(out.path().join("checkpoint.safetensors"), &Device::Cpu);
        let bank: Vec<Vec<f32>> = tensors.unwrap()["bank"].to_vec2().unwrap();
        let detector = Run::open(out.path()).unwrap().detector().unwrap();
        let auroc = evaluate(detector.as_ref(), &category).unwrap().scores[&Metric::PixelAuroc];
        (bank, auroc, detector.full_scale())
    };
    let (exact, _, _) = bank(&all, None);
    assert_eq!(exact.len(), images * 64 / 10);
    assert_eq!(bank(&with(bytes), None).0, exact, "all of them may be kept");
    let thinned = with(bytes / 2);
    let said = thinned.notices(images).join(" ");
    assert!(
        said.contains("60 images x 64 patches x 1024 numbers are 16 MB") && said.contains("10.00 %"),
        "{said}"
    );
    assert!(thinned.deviations(15).iter().any(|line| line == &said));
    let (few, auroc, scale) = bank(&thinned, None);
    // A tenth of each batch is kept: of 256 patches 25, 15 times. Half of these make the bank.
    assert_eq!(few.len(), 187);
    assert!(auroc > 0.6, "pixel AUROC {auroc}");
    assert!(scale > 1e-9 && scale.is_finite());
    // A training that was interrupted keeps the same.
    assert_eq!(bank(&thinned, Some(7)).0, few);
}

#[test]
fn an_efficientnet_serves_and_a_run_with_it_stands_alone() {
    let mut config = demo("gear");
    let settings = config.settings.patchcore_mut().unwrap();
    settings.patchcore.backbone = Backbone::EfficientNetLite0;
    let category = demo_data::category("gear", &config.loading(), 0).unwrap();
    let out = tempfile::tempdir().unwrap();
    train(&config, &category, textures(), out.path(), &quiet()).unwrap();
    let opened = Run::open(out.path()).unwrap();
    let evaluation = evaluate(opened.detector().unwrap().as_ref(), &category).unwrap();
    let auroc = evaluation.scores[&Metric::ImageAuroc];
    assert!(auroc > 0.5, "image AUROC {auroc}");
    // A file of its weights is read, and one of another network refused.
    let checkpoint = out.path().join("checkpoint.safetensors");
    let tensors = candle_core::safetensors::load(&checkpoint, &Device::Cpu).unwrap();
    let backbone = tensors
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("backbone.")?.to_owned(), tensor)));
    let file = out.path().join("weights.safetensors");
    flawforge_models::import::write_tensors(&backbone.collect(), &file).unwrap();
    let read = |backbone| Weights::read(&file, backbone, BackboneWeights::Pretrained);
    assert!(read(Backbone::EfficientNetLite0).is_ok());
    let wrong = read(Backbone::EfficientNetLite2).unwrap_err().to_string();
    assert!(wrong.contains("not of efficientnet-lite2"), "{wrong}");
}

#[test]
fn a_training_image_scores_as_against_a_bank_that_never_saw_it() {
    let mut config = demo("gear");
    config.settings.patchcore_mut().unwrap().patchcore.coreset_ratio = 1.0;
    let mut category = demo_data::category("gear", &config.loading(), 0).unwrap();
    category.train.truncate(5);
    let out = tempfile::tempdir().unwrap();
    train(&config, &category, textures(), &out.path().join("all"), &quiet()).unwrap();
    let all = Run::open(&out.path().join("all")).unwrap();
    let unseen: Vec<_> = all.calibrated().unwrap().scores[..5].to_vec();
    for place in [0, 3] {
        let mut fewer = category.clone();
        let left_out = fewer.train.remove(place);
        let dir = out.path().join(format!("without {place}"));
        train(&config, &fewer, textures(), &dir, &quiet()).unwrap();
        let detector = Run::open(&dir).unwrap().detector().unwrap();
        let found = detector.detect(&[&*left_out.image().unwrap()]).unwrap();
        assert_eq!(
            (&unseen[place].image, &unseen[place].kind),
            (&left_out.name, &None)
        );
        // Features of several images together differ from those of one alone in the last bits.
        let (score, alone) = (unseen[place].score, found[0].score);
        assert!((score - alone).abs() < 1e-5 * alone, "{score} {alone}");
    }
    // Its own patches are in the bank.
    let known = all
        .detector()
        .unwrap()
        .detect(&[&*category.train[0].image().unwrap()])
        .unwrap();
    assert!(known[0].score < unseen[0].score);
}

#[test]
fn strides_and_sizes_are_settings_of_every_network_and_are_named() {
    for (network, strides, sides) in [
        (Backbone::ResNet18, vec![4, 8, 16], vec![]),
        (Backbone::ResNet18, vec![8], vec![64, 96]),
        (Backbone::EfficientNetLite0, vec![4, 8], vec![64, 96]),
        (Backbone::EfficientNetLite0, vec![16], vec![]),
    ] {
        let mut config = demo("gear");
        let group = &mut config.settings.patchcore_mut().unwrap().patchcore;
        (group.backbone, group.strides, group.sides) = (network, strides.clone(), sides.clone());
        config.validate().unwrap();
        let largest = sides.iter().copied().max().unwrap_or(64);
        assert_eq!(
            config.loading().image,
            flawforge_datasets::Sizing::Exactly((largest, largest))
        );
        let mut category = demo_data::category("gear", &config.loading(), 0).unwrap();
        category.train.truncate(6);
        let out = tempfile::tempdir().unwrap();
        train(&config, &category, textures(), out.path(), &quiet()).unwrap();
        let opened = Run::open(out.path()).unwrap();
        let detector = opened.detector().unwrap();
        let auroc = evaluate(detector.as_ref(), &category).unwrap().scores[&Metric::PixelAuroc];
        // Sixteen places of random features tell nothing.
        assert!(
            strides == [16] || auroc > 0.6,
            "{network:?} {strides:?} {sides:?}: pixel AUROC {auroc}"
        );
        assert!(detector.full_scale() > 0.0 && detector.full_scale().is_finite());
        // All images calibrate, and are not at a distance of nothing from the others.
        let scores = &opened.calibrated().unwrap().scores;
        let unseen: Vec<f32> = scores
            .iter()
            .filter(|one| one.kind.is_none())
            .map(|one| one.score)
            .collect();
        assert!(
            unseen.len() == 6 && unseen.iter().all(|&score| score > 0.0),
            "{unseen:?}"
        );
        let column = config.column();
        let numbers: Vec<String> = strides.iter().map(ToString::to_string).collect();
        assert!(
            column.contains(network.name()) && column.contains(&format!("strides {}", numbers.join(", ")))
        );
        assert_eq!(column.contains("64, 96 px"), !sides.is_empty(), "{column}");
        let said = config.deviations(2).join("\n");
        assert!(said.contains("(the paper: 8 and 16)"), "{said}");
    }
    let fault = |change: &dyn Fn(&mut flawforge_training::methods::patchcore::Group)| {
        let mut config = demo("gear");
        change(&mut config.settings.patchcore_mut().unwrap().patchcore);
        config.validate().unwrap_err().to_string()
    };
    assert!(fault(&|group| group.strides = vec![8, 4]).contains("patchcore.strides"));
    assert!(fault(&|group| group.strides = vec![32]).contains("patchcore.strides"));
    assert!(fault(&|group| group.strides = Vec::new()).contains("patchcore.strides"));
    assert!(fault(&|group| group.sides = vec![100]).contains("not a multiple of 16"));
    assert!(fault(&|group| group.sides = vec![96, 64]).contains("patchcore.sides"));
    assert!(fault(&|group| (group.sides, group.reweight) = (vec![64, 96], 9)).contains("patchcore.reweight"));
}

#[test]
fn defaults_are_neither_written_nor_named() {
    let config = demo("gear");
    let text = config.to_toml().unwrap();
    for name in ["strides", "sides", "most_bytes"] {
        assert!(!text.contains(name), "{text}");
    }
    let mut paper = config.clone();
    let group = &mut paper.settings.patchcore_mut().unwrap().patchcore;
    group.backbone = Backbone::WideResNet50;
    assert_eq!(paper.column(), "patchcore");
}
