//! The threshold of a verdict, from normal images and simulated anomalies (no choice is made on test images).

use flawforge_augment::{Simulation, Stream, to_bytes};
use flawforge_datasets::TrainImage;
use flawforge_metrics::best_f1;
use flawforge_models::Detector;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::experiment::Experiment;

/// A threshold on image scores, and what it was found on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// An image whose score is at least this is called anomalous.
    pub score: f32,
    /// F1 of the threshold on the images that it was found on.
    pub f1: f64,
    /// Normal images used.
    pub normal: usize,
    /// Simulated anomalies used.
    pub simulated: usize,
    /// Whether these images were held out of training, or scored as if they had been. If not, the threshold may be low: the networks
    /// know the images.
    pub held_out: bool,
}

/// A threshold with the scores that it was found on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The threshold.
    pub threshold: Threshold,
    /// The scores, in the order of the images.
    pub scores: Vec<CalibrationScore>,
}

/// The score of one calibration image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationScore {
    /// Name of the normal image.
    pub image: String,
    /// The kind of anomaly that was simulated on it; `None` for the unchanged image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its score.
    pub score: f32,
}

/// The normal images to calibrate on.
#[derive(Clone, Copy)]
pub(super) struct Normals<'a> {
    pub(super) images: &'a [TrainImage],
    /// Positions of those that may be taken.
    pub(super) chosen: &'a [usize],
    /// Whether these were not trained on.
    pub(super) held_out: bool,
    /// Of images that were trained on, the scores that they would have had unseen; by position.
    pub(super) unseen: &'a [(usize, f32)],
}

/// Finds the threshold with the best F1 between normal images and the same with simulated anomalies. The threshold is placed
/// midway between the two scores that it separates.
///
/// Nothing is returned without images, or when no anomaly could be made.
pub(super) fn calibrate(
    experiment: &Experiment,
    detector: &dyn Detector,
    simulation: &Simulation,
    normals: &Normals<'_>,
) -> Result<Option<Calibrated>> {
    let Normals {
        images,
        chosen,
        held_out,
        unseen,
    } = *normals;
    let mut simulation = simulation.clone();
    simulation.p_clean = 0.0;
    let wanted = experiment.calibration.images.min(chosen.len());
    // Evenly spaced, because neighbouring files are near-duplicates.
    let picked: Vec<usize> = (0..wanted).map(|i| chosen[i * chosen.len() / wanted]).collect();
    let mut shown: Vec<(RgbImage, CalibrationScore)> = Vec::new();
    for (index, &image) in picked.iter().enumerate() {
        // A step that no training reaches: these anomalies are new to the networks.
        let stream = Stream {
            seed: experiment.seed,
            step: u64::MAX,
            index: index as u64,
        };
        let normal = &images[image];
        let pixels = normal.image()?;
        let sample = simulation.sample(&pixels, stream);
        let unscored = CalibrationScore {
            image: normal.name.clone(),
            kind: None,
            score: 0.0,
        };
        if unseen.is_empty() {
            shown.push((pixels.into_owned(), unscored.clone()));
        }
        if let Some(kind) = sample.kind {
            let simulated = CalibrationScore {
                kind: Some(kind.to_string()),
                ..unscored
            };
            shown.push((to_bytes(&sample.image), simulated));
        }
    }
    let simulated = shown.iter().filter(|(_, score)| score.kind.is_some()).count();
    if simulated == 0 {
        return Ok(None);
    }
    let mut all: Vec<CalibrationScore> = unseen
        .iter()
        .filter_map(|&(place, score)| {
            Some(CalibrationScore {
                image: images.get(place)?.name.clone(),
                kind: None,
                score,
            })
        })
        .collect();
    for chunk in shown.chunks(experiment.evaluation.batch.max(1)) {
        let images: Vec<&RgbImage> = chunk.iter().map(|(image, _)| image).collect();
        let detections = detector.detect(&images)?;
        let scores = detections.into_iter().map(|detection| detection.score);
        all.extend(
            chunk
                .iter()
                .zip(scores)
                .map(|((_, unscored), score)| CalibrationScore {
                    score,
                    ..unscored.clone()
                }),
        );
    }
    let scores: Vec<f32> = all.iter().map(|one| one.score).collect();
    let labels: Vec<bool> = all.iter().map(|one| one.kind.is_some()).collect();
    let best = best_f1(&scores, &labels)?;
    let below = scores
        .iter()
        .copied()
        .filter(|&score| score < best.threshold)
        .fold(f32::NEG_INFINITY, f32::max);
    let middle = (below + best.threshold) / 2.0;
    let score = if middle.is_finite() {
        middle
    } else {
        best.threshold
    };
    Ok(Some(Calibrated {
        threshold: Threshold {
            score,
            f1: best.f1,
            normal: all.len() - simulated,
            simulated,
            held_out: held_out || !unseen.is_empty(),
        },
        scores: all,
    }))
}
