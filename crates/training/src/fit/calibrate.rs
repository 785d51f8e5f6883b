//! The scores that decision thresholds are found on: of unseen normal images and of simulated anomalies, never of test images.

use flawforge_augment::{Kind, Simulation, Stream, to_bytes};
use flawforge_datasets::TrainImage;
use flawforge_metrics::high_pixel;
use flawforge_models::{AnomalyMap, Detector, Place};
use flawforge_resample::Window;
use image::RgbImage;
use image::imageops::crop_imm;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::experiment::Experiment;
use crate::recipe::{Highest, Unseen};
use crate::windowing::Windowing;

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
    /// The images were given for weights that others trained: that these had not seen them is assumed.
    Assumed,
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
            shown.push((pixels, Place::WHOLE, unscored(&images[place])));
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
    let windowing = experiment.windowing();
    let simulation = Simulation {
        p_clean: 0.0,
        // A turned window does not fit the rest of its image.
        rotation: simulation.rotation.filter(|_| windowing.is_none()),
        ..simulation.clone()
    };
    let anomalies = experiment.calibration.anomalies.max(picked.len());
    let flawed = |index: usize| -> Result<Option<Shown>> {
        let normal = &images[picked[index % picked.len()]];
        // A step that no training reaches: these anomalies are new to the networks.
        let stream = Stream {
            seed: experiment.seed,
            step: u64::MAX,
            index: index as u64,
        };
        let flawed = flawed(&simulation, windowing.as_ref(), &*normal.image()?, stream);
        Ok(flawed.map(|flawed| {
            let one = CalibrationScore {
                kind: Some(flawed.kind.to_string()),
                share: Some(flawed.share),
                ..unscored(normal)
            };
            (flawed.image, flawed.place, one)
        }))
    };
    let mut scores = Vec::with_capacity(anomalies);
    let mut tried = 0;
    while scores.len() < anomalies && tried < TRIES * anomalies {
        let wanted = (anomalies - scores.len()).min(TRIES * anomalies - tried);
        let next = tried..tried + wanted.min(experiment.evaluation.batch.max(1));
        tried = next.end;
        let shown: Vec<Option<_>> = next.into_par_iter().map(flawed).collect::<Result<_>>()?;
        let shown: Vec<_> = shown.into_iter().flatten().collect();
        if !shown.is_empty() {
            scores.extend(scored(detector, shown)?.map(|(one, _)| one));
        }
    }
    Ok(scores)
}

/// An image to score, or a part of one that lies there in it, and what will be known of it.
type Shown = (RgbImage, Place, CalibrationScore);

/// A normal image with an anomaly.
struct Flawed {
    /// The image, or the part of it around the anomaly.
    image: RgbImage,
    /// Where that lies in the whole image.
    place: Place,
    kind: Kind,
    /// The share of the image that the anomaly covers.
    share: f32,
}

/// An anomaly on an image; where images are seen in windows, in one of them, so that it has the size of those in training. `None` if
/// the simulation found no place for one.
fn flawed(
    simulation: &Simulation,
    windowing: Option<&Windowing>,
    normal: &RgbImage,
    stream: Stream,
) -> Option<Flawed> {
    let Some(windowing) = windowing else {
        let sample = simulation.sample(normal, stream);
        let pixels = sample.mask.pixels();
        let covered = pixels.iter().filter(|&&pixel| pixel != 0).count();
        return Some(Flawed {
            kind: sample.kind?,
            share: covered as f32 / pixels.len().max(1) as f32,
            image: to_bytes(&sample.image),
            place: Place::WHOLE,
        });
    };
    let window = windowing.drawn(normal.dimensions(), stream);
    let sample = simulation.sample(&windowing.windows.cut(normal, window), stream);
    let kind = sample.kind?;
    let (part, mut image, mut covered) = (to_bytes(&sample.image), normal.clone(), 0);
    for (x, y, &pixel) in part.enumerate_pixels() {
        let place = (window.x + i64::from(x), window.y + i64::from(y));
        let inside = |at: i64, length: u32| u32::try_from(at).ok().filter(|&at| at < length);
        let (Some(column), Some(row)) = (inside(place.0, image.width()), inside(place.1, image.height()))
        else {
            continue;
        };
        image.put_pixel(column, row, pixel);
        covered += usize::from(sample.mask.get(x, y));
    }
    // What lies in the mirrored surroundings alone is not in the image.
    (covered > 0).then(|| {
        let share = covered as f32 / (image.width() as f32 * image.height() as f32);
        let (image, place) = around(&image, window, windowing.windows.frame);
        Flawed {
            image,
            place,
            kind,
            share,
        }
    })
}

/// A window of an image and half a window on each side of it, as far as the image goes: all windows that a flaw there changes much
/// lie inside. The rest of a large image would cost many times as much, and tell nothing of the flaw. With its place in the image.
fn around(image: &RgbImage, window: Window, frame: (u32, u32)) -> (RgbImage, Place) {
    let range = |start: i64, frame: u32, length: u32| {
        let (half, length) = (i64::from(frame / 2), i64::from(length));
        let from = (start - half).clamp(0, length);
        (
            from as u32,
            (start + i64::from(frame) + half).clamp(from, length) as u32,
        )
    };
    let (left, right) = range(window.x, frame.0, image.width());
    let (top, bottom) = range(window.y, frame.1, image.height());
    let part = crop_imm(image, left, top, right - left, bottom - top).to_image();
    let corner = Window {
        x: i64::from(left),
        y: i64::from(top),
    };
    let place = Place::of(corner, part.dimensions(), image.dimensions());
    (part, place)
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
    shown: Vec<Shown>,
) -> Result<impl Iterator<Item = (CalibrationScore, AnomalyMap)>> {
    let images: Vec<(&RgbImage, Place)> = shown.iter().map(|(image, place, _)| (image, *place)).collect();
    let detections = detector.detect_at(&images)?;
    let pairs = shown.into_iter().zip(detections);
    Ok(pairs.map(|((.., one), detection)| {
        let one = CalibrationScore {
            score: detection.verdict_score,
            pixel: high_pixel(&detection.map.scores),
            ..one
        };
        (one, detection.map)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_around_a_window_has_its_place_in_the_image() {
        let image = RgbImage::from_fn(250, 200, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let (part, place) = around(&image, Window { x: 120, y: 10 }, (64, 40));
        assert_eq!(
            (part.dimensions(), part.get_pixel(0, 0).0),
            ((128, 70), [88, 0, 0])
        );
        let wanted = Place {
            left: 88.0 / 250.0,
            top: 0.0,
            width: 128.0 / 250.0,
            height: 70.0 / 200.0,
        };
        assert_eq!(place, wanted);
        let (all, place) = around(&image, Window { x: -3, y: -3 }, (256, 206));
        assert_eq!((all, place), (image, Place::WHOLE));
    }
}
