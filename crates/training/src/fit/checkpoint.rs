//! One safetensors file holds all of a run's state: weights, batch-norm statistics, Adam's moments, counters, settings.
//!
//! The header of the file carries one metadata entry, `flawforge`, a JSON text with the counters, the settings and a
//! digest of the tensors, so that a flipped bit is found as surely as a file cut short.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flawforge_datasets::{Appearance, PixelScale};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::RunPlan;
use super::calibrate::Calibrated;
use super::journal::Interval;
use super::warm_start::Predecessor;
use crate::error::{Result, TrainingError};
use crate::experiment::differences;
use crate::recipe::Recipe;

const KEY: &str = "flawforge";
/// Version of the header's layout.
const FORMAT: u64 = 4;

/// What a run learns from: SHA-256, looks, and the scale of the images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DataDigests {
    /// Of the names and pixels of the training images.
    pub images: String,
    /// Of the pixels of each training image ([`Look::short_digest`](flawforge_datasets::Look::short_digest)), so that an evaluation can tell whether a
    /// test image was trained on. Empty in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<String>,
    /// Of the textures: [`TextureSource::identity`](flawforge_augment::TextureSource::identity).
    pub textures: String,
    /// What the training images look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance: Option<Appearance>,
    /// The scale by which image files with more than 8 bits were read.
    #[serde(default, skip_serializing_if = "PixelScale::is_default")]
    pub scale: PixelScale,
}

impl DataDigests {
    /// In what `now` differs.
    fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.images != now.images {
            found.push(self.other_images(now));
        }
        if self.scale != now.scale {
            found.push("the scale of images with more than 8 bits has changed".to_owned());
        }
        if self.textures != now.textures {
            found.push("the textures have changed".to_owned());
        }
        found
    }

    /// Whether `now` has all the images and some more, and differs in nothing else.
    fn is_part_of(&self, now: &Self) -> bool {
        self.textures == now.textures
            && self.scale == now.scale
            && self.each.len() < now.each.len()
            && beyond(&self.each, &now.each) == 0
    }

    /// How the images differ, as far as digests tell.
    fn other_images(&self, now: &Self) -> String {
        if self.each.is_empty() {
            return "the training images have changed".to_owned(); // runs of earlier versions
        }
        let (new, gone) = (beyond(&now.each, &self.each), beyond(&self.each, &now.each));
        let images = |count: usize| match count {
            1 => "1 image".to_owned(),
            count => format!("{count} images"),
        };
        let all = self.each.len();
        let how = match (new, gone) {
            (0, 0) => "the same pictures have other names or another order".to_owned(),
            (new, 0) => format!("{} beside the {all} of before", images(new)),
            (0, gone) => format!("{} of {all} missing", images(gone)),
            (new, gone) => format!("{} new, {} of {all} missing", images(new), images(gone)),
        };
        format!("the training images have changed ({how})")
    }
}

/// How many of `these` are not among `others`, each of which counts once.
fn beyond(these: &[String], others: &[String]) -> usize {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for digest in others {
        *left.entry(digest).or_default() += 1;
    }
    let is_new = |digest: &&String| match left.get_mut(digest.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    these.iter().filter(is_new).count()
}

/// Where images and textures came from, as the program that trained calls them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Places {
    /// The images.
    pub images: String,
    /// The textures.
    pub textures: String,
    /// Images that could not be read and were left out, each with what is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// The files of published weights that the run was made of, if it was; images and textures are then those that it was calibrated
    /// on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

/// Normal images that were added to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// The checkpoint of the run that they were added to.
    pub run: String,
    /// SHA-256 of its tensors.
    pub tensors: String,
    /// Where the images came from.
    pub place: String,
    /// Names of those that were added.
    pub images: Vec<String>,
    /// How many the run knew already.
    pub known: usize,
}

/// Everything in a checkpoint but its tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version of this layout.
    format: u64,
    /// Steps that were done.
    pub(crate) step: u64,
    /// Steps of the whole training.
    pub(crate) total_steps: u64,
    /// What it is learnt from.
    pub(crate) data: DataDigests,
    /// Where that came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) places: Option<Places>,
    /// Everything that decides what is learnt.
    pub(crate) settings: Value,
    /// Losses since the last line of the journal.
    pub(crate) interval: Interval,
    /// What thresholds are found on, after the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calibrated: Option<Calibrated>,
    /// Images that were added after the training, the first addition first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) additions: Vec<Addition>,
    /// Whether the tensors suffice for detecting, not for going on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) detects_only: bool,
    /// Lengths of the training before it was extended, in steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) extended: Vec<u64>,
    /// The run whose weights it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) predecessor: Option<Predecessor>,
    /// Digest of the tensors.
    digest: String,
}

impl Header {
    pub(crate) fn new(plan: &RunPlan, places: Option<Places>) -> Self {
        Self {
            format: FORMAT,
            step: 0,
            total_steps: plan.steps,
            data: plan.data.clone(),
            places,
            settings: plan.settings.clone(),
            interval: Interval::default(),
            calibrated: None,
            additions: Vec::new(),
            detects_only: false,
            extended: Vec::new(),
            predecessor: None,
            digest: String::new(),
        }
    }

    /// SHA-256 of the tensors, once they are written.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The same for a file that detects and does not go on.
    pub(crate) fn travelling(&self) -> Self {
        Self {
            interval: Interval::default(),
            detects_only: true,
            ..self.clone()
        }
    }

    /// Brings header and recipe to the state of a checkpoint, if it belongs to this very run; or, where the run is to be
    /// extended, to a shorter one that is finished.
    pub(super) fn restore(
        &mut self,
        path: &Path,
        recipe: &mut dyn Recipe,
        device: &Device,
        extend: bool,
    ) -> Result<()> {
        let (mut saved, tensors) = read(path, device)?;
        let fault = |fault: String| TrainingError::Mismatch {
            path: path.to_path_buf(),
            fault,
        };
        if !saved.additions.is_empty() {
            let run = path.parent().unwrap_or(path).display();
            return Err(fault(format!(
                "images were added to it after its training, which cannot be resumed; `train --from {run}` adds further ones"
            )));
        }
        if saved.detects_only {
            return Err(fault(WITHOUT_MOMENTS.to_owned()));
        }
        if extend {
            if saved.step < saved.total_steps {
                return Err(fault(format!(
                    "it is not finished (step {} of {}); resume it before it is extended",
                    saved.step, saved.total_steps
                )));
            }
            if saved.total_steps >= self.total_steps {
                return Err(fault(format!(
                    "it has {} steps already, {} are no extension",
                    saved.total_steps, self.total_steps
                )));
            }
            saved.extended.push(saved.total_steps);
            saved.total_steps = self.total_steps;
            saved.calibrated = None;
            if let Some(predecessor) = &mut saved.predecessor {
                predecessor.after = None;
            }
            take_lengths(&mut saved.settings, &self.settings);
        }
        let mut found = differences(&self.settings, &saved.settings);
        found.extend(saved.data.differences(&self.data));
        if found.is_empty() && saved.total_steps != self.total_steps {
            found.push(format!(
                "steps are {}, were {}",
                self.total_steps, saved.total_steps
            ));
        }
        if !found.is_empty() {
            let run = path.parent().unwrap_or(path);
            let advice = self.advice(&saved, run).map(|advice| format!("; {advice}"));
            return Err(fault(found.join(", ") + &advice.unwrap_or_default()));
        }
        recipe
            .restore(&tensors, saved.step)
            .map_err(|error| TrainingError::checkpoint(path, error.to_string()))?;
        if self.places.is_some() {
            saved.places = self.places.take();
        }
        saved.data = self.data.clone();
        *self = saved;
        if recipe.begins_anew() {
            log::info!(
                "{}: what was collected in {} steps is not kept, and is collected again",
                path.display(),
                self.step
            );
            self.step = 0;
            self.interval = Interval::default();
        }
        Ok(())
    }
}

impl Header {
    /// How a run that was `saved` goes on towards this one, where it does in another way than by being resumed.
    fn advice(&self, saved: &Self, run: &Path) -> Option<String> {
        let mut settings = saved.settings.clone();
        take_lengths(&mut settings, &self.settings);
        if !differences(&self.settings, &settings).is_empty() {
            return None;
        }
        let finished = saved.step == saved.total_steps;
        let more = self.total_steps.saturating_sub(saved.total_steps);
        if saved.data.differences(&self.data).is_empty() {
            return Some(match (finished, more) {
                (true, 0) => "a run becomes no shorter: train a new one".to_owned(),
                (true, more) => format!("the run is finished: `--extend {more}` trains it longer"),
                (false, 0) => "resume it with its own length, or train a new one".to_owned(),
                (false, more) => {
                    format!("resume it with its own length; `--extend {more}` then trains it longer")
                }
            });
        }
        saved.data.is_part_of(&self.data).then(|| {
            let first = if finished {
                ""
            } else {
                "resume it with its own images; then "
            };
            let run = run.display();
            format!("{first}`train --from {run} DIR --out NEW` goes on with further images, as a new run")
        })
    }
}

/// Gives settings the length that others have.
fn take_lengths(settings: &mut serde_json::Value, others: &serde_json::Value) {
    for place in LENGTHS {
        if let (Some(other), Some(own)) = (others.pointer(place), settings.pointer_mut(place)) {
            own.clone_from(other);
        }
    }
}

/// Why a file of what detects does not go on.
pub(super) const WITHOUT_MOMENTS: &str =
    "it holds what detects, without the optimizer's moments; only the run's checkpoint.safetensors goes on";

/// Where settings keep the length of a training.
const LENGTHS: [&str; 2] = ["/schedule/length", "/warm_start/steps"];

struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Raw {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn digest<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    for (name, shape, bytes) in tensors {
        hasher.update(format!("{name}{shape:?}"));
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}

/// The bytes of a tensor: counts as 64-bit integers, everything else as f32.
fn raw(step: u64, name: &str, tensor: &Tensor) -> Result<Raw> {
    let shape = tensor.dims().to_vec();
    let flat = tensor.flatten_all()?;
    if tensor.dtype() == DType::I64 {
        let bytes = flat
            .to_vec1::<i64>()?
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        return Ok(Raw {
            dtype: Dtype::I64,
            shape,
            bytes,
        });
    }
    let values = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(TrainingError::NonFinite {
            step,
            loss: format!("weight {name}"),
            value,
            batch: "found before a checkpoint".to_owned(),
        }),
        None => {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok(Raw {
                dtype: Dtype::F32,
                shape,
                bytes,
            })
        }
    }
}

/// Writes a checkpoint atomically.
///
/// # Errors
/// [`TrainingError::NonFinite`] if a tensor holds NaN or infinity: the file of the last good step stays.
pub(crate) fn write(path: &Path, header: &Header, state: &[(String, Tensor)]) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in state {
        tensors.insert(name.as_str(), raw(header.step, name, tensor)?);
    }
    let header = Header {
        digest: digest(
            tensors
                .iter()
                .map(|(n, raw)| (*n, raw.shape.as_slice(), raw.bytes.as_slice())),
        ),
        ..header.clone()
    };
    let text =
        serde_json::to_string(&header).map_err(|fault| TrainingError::checkpoint(path, fault.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let bytes = safetensors::serialize(tensors.iter(), Some(metadata))
        .map_err(|fault| TrainingError::checkpoint(path, fault.to_string()))?;
    flawforge_files::write(path, &bytes).map_err(TrainingError::Write)
}

/// Reads and checks a checkpoint.
pub(crate) fn read(path: &Path, device: &Device) -> Result<(Header, HashMap<String, Tensor>)> {
    let bytes = fs::read(path).map_err(TrainingError::io(path))?;
    let corrupt = |fault: String| TrainingError::checkpoint(path, fault);
    let broken = |fault: safetensors::SafeTensorError| {
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            return corrupt(format!("truncated or not a checkpoint ({fault})"));
        }
        TrainingError::RunDirectory {
            path: path.to_path_buf(),
            fault: format!(
                "is no checkpoint ({fault}); name the run's folder, or its checkpoint.safetensors"
            ),
        }
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(KEY))
        .ok_or_else(|| corrupt("is a safetensors file, but not a checkpoint of a run".to_owned()))?;
    let unreadable = |error: serde_json::Error| corrupt(format!("its settings cannot be read ({error})"));
    let value: Value = serde_json::from_str(text).map_err(unreadable)?;
    // The version first: another layout has other fields.
    let format = value.get("format").and_then(Value::as_u64).unwrap_or_default();
    if format != FORMAT {
        let advice = if format < FORMAT {
            "an earlier version of flawforge wrote it; train again"
        } else {
            "a later version of flawforge wrote it"
        };
        return Err(corrupt(format!(
            "has format {format}, this program knows {FORMAT}: {advice}"
        )));
    }
    let header: Header = serde_json::from_value(value).map_err(unreadable)?;
    let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let views: BTreeMap<String, _> = file.tensors().into_iter().collect();
    let found = digest(
        views
            .iter()
            .map(|(name, view)| (name.as_str(), view.shape(), view.data())),
    );
    if found != header.digest {
        return Err(corrupt(
            "corrupted: the digest of its tensors does not match".to_owned(),
        ));
    }
    let mut tensors = HashMap::with_capacity(views.len());
    for (name, view) in views {
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::I64 => DType::I64,
            other => return Err(corrupt(format!("tensor {name} has type {other:?}"))),
        };
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?;
        tensors.insert(name, tensor);
    }
    Ok((header, tensors))
}
