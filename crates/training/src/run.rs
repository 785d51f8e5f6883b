//! A trained run: how it is opened, and how it detects and judges.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use flawforge_datasets::{Appearance, Loading, PixelScale, TrainImage};
use flawforge_models::{AnomalyMap, Detector};
use flawforge_ops::Precision;
use image::RgbImage;

use crate::decision::{Decision, Rule, Verdict};
use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::fit::{
    Addition, Calibrated, DataDigests, Header, Places, Predecessor, read_checkpoint, write_checkpoint,
};
use crate::recipe::Recipe;
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

/// What a run says of one image.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The image score of the method's published protocol: larger is more anomalous.
    pub score: f32,
    /// The image score that the verdict is made on.
    pub verdict_score: f32,
    /// The anomaly map at the image's own size.
    pub map: AnomalyMap,
    /// The verdict by the run's own rule; none where the run is not calibrated.
    pub verdict: Option<Verdict>,
}

impl Run {
    /// Opens a run, by its directory or by its checkpoint or model alone, on the [default device](crate::default_device).
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
        let decision = self.decision(&self.rule())?;
        Ok(Scored {
            score: detection.score,
            verdict_score: detection.verdict_score,
            map: detection.map,
            verdict: decision.map(|decision| decision.verdict(detection.verdict_score)),
        })
    }

    /// What the run's own settings ask of verdicts.
    pub fn rule(&self) -> Rule {
        Rule::of(&self.experiment.calibration)
    }

    /// The thresholds by a rule, which needs no training; `None` where the run was not calibrated: its training is not finished,
    /// or its settings forbid it.
    ///
    /// # Errors
    /// As [`Calibrated::decide`].
    pub fn decision(&self, rule: &Rule) -> Result<Option<Decision>> {
        self.calibrated().map(|scores| scores.decide(rule)).transpose()
    }

    /// What the normal images that it was trained on look like.
    pub fn appearance(&self) -> Option<&Appearance> {
        self.header.data.appearance.as_ref()
    }

    /// Which of these images the run does not know and would find unlike the normal images that it was trained on: their names, each
    /// with what is unlike, in words.
    pub fn unlike(&self, images: &[TrainImage]) -> Vec<(String, String)> {
        let data = &self.header.data;
        let Some(appearance) = &data.appearance else {
            return Vec::new();
        };
        let known: HashSet<&str> = data.each.iter().map(String::as_str).collect();
        let unlike = |image: &TrainImage| {
            let look = image.look();
            let reasons = appearance.unlike_look(&look, image.size);
            (!reasons.is_empty() && !known.contains(look.short_digest().as_str()))
                .then(|| (image.name.clone(), reasons.join("; ")))
        };
        images.iter().filter_map(unlike).collect()
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
        let detector = self.recipe()?.detector();
        let detector = detector.map(|detector| self.experiment.looking_inside(detector));
        detector.map_err(|error| TrainingError::checkpoint(&self.file, error.to_string()))
    }

    /// Everything in the checkpoint but its tensors.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Normal images that were added after the training, the first addition first.
    pub fn additions(&self) -> &[Addition] {
        &self.header.additions
    }

    /// What tells the state of this run from that of any other: SHA-256 of its tensors.
    pub fn identity(&self) -> &str {
        self.header.digest()
    }

    /// The recipe with the weights of the checkpoint.
    pub(crate) fn recipe(&self) -> Result<Box<dyn Recipe>> {
        let recipe = || {
            let mut recipe = self.experiment.recipe(&self.device)?;
            recipe.restore_weights(&self.tensors)?;
            Ok(recipe)
        };
        recipe().map_err(|error: TrainingError| TrainingError::checkpoint(&self.file, error.to_string()))
    }

    /// The weights that a training could begin with.
    pub(crate) fn weights(&self) -> Result<HashMap<String, Tensor>> {
        match self.recipe()?.weights()? {
            Some(weights) => Ok(weights.into_iter().collect()),
            None => Err(TrainingError::checkpoint(
                &self.file,
                format!(
                    "{} has no weights that a training could begin with",
                    self.experiment.method
                ),
            )),
        }
    }

    /// The run whose weights this one began with, and what has changed since.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.header.predecessor.as_ref()
    }

    /// Writes what detects to a file that [`open`](Self::open) takes: settings, weights, calibration and looks, without what only
    /// going on needs. Of methods of which nothing can be left out it is the checkpoint again.
    ///
    /// # Errors
    /// If the weights do not fit the settings, or the file cannot be written.
    pub fn export(&self, file: &Path) -> Result<()> {
        let weights = self.recipe()?.weights()?;
        if let Some(weights) = weights {
            return write_checkpoint(file, &self.header.travelling(), &weights);
        }
        let all: Vec<(String, Tensor)> = self.tensors.clone().into_iter().collect();
        write_checkpoint(file, &self.header, &all)
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

    /// Lengths of the training, in steps, before it was extended; the earliest first.
    pub fn extended(&self) -> &[u64] {
        &self.header.extended
    }

    /// Whether the file holds what detects alone, so that the training cannot go on from it.
    pub fn detects_only(&self) -> bool {
        self.header.detects_only
    }

    /// Steps of the whole training.
    pub fn total_steps(&self) -> u64 {
        self.header.total_steps
    }

    /// The scores that thresholds are found on, if the training is finished and there are any.
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

/// The checkpoint of a run's directory, or its model where that is all there is; or the file itself.
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
    let files = RunFiles::new(path);
    let file = match files.checkpoint().exists() || !files.model().exists() {
        true => files.checkpoint(),
        false => files.model(),
    };
    match fs::metadata(&file) {
        Ok(data) if data.is_file() => Ok(file),
        Ok(_) => Err(fault("its checkpoint.safetensors is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(fault("has no checkpoint.safetensors; train first"))
        }
        Err(error) => Err(TrainingError::io(path)(error)),
    }
}
