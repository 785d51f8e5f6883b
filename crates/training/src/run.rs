//! A run's directory: where its files lie, and how a trained detector is opened.
//!
//! ```text
//! RUN/config.toml              settings, complete
//! RUN/checkpoint.safetensors   everything a run needs to go on or to detect
//! RUN/metrics.jsonl            losses
//! RUN/panels/step-000100.png   what the networks saw and said
//! RUN/threshold.json           threshold of verdicts, after the last step
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use flawforge_augment::Selection;
use flawforge_datasets::Loading;
use flawforge_models::Detector;
use flawforge_ops::Precision;

use crate::assembly::{Subject, detector_for, device_for, loading_for};
use crate::calibrate::Threshold;
use crate::checkpoint::{self, Header};
use crate::config::Config;
use crate::device::default_device;
use crate::error::{Result, TrainingError};

/// The files of a run directory.
#[derive(Debug, Clone)]
pub struct RunFiles {
    root: PathBuf,
}

impl RunFiles {
    /// The files of the run in `root`, whether they exist or not.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }
    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }
    /// `checkpoint.safetensors`.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint.safetensors")
    }
    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }
    /// `threshold.json`.
    pub fn threshold(&self) -> PathBuf {
        self.root.join("threshold.json")
    }
    /// `panels`.
    pub fn panels(&self) -> PathBuf {
        self.root.join("panels")
    }
}

/// A run that was trained, at least up to its first checkpoint.
pub struct Run {
    files: RunFiles,
    header: Header,
    tensors: HashMap<String, Tensor>,
    threshold: Option<Threshold>,
    device: Device,
}

impl Run {
    /// Opens the run in `run_dir` on the [default device](crate::default_device).
    ///
    /// # Errors
    /// If there is no checkpoint, or it is damaged.
    pub fn open(run_dir: &Path) -> Result<Self> {
        Self::open_on(run_dir, &default_device())
    }

    /// Opens the run in `run_dir` on a device.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(run_dir: &Path, device: &Device) -> Result<Self> {
        let files = RunFiles::new(run_dir);
        if !files.checkpoint().is_file() {
            return Err(TrainingError::RunDirectory {
                path: run_dir.to_path_buf(),
                fault: "has no checkpoint.safetensors; train first".to_owned(),
            });
        }
        let (header, mut tensors) = checkpoint::read(&files.checkpoint(), device)?;
        header.config.validate()?;
        let suited = device_for(&header.config, device);
        if !suited.same_device(device) {
            for tensor in tensors.values_mut() {
                *tensor = tensor.to_device(&suited)?;
            }
        }
        let threshold = if header.step == header.total_steps {
            read_threshold(&files)?
        } else {
            None
        };
        Ok(Self {
            files,
            header,
            tensors,
            threshold,
            device: suited,
        })
    }

    /// The detector with the weights of the checkpoint, in the precision of the settings.
    ///
    /// # Errors
    /// If the weights do not fit the settings.
    pub fn detector(&self) -> Result<Box<dyn Detector>> {
        self.detector_in(self.config().precision)
    }

    /// As [`detector`](Self::detector), in another precision. f32 stands in for bfloat16 on a processor that has no instructions
    /// for it.
    ///
    /// # Errors
    /// As there.
    pub fn detector_in(&self, precision: Precision) -> Result<Box<dyn Detector>> {
        if self.device.is_cpu() && !precision.is_served_here() {
            log::info!("this processor has no instructions for bfloat16: detecting in f32");
        }
        let _precision = precision.scope();
        detector_for(&self.header.config, self.subject(), &self.tensors, &self.device)
            .map_err(|fault| TrainingError::checkpoint(&self.files.checkpoint(), fault.to_string()))
    }

    /// The sizes and the filter by which images are to be loaded.
    pub fn loading(&self) -> Loading {
        loading_for(&self.header.config, self.subject())
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            category: &self.header.category,
            selection: &self.header.selection,
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.header.config
    }

    /// Name of the category that was trained on.
    pub fn category(&self) -> &str {
        &self.header.category
    }

    /// The selection that anomalies were simulated by.
    pub fn selection(&self) -> &Selection {
        &self.header.selection
    }

    /// Steps that were done.
    pub fn step(&self) -> u64 {
        self.header.step
    }

    /// Steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.header.total_steps
    }

    /// The threshold of verdicts, if the training is finished and one was found.
    pub fn threshold(&self) -> Option<&Threshold> {
        self.threshold.as_ref()
    }

    /// The files of the run.
    pub fn files(&self) -> &RunFiles {
        &self.files
    }
}

/// Reads `threshold.json`, if there is one.
pub(crate) fn read_threshold(files: &RunFiles) -> Result<Option<Threshold>> {
    let path = files.threshold();
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|fault| TrainingError::SettingsText {
                origin: path.display().to_string(),
                fault: fault.to_string(),
            }),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(TrainingError::io(&path)(fault)),
    }
}
