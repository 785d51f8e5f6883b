//! Evaluation of a detector that calls an image as anomalous as its red channel is bright.

use flawforge_datasets::Marks;
use flawforge_metrics::AUPRO_LIMIT;

use super::*;
use flawforge_masks::Mask;
use flawforge_models::{AnomalyMap, FieldOfView, ModelError, Resizing};

use crate::settings::GroundTruth;

/// Calls an image as anomalous as its red channel is bright.
struct Redness;

impl Detector for Redness {
    fn resizing(&self) -> Resizing {
        Resizing::opencv(8, 8)
    }
    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        Ok(images
            .iter()
            .map(|image| {
                let scores: Vec<f32> = image.pixels().map(|p| f32::from(p[0]) / 255.0).collect();
                let score = scores.iter().copied().fold(0.0, f32::max);
                let map = AnomalyMap {
                    width: image.width(),
                    height: image.height(),
                    scores,
                };
                Detection {
                    map,
                    score,
                    verdict_score: score,
                    reconstruction: None,
                }
            })
            .collect())
    }
}

fn category(masks: bool) -> Category {
    let image = |name: &str, defect: &str, spot: bool| {
        let mask = Mask::from_fn(8, 8, |x, y| spot && masks && x < 3 && y < 3);
        let pixels = RgbImage::from_fn(8, 8, |x, y| {
            image::Rgb([
                if spot && x < 3 && y < 3 {
                    255
                } else {
                    (x * 8 + y) as u8
                },
                0,
                0,
            ])
        });
        TestImage {
            marks: (spot && masks).then(|| Marks::of(&mask)),
            ..TestImage::drawn(format!("{defect}/{name}"), defect.to_owned(), pixels, mask)
        }
    };
    Category {
        name: "dots".to_owned(),
        test: vec![
            image("0", "good", false),
            image("0", "dot", true),
            image("1", "dot", true),
        ],
        ..Category::default()
    }
}

#[test]
fn a_perfect_detector_scores_one_everywhere() {
    let evaluation = evaluate(&Redness, &category(true)).unwrap();
    assert_eq!(evaluation.images.len(), 3);
    let json = serde_json::to_value(&evaluation).unwrap();
    assert!(json.get("native").is_none() && json.get("error_bounds").is_none());
    for metric in Metric::ALL {
        let value = json["scores"][metric.name()].as_f64().unwrap();
        assert!((value - 1.0).abs() < 1e-12, "{metric}: {value}");
    }
    let again: Evaluation = serde_json::from_value(json).unwrap();
    assert_eq!(
        (again.scores, again.images),
        (evaluation.scores, evaluation.images)
    );
}

#[test]
fn bounded_memory_stays_within_its_bounds() {
    let mut category = category(true);
    // Close scores on both sides, so that bins are shared.
    for (index, test) in category.test.iter_mut().enumerate() {
        test.image = RgbImage::from_fn(8, 8, |x, y| {
            image::Rgb([250 + ((x + y + index as u32) % 6) as u8, 0, 0])
        });
    }
    let settings = |bounded| Evaluated {
        ground_truth: GroundTruth::Full,
        aupro_limit: AUPRO_LIMIT,
        batch: 2,
        bounded,
        ..Evaluated::default()
    };
    let evaluate = |bounded| evaluate_with(&Redness, &category, &settings(bounded)).unwrap();
    let (exact, bounded) = (evaluate(false), evaluate(true));
    assert!(exact.error_bounds.is_empty());
    assert_eq!(bounded.error_bounds.len(), 6);
    for (metric, bound) in &bounded.error_bounds {
        let error = (exact.scores[metric] - bounded.scores[metric]).abs();
        assert!(error <= bound + 1e-9 && *bound < 1.0, "{metric}: {error} {bound}");
    }
    assert!(bounded.error_bounds[&Metric::PixelAp] > 0.0);
    assert_eq!(exact.scores[&Metric::ImageAp], bounded.scores[&Metric::ImageAp]);
    // The same by the number of pixels: three images of 64.
    let with = |exact_pixels| {
        let settings = Evaluated {
            exact_pixels,
            ..settings(false)
        };
        evaluate_with(&Redness, &category, &settings).unwrap()
    };
    assert_eq!(with(192).scores, exact.scores);
    let beyond = with(191);
    assert_eq!(
        (beyond.scores, beyond.error_bounds),
        (bounded.scores, bounded.error_bounds)
    );
}

#[test]
fn the_part_looked_at_has_figures_of_its_own() {
    struct Upper;
    impl Detector for Upper {
        fn resizing(&self) -> Resizing {
            Resizing::opencv(8, 8)
        }
        fn field_of_view(&self) -> Option<FieldOfView> {
            Some(FieldOfView {
                left: 0.0,
                top: 0.0,
                right: 1.0,
                bottom: 0.5,
            })
        }
        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let mut detections = Redness.detect(images)?;
            for detection in &mut detections {
                detection.map.scores[32..].fill(2.0);
            }
            Ok(detections)
        }
    }
    let evaluation = evaluate(&Upper, &category(true)).unwrap();
    let in_view = evaluation.scores_in_view.unwrap();
    assert_eq!(in_view[&Metric::PixelAuroc], 1.0);
    assert_eq!(in_view[&Metric::PixelAp], 1.0);
    assert!(evaluation.scores[&Metric::PixelAp] < 0.5);
    let whole = evaluate(&Redness, &category(true)).unwrap();
    assert!(whole.scores_in_view.is_none());
}

#[test]
fn every_detection_is_shown_once_with_its_image() {
    let category = category(true);
    let mut seen = Vec::new();
    let settings = Evaluated {
        ground_truth: GroundTruth::Full,
        aupro_limit: AUPRO_LIMIT,
        batch: 2,
        ..Evaluated::default()
    };
    let evaluation = evaluate_each(&Redness, &category, &settings, &mut |place, detection| {
        seen.push((place, detection.score));
    })
    .unwrap();
    let expected: Vec<(usize, f32)> = evaluation
        .images
        .iter()
        .map(|image| image.score)
        .enumerate()
        .collect();
    assert_eq!(seen, expected);
    assert!(seen[0].1 < 1.0 && seen[2].1 == 1.0);
}

#[test]
fn a_mask_that_marks_nothing_leaves_the_pixel_metrics_and_is_counted() {
    let mut marked = category(true);
    let with_all = evaluate(&Redness, &marked).unwrap();
    // As if nobody had drawn the second defect: its bright pixels would count as normal.
    marked.test[2].mask = Mask::empty(8, 8);
    marked.test[2].mask_half = Mask::empty(8, 8);
    marked.test[2].marks = Some(Marks::of(&Mask::empty(8, 8)));
    let evaluation = evaluate(&Redness, &marked).unwrap();
    assert_eq!(evaluation.scores, with_all.scores);
    assert_eq!((evaluation.masks.masks, evaluation.masks.mark_nothing), (2, 1));
    assert_eq!(
        serde_json::to_value(&evaluation).unwrap()["masks"]["mark_nothing"],
        1
    );
    assert_eq!(evaluation.scored_at, Some((8, 8)));
}

#[test]
fn a_metric_without_a_value_has_a_reason() {
    let reason = |category: &Category, metric: Metric| evaluate(&Redness, category).unwrap().reason(metric);
    let mut tests = category(true);
    assert_eq!(reason(&tests, Metric::PixelAp), None);
    for test in &mut tests.test[1..] {
        test.mask = Mask::empty(8, 8);
    }
    let vanished = reason(&tests, Metric::PixelAp).unwrap();
    assert_eq!(vanished, "no pixel is left of the marks at 8x8 (2 of 2 masks)");
    assert_eq!(reason(&tests, Metric::PixelApHalf), None);
    let empty = Marks::of(&Mask::empty(8, 8));
    for test in &mut tests.test[1..] {
        test.marks = Some(empty);
    }
    assert!(
        reason(&tests, Metric::AuproHalf)
            .unwrap()
            .contains("none of the 2 masks")
    );
    let unmasked = reason(&category(false), Metric::Aupro).unwrap();
    assert!(unmasked.contains("no masks"), "{unmasked}");
    tests.test.remove(0);
    assert!(reason(&tests, Metric::ImageAp).unwrap().contains("no normal"));
    tests.test = vec![category(true).test.remove(0)];
    for &metric in Metric::ALL {
        assert!(
            reason(&tests, metric).unwrap().contains("no defective"),
            "{metric}"
        );
    }
}

#[test]
fn without_masks_pixel_figures_are_absent_and_without_images_it_is_an_error() {
    let scores = evaluate(&Redness, &category(false)).unwrap().scores;
    assert_eq!(
        scores,
        Scores::from([(Metric::ImageAuroc, 1.0), (Metric::ImageAp, 1.0)])
    );
    let mut empty = category(true);
    empty.test.clear();
    let fault = evaluate(&Redness, &empty).unwrap_err().to_string();
    assert!(fault.contains("dots"), "{fault}");
}
