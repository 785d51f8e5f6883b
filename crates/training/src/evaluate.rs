//! Scoring a detector on the test images of a category (method.md section 6).

use std::time::Instant;

use flawforge_datasets::{Category, TestImage};
use flawforge_masks::Mask;
use flawforge_metrics::{AUPRO_LIMIT, ImageScores, PixelMetrics, PixelScores};
use flawforge_models::{Detection, Detector, View};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{Evaluated, GroundTruth};
use crate::error::{Result, TrainingError};

/// Figures of a detector on one category, fractions in `[0, 1]`. A figure is absent where it is not defined: without both
/// normal and defective test images, or without ground-truth masks.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// AUROC of the image scores.
    pub image_auroc: Option<f64>,
    /// Average precision of the image scores.
    pub image_ap: Option<f64>,
    /// AUROC over all pixels of all test images, by the ground-truth rule asked for.
    pub pixel_auroc: Option<f64>,
    /// Average precision over all pixels of all test images.
    pub pixel_ap: Option<f64>,
    /// Area under the per-region overlap up to the false positive rate 0.3.
    pub aupro: Option<f64>,
    /// Extra: pixel AUROC where a pixel counts as anomalous from half coverage on.
    pub pixel_auroc_half: Option<f64>,
    /// Extra: pixel average precision by that rule.
    pub pixel_ap_half: Option<f64>,
    /// Extra: AUPRO by that rule.
    pub aupro_half: Option<f64>,
}

/// Pixel figures in the part of the images that a detector looks at: those of the papers whose networks see the central part
/// alone. Ground truth counts from half coverage on, which is what their nearest-neighbour resizing comes to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NativeScores {
    /// AUROC over the pixels looked at.
    pub pixel_auroc: f64,
    /// Average precision over the pixels looked at.
    pub pixel_ap: f64,
    /// Area under the per-region overlap up to the same limit.
    pub aupro: f64,
}

/// One test image's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageResult {
    /// Defect type and file name, `broken_large/000`.
    pub name: String,
    /// Defect type, `good` for a normal image.
    pub defect: String,
    /// Whether the image shows a defect.
    pub defective: bool,
    /// Image score.
    pub score: f32,
}

/// A detector's results on a category.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Category name.
    pub category: String,
    /// The figures.
    pub scores: Scores,
    /// Figures by the method's own protocol, where that differs and the part looked at shows defects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeScores>,
    /// Results in the order of the test images.
    pub images: Vec<ImageResult>,
    /// Seconds that detection took.
    pub detect_seconds: f64,
    /// Anomaly maps and reconstructions in the order of the test images; not saved.
    #[serde(skip)]
    pub detections: Vec<Detection>,
}

/// [`evaluate_with`] the published protocol: ground truth by DRAEM's rule, AUPRO up to 0.3.
///
/// # Errors
/// As [`evaluate_with`].
pub fn evaluate(detector: &dyn Detector, category: &Category) -> Result<Evaluation> {
    let settings = Evaluated {
        ground_truth: GroundTruth::Full,
        aupro_limit: AUPRO_LIMIT,
        batch: 4,
    };
    evaluate_with(detector, category, &settings)
}

/// Scores `detector` on the test images of `category`.
///
/// # Errors
/// If the category has no test images, or the detector fails.
pub fn evaluate_with(
    detector: &dyn Detector,
    category: &Category,
    settings: &Evaluated,
) -> Result<Evaluation> {
    if category.test.is_empty() {
        return Err(TrainingError::Data {
            category: category.name.clone(),
            fault: "has no test images to score".to_owned(),
        });
    }
    let began = Instant::now();
    let mut detections = Vec::with_capacity(category.test.len());
    for chunk in category.test.chunks(settings.batch.max(1)) {
        let images: Vec<&RgbImage> = chunk.iter().map(|test| &test.image).collect();
        detections.extend(detector.detect(&images)?);
    }
    let detect_seconds = began.elapsed().as_secs_f64();
    let images = category
        .test
        .iter()
        .zip(&detections)
        .map(|(test, detection)| ImageResult {
            name: test.name.clone(),
            defect: test.defect.clone(),
            defective: test.is_defective(),
            score: detection.score,
        })
        .collect();
    let scores = score(&category.test, &detections, settings)?;
    let native = match detector.view() {
        Some(view) => native(&category.test, &detections, view, settings.aupro_limit)?,
        None => None,
    };
    Ok(Evaluation {
        category: category.name.clone(),
        scores,
        native,
        images,
        detect_seconds,
        detections,
    })
}

fn score(test: &[TestImage], detections: &[Detection], settings: &Evaluated) -> Result<Scores> {
    let mut scores = Scores::default();
    let defective = test.iter().filter(|image| image.is_defective()).count();
    if defective > 0 && defective < test.len() {
        let mut accumulator = ImageScores::new();
        for (image, detection) in test.iter().zip(detections) {
            accumulator.push(detection.score, image.is_defective())?;
        }
        let metrics = accumulator.finish()?;
        scores.image_auroc = Some(metrics.auroc);
        scores.image_ap = Some(metrics.average_precision);
    }
    let rules = [settings.ground_truth, GroundTruth::Half];
    let mut pixels: Vec<Option<PixelMetrics>> = rules
        .par_iter()
        .map(|rule| pixel_metrics(test, detections, *rule, settings.aupro_limit))
        .collect::<Result<_>>()?;
    if let Some(half) = pixels.pop().flatten() {
        scores.pixel_auroc_half = Some(half.auroc);
        scores.pixel_ap_half = Some(half.average_precision);
        scores.aupro_half = Some(half.aupro);
    }
    if let Some(main) = pixels.pop().flatten() {
        scores.pixel_auroc = Some(main.auroc);
        scores.pixel_ap = Some(main.average_precision);
        scores.aupro = Some(main.aupro);
    }
    Ok(scores)
}

/// Pixel metrics by one rule, or nothing where no pixel of the ground truth is anomalous.
fn pixel_metrics(
    test: &[TestImage],
    detections: &[Detection],
    rule: GroundTruth,
    aupro_limit: f64,
) -> Result<Option<PixelMetrics>> {
    let mut accumulator = PixelScores::exact();
    let mut anomalous = false;
    for (image, detection) in test.iter().zip(detections) {
        let mask = rule.of(image);
        anomalous |= !mask.is_empty();
        let (width, height) = (detection.map.width as usize, detection.map.height as usize);
        accumulator.push(&detection.map.scores, mask.pixels(), width, height)?;
    }
    if anomalous {
        Ok(Some(accumulator.finish(aupro_limit)?))
    } else {
        Ok(None)
    }
}

impl GroundTruth {
    fn of(self, image: &TestImage) -> &Mask {
        match self {
            Self::Full => &image.mask,
            Self::Half => &image.mask_half,
        }
    }
}

/// Pixel figures within a part of the images.
fn native(
    test: &[TestImage],
    detections: &[Detection],
    view: View,
    aupro_limit: f64,
) -> Result<Option<NativeScores>> {
    let mut accumulator = PixelScores::exact();
    let mut anomalous = false;
    for (image, detection) in test.iter().zip(detections) {
        let (width, height) = (detection.map.width as usize, detection.map.height as usize);
        let place = |share: f64, length: usize| (share * length as f64).round() as usize;
        let columns = place(view.left, width)..place(view.right, width).min(width);
        let rows = place(view.top, height)..place(view.bottom, height).min(height);
        let mask = GroundTruth::Half.of(image).pixels();
        let (mut scores, mut truth) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            let part = row * width + columns.start..row * width + columns.end;
            scores.extend_from_slice(&detection.map.scores[part.clone()]);
            truth.extend_from_slice(&mask[part]);
        }
        anomalous |= truth.iter().any(|&set| set != 0);
        accumulator.push(&scores, &truth, columns.len(), rows.len())?;
    }
    if !anomalous {
        return Ok(None);
    }
    let metrics = accumulator.finish(aupro_limit)?;
    Ok(Some(NativeScores {
        pixel_auroc: metrics.auroc,
        pixel_ap: metrics.average_precision,
        aupro: metrics.aupro,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flawforge_models::{AnomalyMap, ModelError};

    /// Calls an image as anomalous as its red channel is bright.
    struct Redness;

    impl Detector for Redness {
        fn input_size(&self) -> (u32, u32) {
            (8, 8)
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
                name: format!("{defect}/{name}"),
                defect: defect.to_owned(),
                image: pixels,
                mask_half: mask.clone(),
                mask,
            }
        };
        Category {
            name: "dots".to_owned(),
            train: Vec::new(),
            test: vec![
                image("0", "good", false),
                image("0", "dot", true),
                image("1", "dot", true),
            ],
        }
    }

    #[test]
    fn a_perfect_detector_scores_one_everywhere() {
        let evaluation = evaluate(&Redness, &category(true)).unwrap();
        assert_eq!(evaluation.images.len(), 3);
        let json = serde_json::to_value(evaluation.scores).unwrap();
        for (name, value) in json.as_object().unwrap() {
            assert!((value.as_f64().unwrap() - 1.0).abs() < 1e-12, "{name}: {value}");
        }
    }

    #[test]
    fn the_part_looked_at_has_figures_of_its_own() {
        struct Upper;
        impl Detector for Upper {
            fn input_size(&self) -> (u32, u32) {
                (8, 8)
            }
            fn view(&self) -> Option<View> {
                Some(View {
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
        let native = evaluation.native.unwrap();
        assert_eq!((native.pixel_auroc, native.pixel_ap), (1.0, 1.0));
        assert!(evaluation.scores.pixel_ap.unwrap() < 0.5);
        assert!(evaluate(&Redness, &category(true)).unwrap().native.is_none());
    }

    #[test]
    fn without_masks_pixel_figures_are_absent_and_without_images_it_is_an_error() {
        let scores = evaluate(&Redness, &category(false)).unwrap().scores;
        assert_eq!(scores.image_auroc, Some(1.0));
        assert_eq!((scores.pixel_ap, scores.aupro_half), (None, None));
        let mut empty = category(true);
        empty.test.clear();
        let fault = evaluate(&Redness, &empty).unwrap_err().to_string();
        assert!(fault.contains("dots"), "{fault}");
    }
}
