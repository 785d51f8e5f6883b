//! A cell of a sweep: one method trained and scored on one category with one seed, ending in one atomic `result.json`.

use anyhow::{Context, Result, anyhow};
use flawforge::fault::without_controls;
use flawforge::files;
use flawforge::metrics::Scores;
use flawforge::training::Method;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Which cell: the key of its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellKey {
    /// The method.
    pub method: Method,
    /// The category's folder name.
    pub category: String,
    /// Seed of the run.
    pub seed: u64,
}

impl CellKey {
    /// `METHOD-CATEGORY-sSEED`.
    pub fn name(&self) -> String {
        format!("{}-{}-s{}", self.method, self.category, self.seed)
    }

    /// What names of cells of this method and seed begin and end with.
    pub fn affixes(&self) -> (String, String) {
        (format!("{}-", self.method), format!("-s{}", self.seed))
    }

    /// The cell's folder below the sweep's output folder.
    pub fn dir(&self, out: &Path) -> PathBuf {
        out.join("cells").join(self.name())
    }
}

/// What a finished cell says. Scores are fractions in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// The method.
    pub method: Method,
    /// The category's folder name.
    pub category: String,
    /// Seed of the run.
    pub seed: u64,
    /// Profile that gave the budget.
    pub profile: String,
    /// Optimiser steps taken.
    pub steps: u64,
    /// Seconds spent in training, summed over interruptions.
    pub train_seconds: f64,
    /// All metrics on the test images, flat among the other fields of the JSON.
    #[serde(flatten)]
    pub scores: Scores,
    /// Pixel metrics inside the method's center crop only; absent if the method sees whole images.
    #[serde(default, rename = "native", skip_serializing_if = "Option::is_none")]
    pub scores_in_view: Option<Scores>,
    /// Side of the square input, pixels.
    pub image_size: u32,
    /// Normal images trained on.
    pub train_images: usize,
    /// Test images scored.
    pub test_images: usize,
    /// Where images came from.
    pub data: String,
    /// Where textures came from.
    pub textures: String,
    /// SHA-256 of all settings that decide the metrics, selection included.
    pub config_hash: String,
}

/// What a cell is made from; a finished cell counts only when it was made from the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// SHA-256 of all settings that decide the metrics, selection included.
    pub config_hash: String,
    /// Where images come from.
    pub data: String,
    /// Where textures come from.
    pub textures: String,
}

/// What a cell's folder holds.
#[derive(Debug, PartialEq)]
pub enum State {
    /// No result.
    Absent,
    /// The result that is wanted.
    Finished(Box<CellResult>),
    /// A result of the same data and textures with other settings.
    Otherwise(Box<CellResult>),
    /// A result of other data or textures, in a sentence.
    Elsewhere(String),
}

/// Reads the result of a finished cell.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn finished(dir: &Path, wanted: &Provenance) -> Result<State> {
    let path = dir.join("result.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(State::Absent),
        Err(e) => return Err(e).with_context(|| format!("{}: cannot be read", path.display())),
    };
    let result: CellResult = serde_json::from_str(&text).map_err(|fault| {
        // The fault may quote names of the file, and these may have line breaks.
        anyhow!(
            "{}: cannot be read as a result; delete the folder to run the cell again: {}",
            path.display(),
            without_controls(&fault.to_string())
        )
    })?;
    if result.data != wanted.data || result.textures != wanted.textures {
        return Ok(State::Elsewhere(format!(
            "{}: was made with other data or textures (data {}, textures {}); choose another --out or delete it",
            path.display(),
            result.data,
            result.textures,
        )));
    }
    let result = Box::new(result);
    Ok(if result.config_hash == wanted.config_hash {
        State::Finished(result)
    } else {
        State::Otherwise(result)
    })
}

/// Writes the result that marks the cell as finished.
///
/// # Errors
/// When the file cannot be written.
pub fn finish(dir: &Path, result: &CellResult) -> Result<()> {
    let text = serde_json::to_string_pretty(result)?;
    Ok(files::write(&dir.join("result.json"), text.as_bytes())?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flawforge::metrics::Metric;

    /// A result whose metrics are all `score`.
    pub(crate) fn result(method: Method, category: &str, seed: u64, score: f64) -> CellResult {
        CellResult {
            method,
            category: category.into(),
            seed,
            profile: "smoke".into(),
            steps: 1,
            train_seconds: 2.0,
            scores: Metric::ALL.iter().map(|&metric| (metric, score)).collect(),
            scores_in_view: None,
            image_size: 64,
            train_images: 3,
            test_images: 4,
            data: "test".into(),
            textures: "test".into(),
            config_hash: "h".into(),
        }
    }

    #[test]
    fn a_result_is_read_back_and_guards_its_settings() {
        let out = tempfile::tempdir().unwrap();
        let key = CellKey {
            method: Method::Draem,
            category: "bottle".into(),
            seed: 3,
        };
        let dir = key.dir(out.path());
        assert!(dir.ends_with("cells/draem-bottle-s3"));
        let from = |hash: &str, data: &str| Provenance {
            config_hash: hash.into(),
            data: data.into(),
            textures: "test".into(),
        };
        assert_eq!(finished(&dir, &from("h", "test")).unwrap(), State::Absent);
        let saved = result(Method::Draem, "bottle", 3, 0.5);
        fs::create_dir_all(&dir).unwrap();
        finish(&dir, &saved).unwrap();
        assert_eq!(
            finished(&dir, &from("h", "test")).unwrap(),
            State::Finished(Box::new(saved))
        );
        let text = fs::read_to_string(dir.join("result.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["method"], &json["pixel_ap_half"]),
            (&"draem".into(), &0.5.into())
        );
        assert!(matches!(
            finished(&dir, &from("g", "test")).unwrap(),
            State::Otherwise(_)
        ));
        let State::Elsewhere(other) = finished(&dir, &from("h", "elsewhere")).unwrap() else {
            panic!("other data are another experiment");
        };
        assert!(
            other.contains("other data") && other.contains("result.json"),
            "{other}"
        );
        fs::write(dir.join("result.json"), "{\"method\":").unwrap();
        assert!(
            finished(&dir, &from("h", "test"))
                .unwrap_err()
                .to_string()
                .contains("cannot be read as a result")
        );
        // Found by fuzzing: a name of a metric with a line break.
        fs::write(dir.join("result.json"), r#"{"native": {"a\nb": 1.0}}"#).unwrap();
        let quoted = finished(&dir, &from("h", "test")).unwrap_err().to_string();
        assert!(quoted.contains(r"`a\x0ab`") && !quoted.contains('\n'), "{quoted}");
        assert_eq!(
            fs::read_dir(&dir).unwrap().count(),
            1,
            "no temporary file stays behind"
        );
    }
}
