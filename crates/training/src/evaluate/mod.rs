//! Scoring a detector on the test images of a category (docs/method.md, section 13).

mod judged;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use flawforge_datasets::{Category, MaskCounts, TestEntry, TestImage, TestSet};
use flawforge_metrics::{Bootstrap, Interval, Metric, PixelPoint, Scores};
use flawforge_models::{Detection, Detector};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use judged::{Judged, OfType, Oracle, Wrong};

use crate::error::{Result, TrainingError};
use crate::fit::{Display, ProgressStyle, ahead};
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
    /// Image score of the method's published protocol; the metrics are of these.
    pub score: f32,
    /// Image score that verdicts are made on.
    pub verdict_score: f32,
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
    /// ([`Evaluated::bounded`], [`Evaluated::exact_pixels`]).
    #[serde(default, skip_serializing_if = "Scores::is_empty")]
    pub error_bounds: Scores,
    /// Intervals of `scores` at the confidence of `resampled`, by drawing the test images again; absent where all draws give the
    /// same, which these images are too few to trust.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<Metric, Interval>,
    /// How the intervals were found; `None` without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampled: Option<Resampled>,
    /// The curves of pixels behind the metrics by the main rule, where intervals were asked for; not in files.
    #[serde(skip)]
    pub curve: Vec<PixelPoint>,
    /// How the masks came out at the size of scoring.
    #[serde(default)]
    pub masks: MaskCounts,
    /// Width and height in pixels that pixels were scored at; `None` where each image was scored at a size of its own: that of its
    /// file, or that of the run's view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scored_at: Option<(u32, u32)>,
    /// Results in the order of the test images.
    pub images: Vec<ImageResult>,
    /// Seconds that detection took.
    pub detect_seconds: f64,
}

/// How intervals were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resampled {
    /// Confidence of the intervals.
    pub confidence: f64,
    /// How often the test images were drawn, normal and defective ones apart, with replacement.
    pub draws: u64,
    /// Seed of the draws.
    pub seed: u64,
    /// How far the ends of the intervals of pixels can be off, because pixels are counted in bins of scores.
    #[serde(default, skip_serializing_if = "Scores::is_empty")]
    pub errors: Scores,
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
            "no defective test images".to_owned()
        } else if matches!(metric, Metric::ImageAuroc | Metric::ImageAp) {
            "no normal test images".to_owned()
        } else if masks.masks == 0 {
            "no masks".to_owned()
        } else if masks.mark_nothing == masks.masks {
            format!("none of the {} masks marks anything", masks.masks)
        } else {
            let size = self.scored_at.map_or_else(
                || "at the size of their images".to_owned(),
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

/// How a set of test images is scored.
#[derive(Debug, Clone, Default)]
pub struct EvaluateOptions {
    /// Pixels are scored at the size of the files instead of that of the profile: each image and its masks are read at their
    /// own size, and its map is brought to that size.
    pub at_file_size: bool,
    /// Intervals of the metrics by drawing the test images again, and the curves of pixels; without, neither.
    pub intervals: Option<Bootstrap>,
    /// What is shown meanwhile.
    pub progress: ProgressStyle,
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
    let options = EvaluateOptions {
        progress: ProgressStyle::Silent,
        ..EvaluateOptions::default()
    };
    let set = TestSet::held(category);
    evaluate_set(
        detector,
        &set,
        settings,
        &options,
        &mut |position, _, detection| each(position, detection),
    )
}

/// As [`evaluate_each`], of a set whose images need not be in memory. The next images are decoded while the detector looks at
/// these. With more than [`Evaluated::exact_pixels`] pixels memory does not grow with the set, but for a row for each image.
///
/// # Errors
/// As [`evaluate_with`]; a file that has changed or gone since the set was read; scores at the size of files for images that
/// come from no file.
pub fn evaluate_set(
    detector: &dyn Detector,
    tests: &TestSet<'_>,
    settings: &Evaluated,
    options: &EvaluateOptions,
    each: &mut dyn FnMut(usize, &TestImage, &Detection),
) -> Result<Evaluation> {
    let refused = |fault: &str| TrainingError::Data {
        category: tests.name.clone(),
        fault: fault.to_owned(),
    };
    let entries = tests.entries();
    if entries.is_empty() {
        return Err(refused("has no test images to score"));
    }
    let settings = Evaluated {
        bounded: settings.is_bounded(tests.pixels(options.at_file_size)),
        ..settings.clone()
    };
    let batch = settings.batch.max(1);
    let mut scorer = Scorer::new(&settings, detector.field_of_view())?;
    if let Some(bootstrap) = options.intervals {
        scorer = scorer.with_intervals(bootstrap);
    }
    let mut images = Vec::with_capacity(entries.len());
    let mut masks = MaskCounts::default();
    let mut detect_seconds = 0.0;
    let label = format!("evaluate {}", tests.name);
    let mut display = Display::new(&options.progress, &label, entries.len() as u64, 0);
    let load = |chunk: u64| -> Result<Vec<(&TestEntry<'_>, Cow<'_, TestImage>)>> {
        let chunk = entries.chunks(batch).nth(chunk as usize).unwrap_or_default();
        let loaded = chunk.par_iter().map(|entry| Ok((entry, tests.image(entry)?)));
        loaded.collect()
    };
    ahead(&load, 0..entries.len().div_ceil(batch) as u64, |loaded| {
        for chunk in loaded {
            let chunk = chunk?;
            let pictures: Vec<&RgbImage> = chunk.iter().map(|(_, test)| &test.image).collect();
            let began = Instant::now();
            let detections = detector.detect(&pictures)?;
            detect_seconds += began.elapsed().as_secs_f64();
            for ((entry, test), mut detection) in chunk.iter().zip(detections) {
                if tests.keeps_aspect() {
                    // A method may look at its images larger than masks are.
                    detection.map = detection.map.resized(test.mask.width(), test.mask.height());
                }
                each(images.len(), test, &detection);
                images.push(ImageResult {
                    name: test.name.clone(),
                    defect: test.defect.clone(),
                    defective: test.is_defective(),
                    score: detection.score,
                    verdict_score: detection.verdict_score,
                });
                if options.at_file_size {
                    let own = tests.at_file_size(entry)?;
                    let own = own.ok_or_else(|| refused("has no files at whose size it could be scored"))?;
                    let (width, height) = own.image.dimensions();
                    masks.add(&own);
                    let map = detection.map.resized(width, height);
                    scorer.push(&own, &Detection { map, ..detection })?;
                } else {
                    masks.add(test);
                    scorer.push(test, &detection)?;
                }
                display.item();
            }
        }
        Ok(())
    })?;
    drop(display);
    let Measured {
        scores,
        scores_in_view,
        error_bounds,
        intervals,
        interval_errors,
        curve,
    } = scorer.finish()?;
    let resampled = options.intervals.map(|bootstrap| Resampled {
        confidence: bootstrap.confidence,
        draws: bootstrap.resamples,
        seed: bootstrap.seed,
        errors: interval_errors,
    });
    Ok(Evaluation {
        category: tests.name.clone(),
        scores,
        scores_in_view,
        error_bounds,
        intervals,
        resampled,
        curve,
        masks,
        scored_at: tests.scored_at().filter(|_| !options.at_file_size),
        images,
        detect_seconds,
    })
}

#[cfg(test)]
mod tests;
