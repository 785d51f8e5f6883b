//! A picture of what the networks see and say of simulated samples, drawn now and then during training.

use flawforge_augment::{Sample, to_bytes};
use flawforge_models::{Detector, ModelError};
use image::RgbImage;

use crate::{Cell, ContactSheet, HeatMap, SIDE, Scale, mask_image};

/// Rows of a grid, at most.
const ROWS: usize = 4;

/// Draws some samples of a batch, those with an anomaly first: input, reconstruction, anomaly map, mask. `names` are those
/// of the samples' normal images, in the same order. Scores from 0 to 1 span the colours of the maps.
///
/// # Errors
/// If the detector cannot take the samples, which must be of its input size, or fails.
pub fn training_grid(
    detector: &dyn Detector,
    samples: &[Sample],
    names: &[String],
    title: &str,
) -> Result<RgbImage, ModelError> {
    let mut order: Vec<(&Sample, &String)> = samples.iter().zip(names).collect();
    order.sort_by_key(|(sample, _)| sample.kind.is_none());
    order.truncate(ROWS);
    let inputs: Vec<RgbImage> = order.iter().map(|(sample, _)| to_bytes(&sample.image)).collect();
    let detections = detector.detect(&inputs.iter().collect::<Vec<_>>())?;
    let mut sheet = ContactSheet::new(&["input", "reconstruction", "anomaly map", "mask"]);
    sheet.side = Some(SIDE);
    sheet.title(title);
    for (((sample, name), input), detection) in order.into_iter().zip(inputs).zip(detections) {
        let map = HeatMap {
            scores: &detection.map.scores,
            width: detection.map.width,
            height: detection.map.height,
            scale: Scale::UNIT,
        };
        let kind = sample
            .kind
            .map_or_else(|| "clean".to_owned(), |kind| kind.to_string());
        let (width, height) = input.dimensions();
        let reconstruction = detection
            .reconstruction
            .unwrap_or_else(|| RgbImage::new(width, height));
        let cells = [
            Cell::from(input),
            Cell::from(reconstruction),
            Cell::new(map.colors(), format!("score {:.3}", detection.score)),
            Cell::from(mask_image(&sample.mask.to_luma8())),
        ];
        sheet.row(format!("{name} {kind}"), cells);
    }
    Ok(sheet.render())
}
