//! A trained run: how it is opened, and how it detects and judges.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use flawforge_datasets::{Loading, PixelScale};
use flawforge_models::{AnomalyMap, Detector};
use flawforge_ops::Precision;
use image::RgbImage;

use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::fit::{Calibrated, DataDigests, Header, Places, Threshold, read_checkpoint};
use crate::run_files::RunFiles;

/// A run that was trained, at least up to its first checkpoint.
pub struct Run {
    file: PathBuf,
    header: Header,
    experiment: Experiment,
    tensors: HashMap<String, Tensor>,
    device: Device,
    /// The detector of [`score`](Self::score), made when it is first asked.
    detector: OnceLock<Box<dyn Detector>>,
}

/// Whether an image is anomalous, by the run's decision threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The score is below the threshold.
    Normal,
    /// The score is at least the threshold.
    Anomalous,
}

impl Verdict {
    /// `normal` or `anomalous`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Anomalous => "anomalous",
        }
    }
}

/// What a run says of one image.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The image score: larger is more anomalous.
    pub score: f32,
    /// The anomaly map at the image's own size.
    pub map: AnomalyMap,
    /// The verdict; none where the run has no threshold.
    pub verdict: Option<Verdict>,
}

impl Run {
    /// Opens a run, by its directory or by its checkpoint alone, on the [default device](crate::default_device).
    ///
    /// # Errors
    /// If there is no checkpoint, or it is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_on(path, &default_device())
    }

    /// Opens a run on a device.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(path: &Path, device: &Device) -> Result<Self> {
        let file = checkpoint_of(path)?;
        let (header, tensors) = read_checkpoint(&file, device)?;
        let experiment: Experiment = serde_json::from_value(header.settings.clone())
            .map_err(|error| TrainingError::checkpoint(&file, format!("its settings: {error}")))?;
        experiment.validate()?;
        Ok(Self {
            file,
            header,
            experiment,
            tensors,
            device: device.clone(),
            detector: OnceLock::new(),
        })
    }

    /// Scores an image of any size: score, anomaly map at the image's size, and verdict. The detector is made at the first
    /// call and kept.
    ///
    /// # Errors
    /// If the weights do not fit the settings, or a tensor operation fails.
    pub fn score(&self, image: &RgbImage) -> Result<Scored> {
        let detector = match self.detector.get() {
            Some(detector) => detector,
            None => {
                let made = self.detector()?;
                self.detector.get_or_init(|| made)
            }
        };
        let detection = detector
            .inspect(&[image])?
            .pop()
            .ok_or_else(|| TrainingError::Batches("the detector returned nothing".to_owned()))?;
        Ok(Scored {
            score: detection.score,
            map: detection.map,
            verdict: self.verdict(detection.score),
        })
    }

    /// The verdict on an image score; none where the run has no threshold.
    pub fn verdict(&self, score: f32) -> Option<Verdict> {
        self.threshold().map(|threshold| {
            if score >= threshold.score {
                Verdict::Anomalous
            } else {
                Verdict::Normal
            }
        })
    }

    /// The detector with the weights of the checkpoint, in the precision of the settings.
    ///
    /// # Errors
    /// If the weights do not fit the settings.
    pub fn detector(&self) -> Result<Box<dyn Detector>> {
        self.detector_in(self.precision())
    }

    /// As [`detector`](Self::detector), in another precision. f32 stands in for bfloat16 on a processor that has no instructions
    /// for it.
    ///
    /// # Errors
    /// As [`detector`](Self::detector).
    pub fn detector_in(&self, precision: Precision) -> Result<Box<dyn Detector>> {
        if self.device.is_cpu() && !precision.is_served_here() {
            log::info!("this processor has no instructions for bfloat16: detecting in f32");
        }
        let _precision = precision.scope();
        let detector = || {
            let mut recipe = self
                .experiment
                .settings
                .assembly()
                .recipe(&self.experiment.frame(), &self.device)?;
            recipe.restore_weights(&self.tensors)?;
            recipe.detector()
        };
        detector().map_err(|error| TrainingError::checkpoint(&self.file, error.to_string()))
    }

    /// Precision of the run's convolutions.
    pub fn precision(&self) -> Precision {
        self.experiment.settings.assembly().precision()
    }

    /// The sizes, the filter and the scale by which images are to be loaded.
    pub fn loading(&self) -> Loading {
        self.experiment.loading().by(self.pixel_scale())
    }

    /// The scale by which files with more than 8 bits were read for training, and are to be read from then on
    /// ([`load_picture`](flawforge_datasets::load_picture)).
    pub fn pixel_scale(&self) -> PixelScale {
        self.header.data.scale
    }

    /// The experiment: every setting.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Name of the category that was trained on.
    pub fn category(&self) -> &str {
        &self.experiment.category
    }

    /// Steps that were done.
    pub fn step(&self) -> u64 {
        self.header.step
    }

    /// Steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.header.total_steps
    }

    /// The decision threshold, if the training is finished and one was found.
    pub fn threshold(&self) -> Option<&Threshold> {
        self.calibrated().map(|calibrated| &calibrated.threshold)
    }

    /// The threshold with the scores that it was found on.
    pub fn calibrated(&self) -> Option<&Calibrated> {
        self.header.calibrated.as_ref()
    }

    /// Digests of the images and textures that it was trained on, and the scale of the images.
    pub fn data(&self) -> &DataDigests {
        &self.header.data
    }

    /// Where images and textures came from, where the program that trained said so.
    pub fn places(&self) -> Option<&Places> {
        self.header.places.as_ref()
    }

    /// The checkpoint.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// The checkpoint of a run's directory, or the checkpoint itself.
fn checkpoint_of(path: &Path) -> Result<PathBuf> {
    let fault = |fault: &str| TrainingError::RunDirectory {
        path: path.to_path_buf(),
        fault: fault.to_owned(),
    };
    match fs::metadata(path) {
        Ok(data) if data.is_file() => return Ok(path.to_path_buf()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(fault("does not exist")),
        Err(error) => return Err(TrainingError::io(path)(error)),
    }
    let file = RunFiles::new(path).checkpoint();
    match fs::metadata(&file) {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(fault("its checkpoint.safetensors is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(fault("has no checkpoint.safetensors; train first"))
        }
        Err(error) => Err(TrainingError::io(path)(error)),
    }
}
