//! The threshold of a verdict, from normal images and simulated anomalies (docs/method.md, section 12.3).

use flawforge_augment::{Simulation, Stream, to_bytes};
use flawforge_datasets::TrainImage;
use flawforge_metrics::best_f1;
use flawforge_models::Detector;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;

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
    /// Whether these images were held out of training. If not, the threshold may be low: the networks know the images.
    pub held_out: bool,
}

/// Finds the threshold with the best F1 between normal images and the same with simulated anomalies. Between the lowest
/// score above it and the highest below it lies its exact place: the middle.
///
/// Nothing is returned without images, or when no anomaly could be made.
pub(crate) fn calibrate(
    config: &Config,
    detector: &dyn Detector,
    simulation: &Simulation,
    images: &[TrainImage],
    chosen: &[usize],
    held_out: bool,
) -> Result<Option<Threshold>> {
    let mut simulation = simulation.clone();
    simulation.p_clean = 0.0;
    let wanted = config.calibration.images.min(chosen.len());
    // Evenly spaced, because neighbouring files are near-duplicates.
    let picked: Vec<usize> = (0..wanted).map(|i| chosen[i * chosen.len() / wanted]).collect();
    let mut shown: Vec<(RgbImage, bool)> = Vec::new();
    for (index, &image) in picked.iter().enumerate() {
        // An epoch that no training reaches: these anomalies are new to the networks.
        let stream = Stream {
            seed: config.seed,
            epoch: u64::MAX,
            index: index as u64,
        };
        let normal = &images[image].image;
        let sample = simulation.sample(normal, stream);
        shown.push((normal.clone(), false));
        if sample.kind.is_some() {
            shown.push((to_bytes(&sample.image), true));
        }
    }
    let labels: Vec<bool> = shown.iter().map(|(_, anomalous)| *anomalous).collect();
    let simulated = labels.iter().filter(|anomalous| **anomalous).count();
    if simulated == 0 {
        return Ok(None);
    }
    let mut scores = Vec::with_capacity(shown.len());
    for chunk in shown.chunks(config.evaluation.batch.max(1)) {
        let images: Vec<&RgbImage> = chunk.iter().map(|(image, _)| image).collect();
        scores.extend(
            detector
                .detect(&images)?
                .into_iter()
                .map(|detection| detection.score),
        );
    }
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
    Ok(Some(Threshold {
        score,
        f1: best.f1,
        normal: picked.len(),
        simulated,
        held_out,
    }))
}
