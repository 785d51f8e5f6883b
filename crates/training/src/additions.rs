//! Normal images that are added to a run after its training, without another one.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use flawforge_datasets::{Appearance, Category, TrainImage};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::fit::{Addition, Calibrated, CalibrationScore, Origin, check_images, write_checkpoint};
use crate::run::Run;
use crate::run_files::RunFiles;

/// What became of images that were to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// Images that were added.
    pub added: usize,
    /// Images that the run, or another of these images, has already: their pixels are equal.
    pub known: usize,
    /// Vectors that the banks of the new run have more than those of the old.
    pub vectors: usize,
    /// The unseen scores of the added images, in their order, if the old run was calibrated: each by banks that were not given it.
    pub scores: Vec<CalibrationScore>,
    /// What decision thresholds are found on from now on, if the old run was calibrated.
    pub calibrated: Option<Calibrated>,
}

/// Adds the normal images of `category` to what `run` knows, and leaves the new run in `run_dir`; `run` stays as it is. `place` is
/// where the images come from, kept in the new run.
///
/// The images are to be loaded by [`Run::loading`]. Those that the run knows already are passed over. Memory banks get vectors
/// where the images are farther from them than normal ones usually are. Each added image is scored by banks that were not given
/// it, and these scores join those that calibrate the run: earlier images keep theirs, which are now too high if anything, since a
/// larger bank is nowhere farther; so do simulated anomalies.
///
/// # Errors
/// A training that is not finished, a method without memory banks, images of another size or all known, a `run_dir` that holds a run.
pub fn add_normals(run: &Run, category: &Category, place: &str, run_dir: &Path) -> Result<Added> {
    let unfit = |fault: String| TrainingError::RunDirectory {
        path: run.file().to_path_buf(),
        fault,
    };
    let data_error = |fault: String| TrainingError::Data {
        category: category.name.clone(),
        fault,
    };
    let files = RunFiles::new(run_dir);
    if files.checkpoint().exists() || files.model().exists() {
        return Err(TrainingError::RunDirectory {
            path: run_dir.to_path_buf(),
            fault: "already holds a run; choose another folder".to_owned(),
        });
    }
    if run.step() < run.total_steps() {
        return Err(unfit("its training is not finished".to_owned()));
    }
    check_images(category, run.experiment()).map_err(data_error)?;
    let mut header = run.header().clone();
    let mut seen: HashSet<String> = header.data.each.iter().cloned().collect();
    let mut new: Vec<(&TrainImage, String)> = Vec::new();
    for image in &category.train {
        let digest = image.look().short_digest();
        if seen.insert(digest.clone()) {
            new.push((image, digest));
        }
    }
    let known = category.train.len() - new.len();
    if new.is_empty() {
        return Err(data_error(format!(
            "all {known} normal images are known to {}; there is nothing to add",
            run.file().display()
        )));
    }
    let first = u32::try_from(header.data.each.len())
        .map_err(|_| data_error("the run has too many images".to_owned()))?;
    let images: Vec<&TrainImage> = new.iter().map(|&(image, _)| image).collect();
    let recipe = run.recipe();
    let mut recipe = recipe.map_err(|fault| TrainingError::checkpoint(run.file(), fault.to_string()))?;
    let learned = recipe.add_normals(&images, first)?.ok_or_else(|| {
        let method = run.experiment().method;
        unfit(format!(
            "{method} has no memory bank that images could be added to; train anew on all of them"
        ))
    })?;
    let mut scores = Vec::new();
    if let Some(calibrated) = &mut header.calibrated {
        let unseen = learned.unseen.iter().filter_map(|one| {
            Some(CalibrationScore {
                image: images.get(one.place.checked_sub(first as usize)?)?.name.clone(),
                kind: None,
                share: None,
                score: one.score,
                pixel: one.pixel,
            })
        });
        scores = unseen.collect();
        unite(calibrated, scores.clone());
    }
    let mut digest = Sha256::new();
    digest.update(&header.data.images);
    for (image, own) in &new {
        digest.update(format!("\n{} {own}", image.name));
    }
    header.data.images = hex::encode(digest.finalize());
    header.data.each.extend(new.iter().map(|(_, own)| own.clone()));
    let looks: Vec<_> = images.iter().map(|image| (image.look(), image.size)).collect();
    let also = Appearance::of(looks.iter().map(|(look, size)| (look, *size)));
    header.data.appearance = match (header.data.appearance.take(), also) {
        (Some(earlier), Some(also)) => Some(earlier.or(also)),
        (earlier, also) => earlier.or(also),
    };
    header.additions.push(Addition {
        run: run.file().display().to_string(),
        tensors: run.header().digest().to_owned(),
        place: place.to_owned(),
        images: images.iter().map(|image| image.name.clone()).collect(),
        known,
    });
    fs::create_dir_all(run_dir).map_err(TrainingError::io(run_dir))?;
    let _occupied = flawforge_files::occupy(run_dir, "training").map_err(TrainingError::Write)?;
    flawforge_files::remove_leftovers(run_dir);
    let settings = run.experiment().to_toml()?;
    flawforge_files::write(&files.config(), settings.as_bytes()).map_err(TrainingError::Write)?;
    write_checkpoint(&files.checkpoint(), &header, &recipe.state()?)?;
    Ok(Added {
        added: images.len(),
        known,
        vectors: learned.vectors,
        scores,
        calibrated: header.calibrated,
    })
}

/// Puts the scores of further unseen normal images behind those of the earlier ones.
fn unite(calibrated: &mut Calibrated, added: Vec<CalibrationScore>) {
    let normal = calibrated.scores.iter().filter(|one| one.kind.is_none()).count();
    if calibrated.origin == Origin::Trained {
        // The earlier ones were trained on, so that the whole says no more than they do.
        log::warn!(
            "the run's scores of normal images are of images that it was trained on; those of the added ones are not"
        );
    }
    let normal = normal.min(calibrated.scores.len());
    calibrated.scores.splice(normal..normal, added);
}
