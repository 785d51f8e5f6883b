//! A picture of the normal images that were least like the others: a flawed part among them makes the threshold too high.

use std::path::Path;

use flawforge_datasets::TrainImage;
use flawforge_pictures::{Cell, ContactSheet, HeatMap, Scale, write_png};

use super::{Calibrated, Origin};
use crate::decision::Rule;
use crate::error::{Result, TrainingError};
use crate::recipe::Highest;

/// Longer side of a picture of the sheet, in pixels.
const SIDE: u32 = 192;
/// How much of the image the overlay hides where the score is highest.
const OPACITY: f32 = 0.7;

/// Writes the sheet; nothing where there are no maps. The pixel threshold lies at two thirds of the colours.
///
/// # Errors
/// Images that can no longer be read, a file that cannot be written.
pub(super) fn write(
    path: &Path,
    images: &[TrainImage],
    highest: &Highest,
    calibrated: &Calibrated,
    rule: &Rule,
) -> Result<()> {
    if highest.iter().next().is_none() {
        return Ok(());
    }
    let decision = calibrated.decide(rule)?;
    let scale = Scale {
        low: 0.0,
        high: 1.5 * decision.pixel_threshold.max(f32::MIN_POSITIVE),
    };
    let mut sheet = ContactSheet::new(&["normal image", "heat map", "overlay"]);
    sheet.side = Some(SIDE);
    let by = match calibrated.origin {
        Origin::HeldOut => "by the detector, which was not trained on them",
        Origin::CrossFitted => "each by a short training on others",
        Origin::LeftOut => "each compared with the others alone",
        Origin::Assumed => "by imported weights, which are assumed not to know them",
        Origin::Trained => "by the detector, which was trained on them and may know their flaws",
    };
    sheet.title(format!(
        "Normal images least like the others, {by}. Is one defective? Take it out and train again. Threshold {:.4}.",
        decision.threshold
    ));
    for (place, score, map) in highest.iter() {
        let Some(normal) = images.get(place) else { continue };
        let image = normal.image()?.into_owned();
        let heat = HeatMap {
            scores: &map.scores,
            width: map.width,
            height: map.height,
            scale,
        };
        let (colors, overlay) = (heat.colors(), heat.over(&image, OPACITY));
        let score = format!("score {score:.4}");
        sheet.row(
            normal.name.clone(),
            [Cell::from(image), Cell::new(colors, score), Cell::from(overlay)],
        );
    }
    write_png(path, &sheet.render()).map_err(TrainingError::Write)
}
