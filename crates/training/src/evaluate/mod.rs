//! Scoring a detector on the test images of a category (docs/method.md, section 13).

use std::time::Instant;

use flawforge_datasets::{Category, MaskCounts, TestImage};
use flawforge_metrics::{Metric, Scores};
use flawforge_models::{Detection, Detector};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::scorer::{Measured, Scorer};
use crate::settings::Evaluated;

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
    /// How the masks came out at the size of scoring.
    #[serde(default)]
    pub masks: MaskCounts,
    /// Width and height in pixels that pixels were scored at; `None` where each image was scored at the size of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scored_at: Option<(u32, u32)>,
    /// Results in the order of the test images.
    pub images: Vec<ImageResult>,
    /// Seconds that detection took.
    pub detect_seconds: f64,
}

impl Evaluation {
    /// Why a metric is not defined here, in a phrase; `None` where it has a value.
    pub fn reason(&self, metric: Metric) -> Option<String> {
        if self.scores.contains_key(&metric) {
            return None;
        }
        let defective = self.images.iter().filter(|image| image.defective).count();
        let masks = &self.masks;
        let left = match metric {
            Metric::PixelAurocHalf | Metric::PixelApHalf | Metric::AuproHalf => masks.nothing_left_half,
            _ => masks.nothing_left,
        };
        Some(if defective == 0 {
            "there are no defective test images".to_owned()
        } else if matches!(metric, Metric::ImageAuroc | Metric::ImageAp) {
            "there are no normal test images".to_owned()
        } else if masks.masks == 0 {
            "the defective test images have no masks".to_owned()
        } else if masks.mark_nothing == masks.masks {
            format!("none of the {} masks marks anything", masks.masks)
        } else {
            let size = self.scored_at.map_or_else(
                || "at the size of the files".to_owned(),
                |(width, height)| format!("at {width}x{height}"),
            );
            format!(
                "no pixel is left of the marks {size} ({left} of {} masks)",
                masks.masks
            )
        })
    }

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
    evaluated(detector, category, settings, None, each)
}

/// As [`evaluate_each`], but pixels are scored at the size of the files: `own` loads a test image and its masks at their own
/// size, by its position ([`TestImage::at_file_size`]), and its map is brought to that size. Sets with many pixels are scored
/// in [bounded memory](Evaluated::bounded).
///
/// # Errors
/// As [`evaluate_with`], and those of `own`.
pub fn evaluate_at_file_size(
    detector: &dyn Detector,
    category: &Category,
    settings: &Evaluated,
    own: &mut dyn FnMut(usize) -> Result<TestImage>,
    each: &mut dyn FnMut(usize, &Detection),
) -> Result<Evaluation> {
    let pixels = |test: &TestImage| u64::from(test.file_size.0) * u64::from(test.file_size.1);
    let all: u64 = category.test.iter().map(pixels).sum();
    let settings = Evaluated {
        bounded: settings.bounded || all > MOST_EXACT_PIXELS,
        ..settings.clone()
    };
    evaluated(detector, category, &settings, Some(own), each)
}

/// Pixels that are scored exactly at the size of the files: 5 bytes each are held, half a gigabyte (proposal).
const MOST_EXACT_PIXELS: u64 = 100_000_000;

type Own<'a> = &'a mut dyn FnMut(usize) -> Result<TestImage>;

fn evaluated(
    detector: &dyn Detector,
    category: &Category,
    settings: &Evaluated,
    mut own: Option<Own<'_>>,
    each: &mut dyn FnMut(usize, &Detection),
) -> Result<Evaluation> {
    let Some(first) = category.test.first() else {
        return Err(TrainingError::Data {
            category: category.name.clone(),
            fault: "has no test images to score".to_owned(),
        });
    };
    let batch = settings.batch.max(1);
    let mut scorer = Scorer::new(settings, detector.view())?;
    let mut images = Vec::with_capacity(category.test.len());
    let mut masks = MaskCounts::default();
    let mut detect_seconds = 0.0;
    for (chunk, tests) in category.test.chunks(batch).enumerate() {
        let pictures: Vec<&RgbImage> = tests.iter().map(|test| &test.image).collect();
        let began = Instant::now();
        let detections = detector.detect(&pictures)?;
        detect_seconds += began.elapsed().as_secs_f64();
        for (place, (test, detection)) in tests.iter().zip(detections).enumerate() {
            let position = chunk * batch + place;
            each(position, &detection);
            images.push(ImageResult {
                name: test.name.clone(),
                defect: test.defect.clone(),
                defective: test.is_defective(),
                score: detection.score,
            });
            match &mut own {
                None => {
                    masks.add(test);
                    scorer.push(test, &detection)?;
                }
                Some(own) => {
                    let test = own(position)?;
                    let (width, height) = test.image.dimensions();
                    masks.add(&test);
                    let map = detection.map.resized(width, height);
                    scorer.push(&test, &Detection { map, ..detection })?;
                }
            }
        }
    }
    let measured = scorer.finish()?;
    let Measured {
        scores,
        scores_in_view,
        error_bounds,
    } = measured;
    Ok(Evaluation {
        category: category.name.clone(),
        scores,
        scores_in_view,
        error_bounds,
        masks,
        scored_at: own.is_none().then(|| (first.mask.width(), first.mask.height())),
        images,
        detect_seconds,
    })
}

#[cfg(test)]
mod tests;
