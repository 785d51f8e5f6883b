//! Pictures of what the networks see and say, now and then during training.

use std::path::Path;

use flawforge_augment::to_bytes;
use flawforge_models::Detector;
use image::{ImageFormat, RgbImage};

use crate::atomic;
use crate::fit::Batch;
use crate::error::{Result, TrainingError};
use crate::sheet::{Cell, HeatMap, Scale, Sheet, mask_image};

/// Rows of a panel, at most.
const ROWS: usize = 4;
/// Side of an image in pixels.
const SIDE: u32 = 128;

/// Draws some samples of a batch, those with an anomaly first: input, reconstruction, anomaly map, mask.
pub(crate) fn panel(detector: &dyn Detector, batch: &Batch, title: String) -> Result<RgbImage> {
    // The last part is the one whose masks are learnt.
    let Some(part) = batch.parts.last() else {
        return Ok(Sheet::new::<&str>(&[]).render());
    };
    let mut order: Vec<usize> = (0..part.samples.len()).collect();
    order.sort_by_key(|&index| part.samples[index].kind.is_none());
    order.truncate(ROWS);
    let inputs: Vec<RgbImage> = order
        .iter()
        .map(|&index| to_bytes(&part.samples[index].image))
        .collect();
    let detections = detector.detect(&inputs.iter().collect::<Vec<_>>())?;
    let mut sheet = Sheet::new(&["input", "reconstruction", "anomaly map", "mask"]);
    // Enlarged by whole pixels, small images stay honest and captions fit; large ones are reduced.
    sheet.side = Some(SIDE);
    sheet.title(title);
    for ((index, input), detection) in order.into_iter().zip(inputs).zip(detections) {
        let sample = &part.samples[index];
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
            Cell::new(map.colours(), format!("score {:.3}", detection.score)),
            Cell::from(mask_image(&sample.mask.to_luma8())),
        ];
        sheet.row(format!("{} {kind}", part.names[index]), cells);
    }
    Ok(sheet.render())
}

/// Writes a picture as PNG, atomically.
///
/// # Errors
/// If it cannot be encoded or written.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|source| TrainingError::Image {
            path: path.to_path_buf(),
            source,
        })?;
    atomic::write(path, bytes.get_ref())
}
