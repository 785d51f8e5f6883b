//! Views other than the papers' square: every method learns from images of any size and detects in them.

use crate::support::{SIDE, quiet, selected, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, TestImage, TrainImage};
use flawforge_masks::Mask;
use flawforge_metrics::Metric;
use flawforge_training::fit::Origin;
use flawforge_training::settings::View;
use flawforge_training::{Experiment, Method, Run, evaluate, train};
use image::{Rgb, RgbImage};

/// Sizes of the files: one of another aspect ratio, one smaller than a window.
const SIZES: [(u32, u32); 7] = [
    (100, 70),
    (100, 70),
    (40, 120),
    (100, 70),
    (20, 30),
    (110, 75),
    (100, 70),
];

fn picture((width, height): (u32, u32), phase: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = ((x + 3 * phase) % 8 * 16) as u8;
        Rgb([60 + stripe, 90 + (y % 60) as u8, 40 + 5 * phase as u8])
    })
}

/// The images at the sizes of an experiment's view, with two test images, of which one has a flaw.
fn category(experiment: &Experiment) -> Category {
    let loading = experiment.loading();
    let train = SIZES.iter().enumerate().map(|(index, &size)| {
        let image = picture(loading.image.of(size), index as u32);
        TrainImage::new(format!("{index:03}"), image)
    });
    let test = ["good", "dot"].map(|defect| {
        let mut image = picture(loading.image.of((100, 70)), 2);
        let (width, height) = loading.mask.of((100, 70));
        let scale = f64::from(image.width()) / f64::from(width);
        let inside = |x: u32, y: u32| defect == "dot" && (30..38).contains(&x) && (20..28).contains(&y);
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            let place = |at: u32| (f64::from(at) / scale) as u32;
            if inside(place(x), place(y)) {
                *pixel = Rgb([250, 10, 240]);
            }
        }
        TestImage::drawn(
            format!("{defect}/000"),
            defect.to_owned(),
            image,
            Mask::from_fn(width, height, inside),
        )
    });
    Category {
        name: "stripes".to_owned(),
        train: train.collect(),
        test: test.to_vec(),
        ..Category::default()
    }
}

fn viewed(method: Method, view: View) -> Experiment {
    let mut experiment = selected(method, 4, Selection::default());
    experiment.view = view;
    if method == Method::PatchCore && view == View::two_scales(1.0) {
        experiment.calibration.held_out = 0.3;
        experiment.calibration.fewest = 0;
    }
    experiment
}

fn views() -> [View; 4] {
    let sizes: Vec<(u32, u32)> = SIZES.to_vec();
    [
        View::tiles(1.0),
        View::tiles(0.5),
        View::fitting(&sizes).unwrap(),
        View::two_scales(1.0),
    ]
}

#[test]
fn every_method_trains_and_detects_under_every_view() {
    let out = tempfile::tempdir().unwrap();
    for method in [
        Method::Draem,
        Method::LinYan,
        Method::Nsa,
        Method::PatchCore,
        Method::Forge,
    ] {
        for (number, view) in views().into_iter().enumerate() {
            let experiment = viewed(method, view);
            let category = category(&experiment);
            let dir = out.path().join(format!("{method}-{number}"));
            let report = train(&experiment, &category, textures(), &dir, &quiet())
                .unwrap_or_else(|error| panic!("{method} {view}: {error}"));
            assert!(report.steps > 0);
            let run = Run::open(&dir).unwrap();
            assert_eq!(run.experiment(), &experiment, "{method} {view}");
            let detector = run.detector().unwrap();
            // Files of any size have maps of their size.
            for size in [(100, 70), (33, 95), (300, 20)] {
                let found = detector.inspect(&[&picture(size, 1)]).unwrap().remove(0);
                assert_eq!((found.map.width, found.map.height), size, "{method} {view}");
                assert!(found.map.scores.iter().all(|score| score.is_finite()));
                assert!(found.verdict_score.is_finite() && found.score.is_finite());
            }
            let evaluation = evaluate(detector.as_ref(), &category).unwrap();
            assert!(
                evaluation.scores.contains_key(&Metric::PixelAp),
                "{method} {view}"
            );
            let calibrated = run.calibrated().unwrap();
            assert!(calibrated.normal().all(|one| one.score.is_finite()));
            assert!(
                calibrated
                    .simulated()
                    .all(|one| one.share.is_some_and(|share| share > 0.0))
            );
        }
    }
}

#[test]
fn forge_finds_a_dot_in_windows_and_scores_its_normal_images_unseen() {
    let out = tempfile::tempdir().unwrap();
    for view in views().into_iter().take(3) {
        let experiment = viewed(Method::Forge, view);
        let category = category(&experiment);
        let dir = out.path().join(view.to_string().replace(':', "-"));
        train(&experiment, &category, textures(), &dir, &quiet()).unwrap();
        let run = Run::open(&dir).unwrap();
        let evaluation = evaluate(run.detector().unwrap().as_ref(), &category).unwrap();
        // Random features see a dot of eight pixels at the scale of the files, hardly at half of it.
        if view == View::tiles(1.0) {
            let [good, dot] = [0, 1].map(|place| evaluation.images[place].score);
            assert!(dot > good, "{view}: {dot} {good}");
            let auroc = evaluation.scores[&Metric::PixelAuroc];
            assert!(auroc > 0.8, "{view}: pixel AUROC {auroc}");
        }
        let calibrated = run.calibrated().unwrap();
        assert_eq!(
            (calibrated.origin, calibrated.normal().count()),
            (Origin::LeftOut, SIZES.len())
        );
        // A run that is added to sees in windows too.
        let added = dir.with_extension("added");
        let more: Vec<TrainImage> = category.train[..2]
            .iter()
            .enumerate()
            .map(|(place, image)| {
                let other = picture(image.dimensions(), 20 + place as u32);
                TrainImage::new(format!("more-{}", image.name), other)
            })
            .collect();
        let more = Category {
            train: more,
            ..category.clone()
        };
        flawforge_training::add_normals(&run, &more, "here", &added).unwrap();
    }
}

/// The scores are those that a detector says which knows all other images and not this one.
#[test]
fn patchcore_scores_its_normal_images_unseen_under_views() {
    let out = tempfile::tempdir().unwrap();
    for view in views().into_iter().take(3) {
        let mut experiment = viewed(Method::PatchCore, view);
        experiment.calibrate_for_use();
        assert!(experiment.leaves_one_out(), "{view}");
        // All vectors, so that a bank without an image is the bank of the others.
        experiment
            .settings
            .patchcore_mut()
            .unwrap()
            .patchcore
            .coreset_ratio = 1.0;
        let all = category(&experiment);
        let trained = |category: &Category, name: String| {
            let dir = out.path().join(name.replace(':', "-"));
            train(&experiment, category, textures(), &dir, &quiet()).unwrap();
            Run::open(&dir).unwrap()
        };
        let run = trained(&all, view.to_string());
        let calibrated = run.calibrated().unwrap();
        assert_eq!(
            (calibrated.origin, calibrated.normal().count()),
            (Origin::LeftOut, SIZES.len())
        );
        let scores: Vec<f32> = calibrated.normal().map(|one| one.score).collect();
        for place in [0, 2, 5] {
            let mut others = all.clone();
            let image = others.train.remove(place);
            let detector = trained(&others, format!("{view}-{place}")).detector().unwrap();
            let found = detector.detect(&[&image.image().unwrap()]).unwrap().remove(0);
            let (wanted, score) = (found.verdict_score, scores[place]);
            assert!(
                wanted > 0.0 && (score - wanted).abs() < 1e-4 * wanted,
                "{view}: {score} {wanted}"
            );
        }
    }
}

#[test]
fn the_square_view_is_the_default_and_leaves_settings_as_they_were() {
    let experiment = selected(Method::Draem, 4, Selection::default());
    let text = experiment.to_toml().unwrap();
    assert!(!text.contains("view"), "{text}");
    let tiled = viewed(Method::Draem, View::tiles(1.0));
    assert_ne!(experiment.hash(), tiled.hash());
    assert_eq!(
        Experiment::from_toml(&tiled.to_toml().unwrap(), "t").unwrap(),
        tiled
    );
    assert_eq!(tiled.column(), "draem (tiles)");
}

#[test]
fn the_map_of_a_moved_image_is_the_moved_map() {
    let out = tempfile::tempdir().unwrap();
    let mut experiment = viewed(Method::Forge, View::tiles(1.0));
    experiment.settings.forge_mut().unwrap().forge.sides = vec![8 * SIDE];
    train(
        &experiment,
        &category(&experiment),
        textures(),
        out.path(),
        &quiet(),
    )
    .unwrap();
    let detector = Run::open(out.path()).unwrap().detector().unwrap();
    // By as many pixels as the network's coarsest step, so that its own grid is no part of the difference.
    let (width, height, moved) = (24 * SIDE, 12 * SIDE, 32);
    let whole = picture((width + moved, height), 3);
    let part = |left: u32| image::imageops::crop_imm(&whole, left, 0, width, height).to_image();
    let maps = [0, moved].map(|left| detector.detect(&[&part(left)]).unwrap().remove(0).map);
    let row = |map: usize, x: u32, y: u32| f64::from(maps[map].scores[(y * width + x) as usize]);
    let scores = maps[0].scores.iter().map(|&score| f64::from(score));
    let spread = scores.clone().fold(f64::NEG_INFINITY, f64::max) - scores.fold(f64::INFINITY, f64::min);
    let (mut sum, mut count) = (0.0, 0.0);
    for y in SIDE..height - SIDE {
        for x in 2 * SIDE..width - 2 * SIDE {
            sum += (row(0, x + moved, y) - row(1, x, y)).abs();
            count += 1.0;
        }
    }
    let mean = sum / count;
    println!("mean difference {mean:.4} of a spread of {spread:.4}");
    assert!(mean < 0.07 * spread, "{mean} of {spread}");
}
