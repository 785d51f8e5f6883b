//! The text form of an experiment.

use std::path::Path;

use serde::Deserialize;

use super::{Experiment, MethodSettings};
use crate::error::{Result, TrainingError};
use crate::methods::Method;
use crate::profile::one_line;
use crate::settings::{Calibration, Evaluated, Intervals, Region, View, WarmStart};

/// The fields that every method has, and all others, which its method reads.
#[derive(Deserialize)]
pub(super) struct Text {
    revision: u32,
    method: Method,
    category: String,
    profile: String,
    seed: u64,
    image_size: u32,
    #[serde(default)]
    view: View,
    #[serde(default)]
    region: Region,
    evaluation: Evaluated,
    calibration: Calibration,
    every: Intervals,
    #[serde(default)]
    warm_start: Option<WarmStart>,
    #[serde(flatten)]
    others: toml::Table,
}

impl TryFrom<Text> for Experiment {
    type Error = String;

    fn try_from(text: Text) -> std::result::Result<Self, String> {
        Ok(Self {
            settings: MethodSettings::read(text.method, text.others)
                .map_err(|error| format!("{error} (method {})", text.method))?,
            revision: text.revision,
            method: text.method,
            category: text.category,
            profile: text.profile,
            seed: text.seed,
            image_size: text.image_size,
            view: text.view,
            region: text.region,
            evaluation: text.evaluation,
            calibration: text.calibration,
            every: text.every,
            warm_start: text.warm_start,
        })
    }
}

impl Experiment {
    /// Reads a complete settings text, such as the `config.toml` of a run.
    ///
    /// # Errors
    /// For text that is not TOML, and missing or unknown settings; the message names `origin`.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| settings_text(origin, &error.to_string()))
    }

    /// Reads a complete settings file.
    ///
    /// # Errors
    /// As [`Self::from_toml`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainingError::io(path))?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// The settings as TOML text.
    ///
    /// # Errors
    /// Only for values that TOML cannot hold (a seed above 2^63 − 1).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| settings_text("settings", &error.to_string()))
    }
}

/// An error of a settings text in one line.
pub(super) fn settings_text(origin: &str, error: &str) -> TrainingError {
    TrainingError::SettingsText {
        origin: origin.to_owned(),
        fault: one_line(error),
    }
}
