//! A cell of a sweep: one method trained and scored on one category with one seed, ending in one atomic `result.json`.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which cell: the key of its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellKey {
    /// The method's name on the command line.
    pub method: String,
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

    /// The cell's folder below the sweep's output folder.
    pub fn dir(&self, out: &Path) -> PathBuf {
        out.join("cells").join(self.name())
    }
}

/// What a finished cell says. Scores are fractions in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// The method's name on the command line.
    pub method: String,
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
    /// Image AUROC.
    pub image_auroc: f64,
    /// Image average precision.
    pub image_ap: f64,
    /// Pixel AUROC, ground truth by DRAEM's rule.
    pub pixel_auroc: f64,
    /// Pixel average precision, ground truth by DRAEM's rule.
    pub pixel_ap: f64,
    /// Area under the per-region overlap up to 30 % false positives.
    pub aupro: f64,
    /// Pixel AUROC where a pixel is anomalous from half its ground-truth value on.
    pub pixel_auroc_half: f64,
    /// Pixel average precision under the same rule.
    pub pixel_ap_half: f64,
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
    /// SHA-256 of all settings that decide the figures, selection included.
    pub config_hash: String,
}

/// Reads the result of a finished cell; `None` when the cell is not finished.
///
/// # Errors
/// When the file is there but cannot be read, or belongs to another configuration than `config_hash`.
pub fn finished(dir: &Path, config_hash: &str) -> Result<Option<CellResult>> {
    let path = dir.join("result.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("{}: cannot be read", path.display())),
    };
    let result: CellResult = serde_json::from_str(&text)
        .with_context(|| format!("{}: not a result; delete the folder to run the cell again", path.display()))?;
    if result.config_hash != config_hash {
        bail!(
            "{}: was made with other settings (profile {}, {} px, data {}, textures {}); choose another --out or delete it",
            path.display(),
            result.profile,
            result.image_size,
            result.data,
            result.textures,
        );
    }
    Ok(Some(result))
}

/// Writes the result that marks the cell as finished.
///
/// # Errors
/// When the file cannot be written.
pub fn finish(dir: &Path, result: &CellResult) -> Result<()> {
    write_atomically(&dir.join("result.json"), serde_json::to_string_pretty(result)?.as_bytes())
}

/// Writes a file so that it is either absent, old, or complete: temporary file in the same folder, fsync, rename.
///
/// # Errors
/// When any of these steps fails; the error names the file.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> Result<()> {
        let dir = path.parent().context("has no folder")?;
        fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(dir)?.sync_all()?;
        Ok(())
    };
    write().with_context(|| format!("{}: cannot be written", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A result whose five scores are all `score`.
    pub(crate) fn result(method: &str, category: &str, seed: u64, score: f64) -> CellResult {
        CellResult {
            method: method.into(),
            category: category.into(),
            seed,
            profile: "smoke".into(),
            steps: 1,
            train_seconds: 2.0,
            image_auroc: score,
            image_ap: score,
            pixel_auroc: score,
            pixel_ap: score,
            aupro: score,
            pixel_auroc_half: score,
            pixel_ap_half: score,
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
        let key = CellKey { method: "draem".into(), category: "bottle".into(), seed: 3 };
        let dir = key.dir(out.path());
        assert!(dir.ends_with("cells/draem-bottle-s3"));
        assert_eq!(finished(&dir, "h").unwrap(), None);
        let saved = result("draem", "bottle", 3, 0.5);
        finish(&dir, &saved).unwrap();
        assert_eq!(finished(&dir, "h").unwrap(), Some(saved));
        let other = finished(&dir, "g").unwrap_err().to_string();
        assert!(other.contains("other settings") && other.contains("result.json"), "{other}");
        fs::write(dir.join("result.json"), "{\"method\":").unwrap();
        assert!(finished(&dir, "h").unwrap_err().to_string().contains("not a result"));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no temporary file stays behind");
    }
}
