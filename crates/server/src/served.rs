//! A run that is served: what detects, what judges, how its images are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flawforge_datasets::{Appearance, PixelScale};
use flawforge_models::Detector;
use flawforge_training::settings::Region;
use flawforge_training::{Judge, Run};
use image::RgbImage;

use crate::ServerError;
use crate::facts::Facts;

/// What is made of a run before it is served.
pub struct Prepared {
    /// What detects.
    pub detector: Arc<dyn Detector>,
    /// What makes scores into verdicts.
    pub judge: Judge,
}

/// How a run is prepared, when the server starts and when it was replaced; a fault is one line.
pub type Prepare = dyn Fn(&Run) -> Result<Prepared, String> + Send + Sync;

impl Prepared {
    /// As the run's own settings ask: precision, thresholds, regions of any size.
    ///
    /// # Errors
    /// If the weights do not fit the settings, or no thresholds can be found.
    pub fn of(run: &Run) -> Result<Self, String> {
        let said = |fault: flawforge_training::TrainingError| fault.to_string();
        let decision = run.decision(&run.rule()).map_err(said)?;
        Ok(Self {
            detector: run.detector().map_err(said)?.into(),
            judge: Judge::new(decision, None, None, 1),
        })
    }
}

/// Where a run lies, what it is called, and how it is prepared.
#[derive(Clone)]
pub struct Source {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) prepare: Arc<Prepare>,
}

impl Source {
    /// A run called after its folder.
    ///
    /// # Errors
    /// A folder whose name cannot be part of an address.
    pub fn new(path: &Path, prepare: Arc<Prepare>) -> Result<Self, ServerError> {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        // The files of a run's folder are called the same in all of them.
        let own = ["checkpoint.safetensors", "model.safetensors"].map(Some);
        let file = whole.file_name().and_then(|name| name.to_str());
        let named = match own.contains(&file) {
            true => whole.parent().and_then(Path::file_name),
            false if whole.is_file() => whole.file_stem(),
            false => whole.file_name(),
        };
        let name = named.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self::named(&name, path, prepare)
    }

    /// A run under a name: letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// Another name.
    pub fn named(name: &str, path: &Path, prepare: Arc<Prepare>) -> Result<Self, ServerError> {
        let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        // Clients take "." and ".." out of addresses.
        if name.is_empty() || !name.chars().all(fits) || name.chars().all(|c| c == '.') {
            return Err(ServerError::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.to_path_buf(),
            prepare,
        })
    }
}

/// A run in memory.
pub(crate) struct Served {
    pub(crate) detector: Arc<dyn Detector>,
    pub(crate) judge: Judge,
    pub(crate) scale: PixelScale,
    pub(crate) appearance: Option<Appearance>,
    /// Images that are scored together, at most.
    pub(crate) batch: usize,
    pub(crate) facts: Facts,
}

impl Served {
    /// Loads a run and has it score an image, so that whatever is wrong with it is found before it is asked.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub(crate) fn open(source: &Source) -> Result<Self, String> {
        let run = Run::open(&source.path).map_err(|fault| fault.to_string())?;
        if run.experiment().region == Region::EachImage {
            return Err(
                "each image of it has a region of interest of its own, which no request tells".to_owned(),
            );
        }
        let Prepared { detector, judge } = (source.prepare)(&run)?;
        let (width, height) = detector.input_size();
        let grey = detector.prepare(&RgbImage::from_pixel(width, height, image::Rgb([128; 3])));
        detector.detect(&[&grey]).map_err(|fault| fault.to_string())?;
        Ok(Self {
            scale: run.pixel_scale(),
            appearance: run.appearance().cloned(),
            batch: run.experiment().evaluation.batch.max(1),
            facts: Facts::of(&source.name, &run, detector.as_ref(), &judge),
            detector,
            judge,
        })
    }

    /// Whether it gives verdicts.
    pub(crate) fn judges(&self) -> bool {
        self.judge.threshold().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path) -> Result<Source, ServerError> {
        Source::new(path, Arc::new(Prepared::of))
    }

    #[test]
    fn a_run_is_called_after_its_folder_or_as_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("bolt-2");
        std::fs::create_dir(&run).unwrap();
        let file = run.join("checkpoint.safetensors");
        std::fs::write(&file, "").unwrap();
        let alone = dir.path().join("nut.safetensors");
        std::fs::write(&alone, "").unwrap();
        let name = |path: &Path| source(path).unwrap().name;
        assert_eq!(
            [name(&run), name(&file), name(&alone)],
            ["bolt-2", "bolt-2", "nut"]
        );
        let named = |name: &str| Source::named(name, &run, Arc::new(Prepared::of)).is_ok();
        assert!(named("größe_1.a"));
        for bad in ["", "a b", "a/b", "..", "a?", "a%"] {
            assert!(!named(bad), "{bad}");
        }
    }
}
