//! Scoring a detector on the test images of a category (docs/method.md, section 13).

use std::time::Instant;

use flawforge_datasets::{Category, TestImage};
use flawforge_metrics::{ImageScores, PixelMetrics, PixelScores};
use flawforge_models::{Detection, Detector, View};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::settings::{Evaluated, GroundTruth};
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
}

impl Evaluation {
    /// The category and its main figures in one line, in percent.
    pub fn headline(&self) -> String {
        let percent = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}", 100.0 * value))
        };
        format!(
            "{}: image AUROC {}, pixel AUROC {}, pixel AP {}",
            self.category,
            percent(self.scores.image_auroc),
            percent(self.scores.pixel_auroc),
            percent(self.scores.pixel_ap),
        )
    }
}

/// [`evaluate_with`] the published protocol: ground truth by DRAEM's rule, AUPRO up to 0.3.
///
/// # Errors
/// As [`evaluate_with`].
pub fn evaluate(detector: &dyn Detector, category: &Category) -> Result<Evaluation> {
    evaluate_with(detector, category, &Evaluated::default())
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
    evaluate_each(detector, category, settings, &mut |_, _| ())
}

/// As [`evaluate_with`], and shows every detection to `each`, with the position of its test image. Afterwards the detection
/// is dropped: what is held grows by the scores of the pixels alone.
///
/// # Errors
/// As [`evaluate_with`].
pub fn evaluate_each(
    detector: &dyn Detector,
    category: &Category,
    settings: &Evaluated,
    each: &mut dyn FnMut(usize, &Detection),
) -> Result<Evaluation> {
    if category.test.is_empty() {
        return Err(TrainingError::Data {
            category: category.name.clone(),
            fault: "has no test images to score".to_owned(),
        });
    }
    let batch = settings.batch.max(1);
    let mut scorer = Scorer::new(settings, detector.view());
    let mut images = Vec::with_capacity(category.test.len());
    let mut detect_seconds = 0.0;
    for (chunk, tests) in category.test.chunks(batch).enumerate() {
        let pictures: Vec<&RgbImage> = tests.iter().map(|test| &test.image).collect();
        let began = Instant::now();
        let detections = detector.detect(&pictures)?;
        detect_seconds += began.elapsed().as_secs_f64();
        for (place, (test, detection)) in tests.iter().zip(&detections).enumerate() {
            scorer.push(test, detection)?;
            each(chunk * batch + place, detection);
            images.push(ImageResult {
                name: test.name.clone(),
                defect: test.defect.clone(),
                defective: test.is_defective(),
                score: detection.score,
            });
        }
    }
    let (scores, native) = scorer.finish()?;
    Ok(Evaluation {
        category: category.name.clone(),
        scores,
        native,
        images,
        detect_seconds,
    })
}

/// Scores a detector image by image. It holds the scores of the pixels, and no image, map or picture.
#[derive(Debug, Clone)]
pub struct Scorer {
    aupro_limit: f64,
    images: ImageScores,
    normal: usize,
    defective: usize,
    main: Pixels,
    half: Pixels,
    /// Of the part that the detector looks at, where that is not all.
    native: Option<Pixels>,
}

impl Scorer {
    /// A scorer that has seen nothing yet; `view` is the part of the images that the detector looks at, if not all.
    pub fn new(settings: &Evaluated, view: Option<View>) -> Self {
        Self {
            aupro_limit: settings.aupro_limit,
            images: ImageScores::new(),
            normal: 0,
            defective: 0,
            main: Pixels::new(settings.ground_truth, None),
            half: Pixels::new(GroundTruth::Half, None),
            native: view.map(|view| Pixels::new(GroundTruth::Half, Some(view))),
        }
    }

    /// Adds what a detector says of a test image.
    ///
    /// # Errors
    /// A map of another size than the image's mask, a score that is not a number.
    pub fn push(&mut self, test: &TestImage, detection: &Detection) -> Result<()> {
        self.images.push(detection.score, test.is_defective())?;
        match test.is_defective() {
            true => self.defective += 1,
            false => self.normal += 1,
        }
        self.main.push(test, detection)?;
        self.half.push(test, detection)?;
        match &mut self.native {
            Some(native) => native.push(test, detection),
            None => Ok(()),
        }
    }

    /// The figures of all images so far. One is absent where it is not defined: without both normal and defective images,
    /// without an anomalous pixel.
    ///
    /// # Errors
    /// When a metric cannot be computed.
    pub fn finish(self) -> Result<(Scores, Option<NativeScores>)> {
        let mut scores = Scores::default();
        if self.defective > 0 && self.normal > 0 {
            let metrics = self.images.finish()?;
            scores.image_auroc = Some(metrics.auroc);
            scores.image_ap = Some(metrics.average_precision);
        }
        let limit = self.aupro_limit;
        let (main, half) = rayon::join(|| self.main.finish(limit), || self.half.finish(limit));
        if let Some(main) = main? {
            scores.pixel_auroc = Some(main.auroc);
            scores.pixel_ap = Some(main.average_precision);
            scores.aupro = Some(main.aupro);
        }
        if let Some(half) = half? {
            scores.pixel_auroc_half = Some(half.auroc);
            scores.pixel_ap_half = Some(half.average_precision);
            scores.aupro_half = Some(half.aupro);
        }
        let native = match self.native {
            Some(native) => native.finish(limit)?,
            None => None,
        };
        let native = native.map(|metrics| NativeScores {
            pixel_auroc: metrics.auroc,
            pixel_ap: metrics.average_precision,
            aupro: metrics.aupro,
        });
        Ok((scores, native))
    }
}

/// Pixel scores by one rule for the ground truth, of whole images or of a part of each.
#[derive(Debug, Clone)]
struct Pixels {
    rule: GroundTruth,
    part: Option<View>,
    scores: PixelScores,
    anomalous: bool,
}

impl Pixels {
    fn new(rule: GroundTruth, part: Option<View>) -> Self {
        Self {
            rule,
            part,
            scores: PixelScores::exact(),
            anomalous: false,
        }
    }

    fn push(&mut self, test: &TestImage, detection: &Detection) -> Result<()> {
        let mask = match self.rule {
            GroundTruth::Full => &test.mask,
            GroundTruth::Half => &test.mask_half,
        };
        let (width, height) = (detection.map.width as usize, detection.map.height as usize);
        let Some(view) = self.part else {
            self.anomalous |= !mask.is_empty();
            self.scores
                .push(&detection.map.scores, mask.pixels(), width, height)?;
            return Ok(());
        };
        let place = |share: f64, length: usize| (share * length as f64).round() as usize;
        let columns = place(view.left, width)..place(view.right, width).min(width);
        let rows = place(view.top, height)..place(view.bottom, height).min(height);
        let (mut scores, mut truth) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            let part = row * width + columns.start..row * width + columns.end;
            scores.extend_from_slice(&detection.map.scores[part.clone()]);
            truth.extend_from_slice(&mask.pixels()[part]);
        }
        self.anomalous |= truth.iter().any(|&set| set != 0);
        self.scores.push(&scores, &truth, columns.len(), rows.len())?;
        Ok(())
    }

    /// The metrics, or nothing where no pixel of the ground truth is anomalous.
    fn finish(self, aupro_limit: f64) -> Result<Option<PixelMetrics>> {
        self.anomalous
            .then(|| Ok(self.scores.finish(aupro_limit)?))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flawforge_masks::Mask;
    use flawforge_models::{AnomalyMap, ModelError, Resizing};

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
            fn resizing(&self) -> Resizing {
                Resizing::opencv(8, 8)
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
    fn every_detection_is_shown_once_with_its_image() {
        let category = category(true);
        let mut seen = Vec::new();
        let settings = Evaluated {
            ground_truth: GroundTruth::Full,
            aupro_limit: AUPRO_LIMIT,
            batch: 2,
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
