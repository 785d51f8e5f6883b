//! Scoring a detector on the test images of a category (docs/method.md, section 13).

use std::time::Instant;

use flawforge_datasets::{Category, TestImage};
use flawforge_metrics::{Bins, ErrorBound, ImageScores, Metric, PixelMetrics, PixelScores, Scores};
use flawforge_models::{Detection, Detector, View};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::settings::{Evaluated, GroundTruth};

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

/// Values of the metrics of a detector, fractions in `[0, 1]`. One is absent where it is not defined: without both normal and
/// defective test images, or without ground-truth masks. Defective images without a mask count in image metrics alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// On whole images.
    pub scores: Scores,
    /// See [`Evaluation::scores_in_view`].
    pub scores_in_view: Option<Scores>,
    /// See [`Evaluation::error_bounds`].
    pub error_bounds: Scores,
}

/// A detector's results on a category.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    /// Category name.
    pub category: String,
    /// Values of the metrics on whole images, fractions in `[0, 1]`. One is absent where it is not defined: without both
    /// normal and defective test images, or without ground-truth masks.
    pub scores: Scores,
    /// Pixel metrics inside the detector's center crop only, as NSA's and PatchCore's papers report them. A pixel is anomalous
    /// from half coverage on; this stands in for their nearest-neighbour resizing. Absent if the detector sees whole images, or
    /// if the crop shows no defect.
    #[serde(default, rename = "native", skip_serializing_if = "Option::is_none")]
    pub scores_in_view: Option<Scores>,
    /// How far the exact values can be from `scores`, for each metric of pixels; empty when they are exact
    /// ([`Evaluated::bounded`]).
    #[serde(default, skip_serializing_if = "Scores::is_empty")]
    pub error_bounds: Scores,
    /// Results in the order of the test images.
    pub images: Vec<ImageResult>,
    /// Seconds that detection took.
    pub detect_seconds: f64,
}

impl Evaluation {
    /// The category and its main metrics in one line, in percent.
    pub fn headline(&self) -> String {
        let main = [Metric::ImageAuroc, Metric::PixelAuroc, Metric::PixelAp].map(|metric| {
            let value = self.scores.get(&metric);
            let text = value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}", 100.0 * value));
            format!("{} {text}", metric.title())
        });
        format!("{}: {}", self.category, main.join(", "))
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
    let mut scorer = Scorer::new(settings, detector.view())?;
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
    let measured = scorer.finish()?;
    Ok(Evaluation {
        category: category.name.clone(),
        scores: measured.scores,
        scores_in_view: measured.scores_in_view,
        error_bounds: measured.error_bounds,
        images,
        detect_seconds,
    })
}

/// Scores a detector image by image. It holds the scores of the pixels, or histograms of them, and no image, map or picture.
#[derive(Debug, Clone)]
pub struct Scorer {
    aupro_limit: f64,
    images: ImageScores,
    normal: usize,
    defective: usize,
    main: Pixels,
    half: Pixels,
    /// Of the part that the detector looks at, where that is not all.
    in_view: Option<Pixels>,
}

impl Scorer {
    /// A scorer that has seen nothing yet; `view` is the part of the images that the detector looks at, if not all.
    ///
    /// # Errors
    /// When the histograms of bounded memory cannot be made.
    pub fn new(settings: &Evaluated, view: Option<View>) -> Result<Self> {
        let pixels = |rule, part| Pixels::new(rule, part, settings.bounded);
        Ok(Self {
            aupro_limit: settings.aupro_limit,
            images: ImageScores::new(),
            normal: 0,
            defective: 0,
            main: pixels(settings.ground_truth, None)?,
            half: pixels(GroundTruth::Half, None)?,
            in_view: view
                .map(|view| pixels(GroundTruth::Half, Some(view)))
                .transpose()?,
        })
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
        // Of a defective image without a mask it is not known which pixels are anomalous.
        if !test.has_truth {
            return Ok(());
        }
        self.main.push(test, detection)?;
        self.half.push(test, detection)?;
        match &mut self.in_view {
            Some(part) => part.push(test, detection),
            None => Ok(()),
        }
    }

    /// The metrics of all images so far.
    ///
    /// # Errors
    /// When a metric cannot be computed.
    pub fn finish(self) -> Result<Measured> {
        let mut measured = Measured::default();
        let Measured {
            scores,
            scores_in_view,
            error_bounds,
        } = &mut measured;
        if self.defective > 0 && self.normal > 0 {
            let metrics = self.images.finish()?;
            scores.extend([
                (Metric::ImageAuroc, metrics.auroc),
                (Metric::ImageAp, metrics.average_precision),
            ]);
        }
        let limit = self.aupro_limit;
        let (main, half) = rayon::join(|| self.main.finish(limit), || self.half.finish(limit));
        for (metrics, names) in [(main?, WHOLE), (half?, HALF)] {
            if let Some(metrics) = metrics {
                scores.extend(names.into_iter().zip(values(&metrics)));
                if metrics.error != ErrorBound::default() {
                    error_bounds.extend(names.into_iter().zip(bounds(&metrics)));
                }
            }
        }
        let in_view = self.in_view.map(|part| part.finish(limit)).transpose()?;
        *scores_in_view = in_view
            .flatten()
            .map(|metrics| WHOLE.into_iter().zip(values(&metrics)).collect());
        Ok(measured)
    }
}

/// The metrics of pixels by the ground-truth rule asked for, and by that of half coverage, in the order of [`values`].
const WHOLE: [Metric; 3] = [Metric::PixelAuroc, Metric::PixelAp, Metric::Aupro];
const HALF: [Metric; 3] = [Metric::PixelAurocHalf, Metric::PixelApHalf, Metric::AuproHalf];

fn values(metrics: &PixelMetrics) -> [f64; 3] {
    [metrics.auroc, metrics.average_precision, metrics.aupro]
}

fn bounds(metrics: &PixelMetrics) -> [f64; 3] {
    let error = metrics.error;
    [error.auroc, error.average_precision, error.aupro]
}

/// The histograms of bounded memory: for scores of any range, 8 MiB each, a relative resolution of 1/512 (proposal).
const BINS: Bins = Bins::FloatBits(18);

/// Pixel scores by one rule for the ground truth, of whole images or of a part of each.
#[derive(Debug, Clone)]
struct Pixels {
    rule: GroundTruth,
    part: Option<View>,
    scores: PixelScores,
    anomalous: bool,
}

impl Pixels {
    fn new(rule: GroundTruth, part: Option<View>, bounded: bool) -> Result<Self> {
        Ok(Self {
            rule,
            part,
            scores: match bounded {
                true => PixelScores::bounded(BINS)?,
                false => PixelScores::exact(),
            },
            anomalous: false,
        })
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
    use flawforge_metrics::AUPRO_LIMIT;

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
                size: (8, 8),
                has_truth: !spot || masks,
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
            bounded: false,
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
        assert_eq!(
            scores,
            Scores::from([(Metric::ImageAuroc, 1.0), (Metric::ImageAp, 1.0)])
        );
        // A mask is missing: its image is left out of the pixels, which stay perfect.
        let mut some = category(true);
        some.test[2].has_truth = false;
        some.test[2].mask = Mask::empty(8, 8);
        some.test[2].mask_half = Mask::empty(8, 8);
        let scores = evaluate(&Redness, &some).unwrap().scores;
        assert_eq!((scores[&Metric::PixelAp], scores[&Metric::Aupro]), (1.0, 1.0));
        let mut empty = category(true);
        empty.test.clear();
        let fault = evaluate(&Redness, &empty).unwrap_err().to_string();
        assert!(fault.contains("dots"), "{fault}");
    }
}
