//! Calibration of a detector that was not trained here, on normal images that a person gives.

use std::path::Path;
use std::sync::Arc;

use flawforge_augment::TextureSource;
use flawforge_datasets::Category;
use flawforge_models::Detector;

use super::calibrate::{Calibrated, Normals, Origin, calibrate};
use super::checkpoint::DataDigests;
use super::plan::digests;
use super::unusual;
use crate::decision::Rule;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::recipe::Highest;
use crate::run_files::RunFiles;

/// What was found on the images.
pub(crate) struct Given {
    /// Digests and looks of the images.
    pub(crate) data: DataDigests,
    /// The scores.
    pub(crate) calibrated: Calibrated,
    /// The most unusual images.
    pub(crate) highest: Highest,
}

/// Scores the normal images, all of which are [assumed](Origin::Assumed) to be unseen, and anomalies that are simulated on them.
///
/// # Errors
/// No images; images that cannot be read; textures of another size.
pub(crate) fn calibrate_given(
    experiment: &Experiment,
    detector: &dyn Detector,
    category: &Category,
    textures: Arc<dyn TextureSource>,
) -> Result<Given> {
    let data = digests(category, textures.as_ref(), experiment.image_size)?;
    let all: Vec<usize> = (0..category.train.len()).collect();
    let mut highest = Highest::default();
    let calibrated = calibrate(
        experiment,
        detector,
        &experiment.anomalies(category, textures),
        &Normals {
            images: &category.train,
            chosen: &all,
            origin: Origin::Assumed,
            unseen: &[],
        },
        &mut highest,
    )?;
    let calibrated = calibrated.ok_or_else(|| TrainingError::Data {
        category: category.name.clone(),
        fault: "has no normal images to calibrate on".to_owned(),
    })?;
    Ok(Given {
        data,
        calibrated,
        highest,
    })
}

/// Draws the most unusual images into the folder of the run; a picture for people is no reason to lose what was computed.
pub(crate) fn draw_unusual(
    run: &Path,
    experiment: &Experiment,
    category: &Category,
    highest: &Highest,
    calibrated: &Calibrated,
) {
    let (path, rule) = (RunFiles::new(run).unusual(), Rule::of(&experiment.calibration));
    if let Err(fault) = unusual::write(&path, &category.train, highest, calibrated, &rule) {
        log::warn!("{}: {fault}", path.display());
    }
}
