//! What methods that pass once over the images have in common.

use flawforge_augment::{Parameters, Photometric, Sample, SimulationSettings, Stream};
use flawforge_datasets::TrainImage;
use flawforge_masks::Mask;
use image::RgbImage;
use rayon::prelude::*;

use super::Frame;
use crate::error::{Result, TrainingError};
use crate::recipe::{Part, decoded};
use crate::settings::Intervals;

/// More steps than any pass over images takes.
const NEVER: u64 = 1_000_000;

/// Nothing to look at on the way, and no checkpoint before the end, because what has been collected by then is large and
/// quickly collected again.
pub(super) fn intervals() -> Intervals {
    Intervals {
        log: 10,
        checkpoint: NEVER,
        panel: 0,
    }
}

/// Refuses pictures on the way.
pub(super) fn check_panels(frame: &Frame<'_>, method: &str) -> Result<()> {
    if frame.every.panel > 0 {
        let fault = format!("must be 0: {method} has nothing to show before the end");
        return Err(TrainingError::setting("every.panel", fault));
    }
    Ok(())
}

/// Copies of normal images in another light, for memory banks: one of each (proposal).
#[derive(Clone, Copy, Debug)]
pub(super) struct Relit {
    light: Photometric,
    seed: u64,
    /// Whether images tell a region of interest.
    inside: bool,
}

impl Relit {
    /// How copies are made where the light of normal images varies.
    pub(super) fn of(simulation: &SimulationSettings, frame: &Frame<'_>) -> Option<Self> {
        let light = simulation.light.filter(|light| light.probability > 0.0)?;
        Some(Self {
            light,
            seed: frame.seed,
            inside: frame.inside,
        })
    }

    /// The copy of the image of a number, the same for the same number.
    pub(super) fn copy(&self, image: &RgbImage, number: u64) -> RgbImage {
        let stream = Stream {
            index: number,
            ..Stream::of_run(self.seed)
        };
        self.light
            .changed(image, self.inside, &mut stream.rng("relit copy"))
    }

    /// Copies of the images of these numbers, for a part of a batch.
    pub(super) fn copies(&self, images: &[(usize, &TrainImage)]) -> Result<Part> {
        let pixels = decoded(&images.iter().map(|(_, image)| *image).collect::<Vec<_>>())?;
        let copies = images.par_iter().zip(&pixels);
        let samples = copies.map(|((number, _), image)| sample(&self.copy(image, *number as u64)));
        Ok(Part {
            samples: samples.collect(),
            names: images.iter().map(|(_, image)| image.name.clone()).collect(),
            labels: Vec::new(),
        })
    }
}

/// The images of these positions as they are, each once; where the light varies a second part holds a copy of each.
pub(super) fn normals(images: &[TrainImage], chosen: &[usize], relit: Option<&Relit>) -> Result<Vec<Part>> {
    let chosen: Vec<(usize, &TrainImage)> = chosen.iter().map(|&place| (place, &images[place])).collect();
    let plain: Vec<&TrainImage> = chosen.iter().map(|(_, image)| *image).collect();
    let mut parts = vec![Part {
        samples: decoded(&plain)?.iter().map(|image| sample(image)).collect(),
        names: plain.iter().map(|image| image.name.clone()).collect(),
        labels: Vec::new(),
    }];
    if let Some(relit) = relit {
        parts.push(relit.copies(&chosen)?);
    }
    Ok(parts)
}

/// An image without an anomaly.
fn sample(image: &RgbImage) -> Sample {
    Sample {
        normal: image.clone(),
        image: flawforge_augment::to_float(image),
        mask: Mask::empty(image.width(), image.height()),
        kind: None,
        parameters: Parameters::new(),
    }
}
