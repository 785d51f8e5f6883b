//! What methods that pass once over the images have in common.

use flawforge_augment::{Parameters, Sample};
use flawforge_datasets::TrainImage;
use flawforge_masks::Mask;

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

/// The images as they are, for a part of a batch.
pub(super) fn unchanged(images: &[&TrainImage]) -> Result<Part> {
    let mut part = Part::default();
    for (image, pixels) in images.iter().zip(decoded(images)?) {
        let normal = flawforge_augment::to_float(&pixels);
        part.names.push(image.name.clone());
        part.samples.push(Sample {
            image: normal.clone(),
            mask: Mask::empty(normal.width(), normal.height()),
            normal,
            kind: None,
            parameters: Parameters::new(),
        });
    }
    Ok(part)
}
