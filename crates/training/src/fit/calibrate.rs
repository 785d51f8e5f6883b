//! The scores that decision thresholds are found on: of unseen normal images and of simulated anomalies, never of test images.

use flawforge_augment::{Simulation, Stream, to_bytes};
use flawforge_datasets::TrainImage;
use flawforge_metrics::high_pixel;
use flawforge_models::{AnomalyMap, Detector};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::experiment::Experiment;
use crate::recipe::{Highest, Unseen};

/// Where the scores of normal images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The images were held out of the training.
    HeldOut,
    /// Each image was scored by a short training on others.
    CrossFitted,
    /// Each image was scored against what was kept of the others.
    LeftOut,
    /// The images were trained on: later ones may score higher.
    Trained,
}

/// The scores of a calibration; [`decide`](Self::decide) finds thresholds on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Where the scores of normal images come from.
    pub origin: Origin,
    /// The scores: of normal images, at least one, then of simulated anomalies.
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
    /// The share of the image that the anomaly covers, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f32>,
    /// Its [verdict score](flawforge_models::Detection::verdict_score).
    pub score: f32,
    /// The [high pixel](high_pixel) of its anomaly map.
    pub pixel: f32,
}

impl Calibrated {
    /// The scores of normal images.
    pub fn normal(&self) -> impl Iterator<Item = &CalibrationScore> {
        self.scores.iter().filter(|one| one.kind.is_none())
    }

    /// The scores of simulated anomalies.
    pub fn simulated(&self) -> impl Iterator<Item = &CalibrationScore> {
        self.scores.iter().filter(|one| one.kind.is_some())
    }
}

/// The normal images to calibrate on.
#[derive(Clone, Copy)]
pub(super) struct Normals<'a> {
    pub(super) images: &'a [TrainImage],
    /// Positions of those that may be taken.
    pub(super) chosen: &'a [usize],
    /// Where their scores come from.
    pub(super) origin: Origin,
    /// Their scores by position, where the detector at hand knows the images.
    pub(super) unseen: &'a [Unseen],
}

/// Tries for each simulated anomaly that is wanted: a simulator may find no place for one.
const TRIES: usize = 4;

/// Scores normal images and simulated anomalies; those that are scored here are offered to `highest`.
///
/// Nothing is returned without images.
pub(super) fn calibrate(
    experiment: &Experiment,
    detector: &dyn Detector,
    simulation: &Simulation,
    normals: &Normals<'_>,
    highest: &mut Highest,
) -> Result<Option<Calibrated>> {
    let Normals {
        images,
        chosen,
        origin,
        unseen,
    } = *normals;
    let wanted = experiment.calibration.images.min(chosen.len());
    // Evenly spaced, because neighbouring files are near-duplicates.
    let picked: Vec<usize> = (0..wanted).map(|i| chosen[i * chosen.len() / wanted]).collect();
    if picked.is_empty() {
        return Ok(None);
    }
    let mut scores = match unseen.is_empty() {
        true => normal_scores(experiment, detector, images, &picked, highest)?,
        false => Vec::with_capacity(unseen.len()),
    };
    scores.extend(unseen.iter().filter_map(|one| {
        Some(CalibrationScore {
            score: one.score,
            pixel: one.pixel,
            ..unscored(images.get(one.place)?)
        })
    }));
    scores.extend(anomaly_scores(experiment, detector, simulation, images, &picked)?);
    Ok((!scores.iter().all(|one| one.kind.is_some())).then_some(Calibrated { origin, scores }))
}

/// What a detector says of some of the images, which are offered to `highest`.
pub(super) fn normal_scores(
    experiment: &Experiment,
    detector: &dyn Detector,
    images: &[TrainImage],
    picked: &[usize],
    highest: &mut Highest,
) -> Result<Vec<CalibrationScore>> {
    let mut scores = Vec::with_capacity(picked.len());
    for chunk in picked.chunks(experiment.evaluation.batch.max(1)) {
        let mut shown = Vec::with_capacity(chunk.len());
        for &place in chunk {
            let pixels = images[place].image()?.into_owned();
            shown.push((pixels, unscored(&images[place])));
        }
        let detections = scored(detector, shown)?;
        for (&place, (one, map)) in chunk.iter().zip(detections) {
            highest.offer(place, one.score, &map);
            scores.push(one);
        }
    }
    Ok(scores)
}

/// What it says of anomalies that are simulated on them: as many as the settings want, at least one an image.
pub(super) fn anomaly_scores(
    experiment: &Experiment,
    detector: &dyn Detector,
    simulation: &Simulation,
    images: &[TrainImage],
    picked: &[usize],
) -> Result<Vec<CalibrationScore>> {
    let batch = experiment.evaluation.batch.max(1);
    let simulation = Simulation {
        p_clean: 0.0,
        ..simulation.clone()
    };
    let mut scores = Vec::new();
    let anomalies = experiment.calibration.anomalies.max(picked.len());
    let mut shown = Vec::with_capacity(batch);
    let mut made = 0;
    for index in 0..TRIES * anomalies {
        if made == anomalies {
            break;
        }
        let normal = &images[picked[index % picked.len()]];
        // A step that no training reaches: these anomalies are new to the networks.
        let stream = Stream {
            seed: experiment.seed,
            step: u64::MAX,
            index: index as u64,
        };
        let sample = simulation.sample(normal.image()?.as_ref(), stream);
        let Some(kind) = sample.kind else { continue };
        made += 1;
        let covered = sample.mask.pixels().iter().filter(|&&pixel| pixel != 0).count();
        let one = CalibrationScore {
            kind: Some(kind.to_string()),
            share: Some(covered as f32 / sample.mask.pixels().len().max(1) as f32),
            ..unscored(normal)
        };
        shown.push((to_bytes(&sample.image), one));
        if shown.len() == batch {
            let detections = scored(detector, std::mem::take(&mut shown))?;
            scores.extend(detections.map(|(one, _)| one));
        }
    }
    scores.extend(scored(detector, shown)?.map(|(one, _)| one));
    Ok(scores)
}

fn unscored(normal: &TrainImage) -> CalibrationScore {
    CalibrationScore {
        image: normal.name.clone(),
        kind: None,
        share: None,
        score: 0.0,
        pixel: 0.0,
    }
}

/// The same with what the detector says of each image, and its map.
fn scored(
    detector: &dyn Detector,
    shown: Vec<(RgbImage, CalibrationScore)>,
) -> Result<impl Iterator<Item = (CalibrationScore, AnomalyMap)>> {
    let images: Vec<&RgbImage> = shown.iter().map(|(image, _)| image).collect();
    let detections = detector.detect(&images)?;
    let pairs = shown.into_iter().zip(detections);
    Ok(pairs.map(|((_, one), detection)| {
        let one = CalibrationScore {
            score: detection.verdict_score,
            pixel: high_pixel(&detection.map.scores),
            ..one
        };
        (one, detection.map)
    }))
}
