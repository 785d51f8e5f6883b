//! A trained cell's metrics on the simulated dataset, kept beside its `result.json`.

use super::set::{KINDS, SetSettings, SimulatedSet};
use crate::cell::{CellKey, Provenance};
use anyhow::{Context, Result, bail};
use flawforge::augment::Kind;
use flawforge::datasets::{Limits, Loading, TestImage};
use flawforge::files;
use flawforge::metrics::Scores;
use flawforge::models::Detector;
use flawforge::training::settings::Evaluated;
use flawforge::training::{Method, Scorer};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The metrics on one kind of simulated anomaly. Scores are fractions in [0, 1], absent where no anomaly of the kind could
/// be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindScores {
    /// The kind.
    pub kind: Kind,
    /// Normal images.
    pub normal: usize,
    /// Images with an anomaly.
    pub anomalous: usize,
    /// The metrics, flat among the other fields of the JSON.
    #[serde(flatten)]
    pub scores: Scores,
}

/// What `simulated.json` holds: a cell's metrics on every kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimulatedResult {
    /// The method.
    pub method: Method,
    /// The category's folder name.
    pub category: String,
    /// Seed of the run.
    pub seed: u64,
    /// The cell's own hash: which detector was scored.
    pub config_hash: String,
    /// SHA-256 of what the simulated dataset is made by.
    pub set_hash: String,
    /// Where images came from.
    pub data: String,
    /// Where textures came from.
    pub textures: String,
    /// Anomalous versions of each normal image and kind.
    pub draws: u64,
    /// Seed of the simulated dataset.
    pub set_seed: u64,
    /// The metrics, one entry a kind.
    pub kinds: Vec<KindScores>,
}

impl SimulatedResult {
    /// The metrics of one kind.
    pub fn of(&self, kind: Kind) -> Option<&KindScores> {
        self.kinds.iter().find(|scores| scores.kind == kind)
    }
}

const FILE: &str = "simulated.json";

/// Reads a cell's metrics on the simulated dataset; `None` if the cell has not been scored on it.
///
/// # Errors
/// When the file is there but cannot be read, or was made from something else.
pub fn finished(dir: &Path, cell: &Provenance, set: &SetSettings) -> Result<Option<SimulatedResult>> {
    finished_on(dir, cell, &set.hash())
}

/// As [`finished`], by the hash of the simulated dataset's settings.
///
/// # Errors
/// As [`finished`].
pub fn finished_on(dir: &Path, cell: &Provenance, set_hash: &str) -> Result<Option<SimulatedResult>> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("{}: cannot be read", path.display())),
    };
    let result: SimulatedResult = serde_json::from_str(&text).with_context(|| {
        format!(
            "{}: cannot be read as metrics of a simulated dataset; delete it to compute them again",
            path.display()
        )
    })?;
    let same = result.config_hash == cell.config_hash
        && result.data == cell.data
        && result.textures == cell.textures
        && result.set_hash == set_hash;
    if !same {
        bail!(
            "{}: was made with other settings; delete it to compute it again",
            path.display()
        );
    }
    Ok(Some(result))
}

/// Scores a detector on a category's simulated dataset and leaves `simulated.json` in the cell's folder.
///
/// Images are made, scored and dropped a few at a time: only scores are kept.
///
/// # Errors
/// When the detector fails, or the file cannot be written.
pub fn score(
    dir: &Path,
    key: &CellKey,
    cell: &Provenance,
    detector: &dyn Detector,
    set: &SimulatedSet<'_>,
    loading: &Loading,
    settings: &Evaluated,
) -> Result<SimulatedResult> {
    let mut normal = Scorer::new(settings, None)?;
    // Pictures are made once, at the size of the masks; a method that looks at another size has them resized.
    let look = |scorer: &mut Scorer, image: &TestImage| -> Result<()> {
        let resized;
        let picture = match image.image.dimensions() == loading.image.of(image.image.dimensions()) {
            true => &image.image,
            false => {
                resized = loading.shown(&image.image, None, &Limits::default())?;
                &resized
            }
        };
        for detection in detector.detect(&[picture])? {
            scorer.push(image, &detection)?;
        }
        Ok(())
    };
    for image in set.normals() {
        look(&mut normal, image)?;
    }
    let mut kinds = Vec::new();
    for kind in KINDS {
        // The normal images are the same for every kind, and so are their scores.
        let mut scorer = normal.clone();
        let mut anomalous = 0;
        for index in 0..set.normals().len() {
            for image in set.anomalous(kind, index) {
                look(&mut scorer, &image)?;
                anomalous += 1;
            }
        }
        kinds.push(KindScores {
            kind,
            normal: set.normals().len(),
            anomalous,
            scores: scorer.finish()?.scores,
        });
    }
    let made = set.settings();
    let result = SimulatedResult {
        method: key.method,
        category: key.category.clone(),
        seed: key.seed,
        config_hash: cell.config_hash.clone(),
        set_hash: made.hash(),
        data: cell.data.clone(),
        textures: cell.textures.clone(),
        draws: made.draws,
        set_seed: made.seed,
        kinds,
    };
    let text = serde_json::to_string_pretty(&result)?;
    files::write(&dir.join(FILE), text.as_bytes())?;
    Ok(result)
}
