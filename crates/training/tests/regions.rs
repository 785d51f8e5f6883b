//! A region of interest: anomalies are simulated in it, and nothing else is seen or scored.

use std::sync::Arc;

use crate::support::{SIDE, quiet, selected, textures};
use flawforge_augment::{Kind, Selection, Stream, to_bytes};
use flawforge_datasets::{Category, RegionOfInterest, demo};
use flawforge_masks::{Mask, OUTSIDE};
use flawforge_metrics::Metric;
use flawforge_training::fit::Origin;
use flawforge_training::settings::{Region, View};
use flawforge_training::{Experiment, Method, Run, evaluate, train};
use image::RgbImage;

/// The left half.
fn left() -> Mask {
    Mask::from_fn(2, 2, |x, _| x == 0)
}

fn experiment(method: Method) -> Experiment {
    let mut experiment = selected(method, 4, Selection::default());
    experiment.region = Region::of(&RegionOfInterest::fixed(Arc::new(left())));
    experiment.calibrate_for_use();
    experiment
}

/// The gear, whose right half is another in every image of the test.
fn category(experiment: &Experiment) -> Category {
    let mut category = demo::category("gear", &experiment.loading(), 0).unwrap();
    category.name.clone_from(&experiment.category);
    category.train.truncate(6);
    category.test.truncate(24);
    category
}

#[test]
fn images_and_ground_truth_end_at_the_border_of_the_region() {
    let experiment = experiment(Method::Draem);
    let category = category(&experiment);
    for test in &category.test {
        let (width, height) = test.image.dimensions();
        for (x, _, pixel) in test.image.enumerate_pixels() {
            assert_eq!(*pixel == OUTSIDE, x >= width / 2);
        }
        assert!((0..height).all(|y| (width / 2..width).all(|x| !test.mask.get(x, y))));
        assert_eq!(test.inside.as_ref().unwrap().coverage(), 0.5);
    }
}

#[test]
fn anomalies_are_simulated_inside() {
    let experiment = experiment(Method::LinYan);
    let category = category(&experiment);
    let simulation = experiment.anomalies(&category, textures());
    let mut made = 0;
    for index in 0..40 {
        let normal = category.train[index % 6].image().unwrap();
        let stream = Stream {
            seed: 1,
            step: 2,
            index: index as u64,
        };
        let sample = simulation.sample(&normal, stream);
        made += usize::from(sample.kind.is_some());
        assert_eq!(sample.kind.is_none(), sample.mask.is_empty());
        for (x, y, pixel) in to_bytes(&sample.image).enumerate_pixels() {
            assert!(
                x < SIDE / 2 || (*pixel == OUTSIDE && !sample.mask.get(x, y)),
                "{x} {y}"
            );
        }
    }
    assert!(made > 30, "{made} of 40");
}

#[test]
fn corners_of_rotated_images_lie_outside_and_no_mask_learns_them() {
    let selection = Selection {
        rotate_normals: true,
        ..Selection::default()
    };
    let mut experiment = selected(Method::LinYan, 4, selection);
    // A region that reaches the border of the image: its corners are empty after a rotation.
    let region = Mask::from_fn(4, 4, |x, y| x < 3 || y < 3);
    experiment.region = Region::of(&RegionOfInterest::fixed(Arc::new(region)));
    let category = category(&experiment);
    let simulation = experiment.anomalies(&category, textures());
    assert!(simulation.rotation.is_some());
    let is_outside = |image: &RgbImage| image.pixels().filter(|pixel| **pixel == OUTSIDE).count();
    let (mut rotated, mut anomalous) = (0, 0);
    for index in 0..60 {
        let normal = category.train[index % 6].image().unwrap();
        let stream = Stream {
            seed: 1,
            step: 2,
            index: index as u64,
        };
        let sample = simulation.sample(&normal, stream);
        let shown = sample.normal;
        let black = |image: &RgbImage| image.pixels().filter(|pixel| pixel.0 == [0; 3]).count();
        assert!(black(&shown) <= black(&normal), "no black corners");
        if shown != *normal {
            rotated += 1;
            assert!(is_outside(&shown) > is_outside(&normal));
        }
        anomalous += usize::from(!sample.mask.is_empty());
        for (x, y, pixel) in shown.enumerate_pixels() {
            assert!(*pixel != OUTSIDE || !sample.mask.get(x, y), "{x} {y}");
        }
    }
    assert!(rotated > 8 && anomalous > 15, "{rotated} {anomalous}");
}

#[test]
fn every_method_scores_the_inside_alone_and_knows_its_region() {
    for method in [Method::Draem, Method::Nsa, Method::PatchCore, Method::Forge] {
        for view in [View::Stretch, View::tiles(0.25)] {
            let mut experiment = experiment(method);
            experiment.view = view;
            experiment.calibrate_for_use();
            let out = tempfile::tempdir().unwrap();
            let category = category(&experiment);
            train(&experiment, &category, textures(), out.path(), &quiet()).unwrap();
            let run = Run::open(out.path()).unwrap();
            assert_eq!(run.experiment().region, experiment.region);
            let detector = run.detector().unwrap();
            // What an image shows outside changes nothing.
            let whole = demo::category(
                "gear",
                &flawforge_datasets::Loading {
                    region: None,
                    ..experiment.loading()
                },
                0,
            )
            .unwrap();
            let plain = &whole.test[0].image;
            let mut other = plain.clone();
            for (x, _, pixel) in other.enumerate_pixels_mut() {
                if x >= plain.width() / 2 {
                    *pixel = image::Rgb([250, 10, 20]);
                }
            }
            let found = detector.inspect(&[plain, &other]).unwrap();
            assert!(found[0].map == found[1].map, "{method}");
            assert_eq!(found[0].verdict_score, found[1].verdict_score, "{method}");
            let evaluation = evaluate(detector.as_ref(), &category).unwrap();
            let ap = evaluation.scores[&Metric::PixelAp];
            assert!((0.0..=1.0).contains(&ap), "{method} {ap}");
            let calibrated = run.calibrated().unwrap();
            assert!(calibrated.scores.iter().any(|one| one.kind.is_none()), "{method}");
            // Memory banks hold no image out, all of one or a region of windows.
            let left_out = matches!(method, Method::PatchCore | Method::Forge);
            assert_eq!(calibrated.origin == Origin::LeftOut, left_out, "{method} {view}");
        }
    }
}

#[test]
fn a_region_is_part_of_the_experiment() {
    let with = experiment(Method::Draem);
    let without = selected(Method::Draem, 4, Selection::default());
    assert_ne!(with.hash(), without.hash());
    let text = with.to_toml().unwrap();
    assert!(text.contains("[region]"), "{text}");
    assert_eq!(Experiment::from_toml(&text, "t").unwrap(), with);
    assert!(!without.to_toml().unwrap().contains("region"));
    assert!(Selection::default().enables(Kind::Opaque));
}
