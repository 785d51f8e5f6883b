//! Test images that are not in memory are scored as those that are.

use std::fs;
use std::path::Path;

use flawforge_datasets::{Category, CategoryFiles, Limits, Loading, SetDigest, Survey, TestSet};
use flawforge_metrics::Metric;
use flawforge_models::{AnomalyMap, Detection, Detector, ModelError, Resizing};
use flawforge_training::fit::ProgressStyle;
use flawforge_training::settings::Evaluated;
use flawforge_training::{EvaluateOptions, Evaluation, evaluate_set, evaluate_with};
use image::{GrayImage, Luma, Rgb, RgbImage};

/// Side of the files, and of what the detector sees.
const FILE: u32 = 32;
const SEEN: u32 = 8;
const EACH: u8 = 7;

/// Calls a pixel as anomalous as its red is bright.
struct Redness;

impl Detector for Redness {
    fn resizing(&self) -> Resizing {
        Resizing::opencv(SEEN, SEEN)
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let detection = |image: &&RgbImage| {
            let scores: Vec<f32> = image.pixels().map(|pixel| f32::from(pixel[0]) / 255.0).collect();
            let score = scores.iter().copied().fold(0.0, f32::max);
            let (width, height) = image.dimensions();
            Detection {
                map: AnomalyMap {
                    width,
                    height,
                    scores,
                },
                score,
                verdict_score: score,
                reconstruction: None,
            }
        };
        Ok(images.iter().map(detection).collect())
    }
}

/// Normal images, and defective ones with a red block; `thin`: the mask is a line that is lost at the detector's size.
fn write(dir: &Path, thin: bool) {
    for folder in ["train/good", "test/good", "test/red", "ground_truth/red"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let picture = |seed: u8, flaw: bool| {
        RgbImage::from_fn(FILE, FILE, |x, y| match flaw && x < 12 && y < 12 {
            true => Rgb([200 + seed, 0, 0]),
            false => Rgb([(3 * x + 2 * y) as u8 + 5 * seed, seed, 90]),
        })
    };
    picture(99, false).save(dir.join("train/good/0.png")).unwrap();
    let mask = GrayImage::from_fn(FILE, FILE, |x, y| {
        let marked = if thin { x == 5 && y < 10 } else { x < 12 && y < 12 };
        Luma([if marked { 255 } else { 0 }])
    });
    for seed in 0..EACH {
        let save =
            |folder: &str, flaw| picture(seed, flaw).save(dir.join(format!("test/{folder}/{seed}.png")));
        save("good", false).unwrap();
        save("red", true).unwrap();
        mask.save(dir.join(format!("ground_truth/red/{seed}_mask.png")))
            .unwrap();
    }
    // One picture twice.
    fs::copy(dir.join("test/good/1.png"), dir.join("test/good/9.png")).unwrap();
}

/// So many images may be held: 3 bytes a pixel, and one for each of the two masks.
fn held(images: u64) -> Limits {
    Limits {
        max_held_bytes: images * 5 * u64::from(SEEN * SEEN),
        ..Limits::default()
    }
}

fn options(at_file_size: bool) -> EvaluateOptions {
    EvaluateOptions {
        at_file_size,
        progress: ProgressStyle::Silent,
        ..EvaluateOptions::default()
    }
}

fn scored(set: &TestSet<'_>, at_file_size: bool) -> Evaluation {
    let settings = Evaluated::default();
    evaluate_set(
        &Redness,
        set,
        &settings,
        &options(at_file_size),
        &mut |_, _, _| (),
    )
    .unwrap()
}

/// Without the time that it took.
fn figures(evaluation: &Evaluation) -> serde_json::Value {
    let mut json = serde_json::to_value(evaluation).unwrap();
    json["detect_seconds"] = 0.into();
    json
}

#[test]
fn images_that_are_not_held_have_the_same_figures() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false);
    let files = CategoryFiles::discover(dir.path()).unwrap();
    let loading = Loading::opencv(SEEN, SEEN);
    let category = Category::load_tests(&files, &loading, &Limits::default()).unwrap();
    let expected = figures(&evaluate_with(&Redness, &category, &Evaluated::default()).unwrap());
    let mut digest = SetDigest::default();
    for test in &category.test {
        digest.add(&test.name, &test.image);
    }
    let digest = digest.finish();
    for images in [0, 3, 1000] {
        let set = TestSet::read(&files, &loading, &held(images)).unwrap();
        assert_eq!(set.digest, digest);
        let mut seen = Vec::new();
        let settings = Evaluated::default();
        let evaluation = evaluate_set(
            &Redness,
            &set,
            &settings,
            &options(false),
            &mut |place, test, detection| {
                assert_eq!(test.image, category.test[place].image);
                seen.push((place, detection.score));
            },
        );
        assert_eq!(figures(&evaluation.unwrap()), expected, "{images} held");
        assert!(seen.iter().map(|(place, _)| *place).eq(0..category.test.len()));
        let survey = Survey::of_tests(set.entries().iter().map(|entry| &entry.seen));
        assert_eq!(survey.doubled, [["good/1", "good/9"]]);
    }
}

#[test]
fn at_the_size_of_the_files_every_mask_counts() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), true);
    let files = CategoryFiles::discover(dir.path()).unwrap();
    let loading = Loading::opencv(SEEN, SEEN);
    let all = TestSet::read(&files, &loading, &held(1000)).unwrap();
    assert!(scored(&all, false).reason(Metric::PixelAp).is_some());
    assert_eq!(all.pixels(true), 15 * u64::from(FILE * FILE));
    let evaluation = scored(&all, true);
    assert_eq!(evaluation.scored_at, None);
    assert_eq!((evaluation.masks.masks, evaluation.masks.nothing_left), (7, 0));
    // The line lies in the bright corner of the maps, but only there.
    let auroc = evaluation.scores[&Metric::PixelAuroc];
    assert!(auroc > 0.9 && auroc < 1.0, "{auroc}");
    assert_eq!(evaluation.scores[&Metric::ImageAuroc], 1.0);
    let none = TestSet::read(&files, &loading, &held(0)).unwrap();
    assert_eq!(figures(&scored(&none, true)), figures(&evaluation));
    // What comes from no file has no size of its file.
    let category = Category::load_tests(&files, &loading, &Limits::default()).unwrap();
    let drawn = TestSet::held(&category);
    let refused = evaluate_set(
        &Redness,
        &drawn,
        &Evaluated::default(),
        &options(true),
        &mut |_, _, _| (),
    );
    assert!(refused.unwrap_err().to_string().contains("no files"));
}

#[test]
fn every_bad_file_is_named_before_the_first_is_scored() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false);
    fs::write(dir.path().join("test/good/3.png"), b"no picture").unwrap();
    fs::write(dir.path().join("ground_truth/red/5_mask.png"), b"no mask").unwrap();
    let files = CategoryFiles::discover(dir.path()).unwrap();
    let fault = TestSet::read(&files, &Loading::opencv(SEEN, SEEN), &held(0)).unwrap_err();
    let said = fault.to_string();
    assert_eq!(fault.errors().len(), 2, "{said}");
    assert!(
        said.contains("good/3.png") && said.contains("5_mask.png"),
        "{said}"
    );
}

#[test]
fn a_file_that_changes_while_images_are_scored_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false);
    let files = CategoryFiles::discover(dir.path()).unwrap();
    let set = TestSet::read(&files, &Loading::opencv(SEEN, SEEN), &held(2)).unwrap();
    let path = dir.path().join("ground_truth/red/5_mask.png");
    let original = fs::read(&path).unwrap();
    GrayImage::from_pixel(FILE, FILE, Luma([255]))
        .save(&path)
        .unwrap();
    for at_file_size in [false, true] {
        let settings = Evaluated::default();
        let fault = evaluate_set(
            &Redness,
            &set,
            &settings,
            &options(at_file_size),
            &mut |_, _, _| (),
        );
        let said = fault.unwrap_err().to_string();
        assert!(said.contains("red/5.png") && said.contains("changed"), "{said}");
    }
    fs::write(&path, original).unwrap();
    assert!(!scored(&set, false).scores.is_empty());
    let path = dir.path().join("test/red/5.png");
    fs::remove_file(&path).unwrap();
    let settings = Evaluated::default();
    let gone = evaluate_set(&Redness, &set, &settings, &options(false), &mut |_, _, _| ());
    let said = gone.unwrap_err().to_string();
    assert!(said.contains("red/5.png"), "{said}");
}
