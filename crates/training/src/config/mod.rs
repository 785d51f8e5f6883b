//! The settings of a run.

mod groups;
mod patchcore;
mod precision;
mod validate;

pub use groups::{
    Adam, Batches, Calibration, Decay, Draw, Evaluated, GroundTruth, Intervals, Length, Losses, Networks,
    NormMode, Nsa, RotateWhen, Rotation, RotationFill, Schedule, Simulated, Simulator, Split, SsimRange,
};

pub use patchcore::{Backbone, BackboneWeights, PatchCoreBudget, PatchCoreSettings};

use std::path::Path;

use flawforge_augment::LabelKind;
use flawforge_ops::Precision;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::method::Method;
use crate::profile::{Profile, one_line};

/// All settings of a run. Nothing about where files lie is in it, so that its [hash](Self::hash) names an experiment.
///
/// The columns of the paper's table 4 are settings of it:
///
/// | column | settings |
/// |---|---|
/// | D.NoRot (`draem-no-rotation`) | `draem` with `rotation.when = "never"` |
/// | D.Our (`draem-our-simulation`) | `draem` with `simulation.simulator = "selected"`, `rotation.when = "never"` |
/// | Our.D (`split-draem-simulation`) | `draem` with `split.enabled = true` |
/// | Ours | `lin-yan` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The method whose defaults these are.
    pub method: Method,
    /// Name of the profile whose budget this is.
    pub profile: String,
    /// Seed of the initial weights, of the draw of images and of the simulation.
    pub seed: u64,
    /// Side of the square network input in pixels, a multiple of 32.
    pub image_size: u32,
    /// What the convolutions of the two networks multiply with (bfloat16 is a proposal); left out of the settings' text where
    /// it is the default. NSA and PatchCore compute in f32 on the processor.
    #[serde(default, with = "precision", skip_serializing_if = "precision::is_default")]
    pub precision: Precision,
    /// Widths of the networks.
    pub networks: Networks,
    /// Batches.
    pub batch: Batches,
    /// Length and learning rate.
    pub schedule: Schedule,
    /// Optimiser.
    pub adam: Adam,
    /// Losses.
    pub loss: Losses,
    /// Simulated anomalies.
    pub simulation: Simulated,
    /// Rotation of normal images.
    pub rotation: Rotation,
    /// Split training.
    pub split: Split,
    /// NSA; of its runs alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsa: Option<Nsa>,
    /// Scoring.
    pub evaluation: Evaluated,
    /// Threshold of verdicts.
    pub calibration: Calibration,
    /// Intervals.
    pub every: Intervals,
    /// PatchCore; of no other method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patchcore: Option<PatchCoreSettings>,
}

impl Config {
    /// The settings of `method` under `profile`.
    pub fn for_method(method: Method, profile: &Profile, seed: u64) -> Self {
        // Lin & Yan change three things in DRAEM, and their table 4 parts them.
        let (simulator, rotate, split) = match method {
            Method::Draem => (Simulator::Draem, RotateWhen::Always, false),
            Method::DraemNoRotation => (Simulator::Draem, RotateWhen::Never, false),
            Method::DraemOurSimulation => (Simulator::Selected, RotateWhen::Never, false),
            Method::SplitDraemSimulation => (Simulator::Draem, RotateWhen::Always, true),
            Method::LinYan => (Simulator::Selected, RotateWhen::Selected, true),
            Method::Nsa => return Self::for_nsa(profile, seed),
            Method::PatchCore => return Self::for_patchcore(profile, seed),
        };
        Self {
            method,
            profile: profile.name.clone(),
            seed,
            image_size: profile.image_size,
            precision: Precision::default(),
            networks: Networks {
                reconstructive_width: profile.reconstructive_width,
                discriminative_width: profile.discriminative_width,
            },
            batch: Batches {
                size: profile.batch,
                draw: Draw::WithReplacement,
            },
            schedule: Schedule {
                length: profile.length,
                learning_rate: profile.learning_rate,
                warm_up: profile.warm_up,
                decay: profile.decay,
                decay_milestones: vec![0.8, 0.9],
                decay_factor: 0.2,
                floor: 0.0,
            },
            adam: Adam {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            },
            loss: Losses {
                ssim_weight: 1.0,
                l2_weight: 1.0,
                focal_weight: 1.0,
                ssim_range: SsimRange::Unit,
                focal_gamma: 2.0,
                focal_smooth: 1e-5,
            },
            simulation: Simulated {
                simulator,
                clean_probability: 0.5,
            },
            rotation: Rotation {
                when: rotate,
                probability: 0.3,
                max_degrees: 90.0,
                fill: match rotate {
                    RotateWhen::Selected => RotationFill::Selected,
                    RotateWhen::Always | RotateWhen::Never => RotationFill::Black,
                },
            },
            split: Split {
                enabled: split,
                detach_focal: true,
                reconstruction_bn_on_y: NormMode::Eval,
                batch_x: profile.batch,
                batch_y: profile.batch,
            },
            nsa: None,
            evaluation: Evaluated {
                ground_truth: GroundTruth::Full,
                aupro_limit: 0.3,
                batch: 4,
            },
            calibration: Calibration {
                held_out: 0.0,
                images: 16,
            },
            every: Intervals {
                log: profile.log_every,
                checkpoint: profile.checkpoint_every,
                panel: profile.panel_every,
            },
            patchcore: None,
        }
    }

    /// NSA's settings; what it shares with DRAEM's (evaluation, calibration, intervals, Adam's constants) is taken from there.
    fn for_nsa(profile: &Profile, seed: u64) -> Self {
        let budget = &profile.nsa;
        let mut config = Self::for_method(Method::Draem, profile, seed);
        config.method = Method::Nsa;
        config.batch = Batches {
            size: budget.batch,
            draw: Draw::Shuffled,
        };
        config.schedule = Schedule {
            length: budget.length,
            learning_rate: budget.learning_rate,
            warm_up: 0.0,
            decay: Decay::Cosine,
            floor: 1e-6,
            ..config.schedule
        };
        config.nsa = Some(Nsa {
            width: budget.width,
            label: LabelKind::Logistic,
            max_degrees: 5.0,
        });
        config
    }

    /// PatchCore's settings: one pass over the images, nothing to look at on the way, and no checkpoint before the end,
    /// because what it has collected by then is large and quickly collected again. The selected anomalies serve the threshold
    /// of verdicts alone.
    fn for_patchcore(profile: &Profile, seed: u64) -> Self {
        let mut config = Self::for_method(Method::DraemOurSimulation, profile, seed);
        config.method = Method::PatchCore;
        config.schedule.length = Length::Epochs(1);
        config.every = Intervals {
            log: 10,
            checkpoint: 1_000_000,
            panel: 0,
        };
        config.patchcore = Some(profile.patchcore.settings());
        config
    }

    /// Reads a complete settings text, such as the `config.toml` of a run.
    ///
    /// # Errors
    /// For text that is not TOML, and missing or unknown settings; the message names `origin`.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self> {
        toml::from_str(text).map_err(|fault| settings_text(origin, &fault.to_string()))
    }

    /// These settings with those of a partial settings text in their place.
    ///
    /// # Errors
    /// As [`Self::from_toml`].
    pub fn with_overrides(&self, text: &str, origin: &str) -> Result<Self> {
        let overrides: toml::Table =
            toml::from_str(text).map_err(|fault| settings_text(origin, &fault.to_string()))?;
        let mut settings =
            toml::Table::try_from(self).map_err(|fault| settings_text("settings", &fault.to_string()))?;
        merge(&mut settings, overrides);
        settings
            .try_into()
            .map_err(|fault| settings_text(origin, &fault.to_string()))
    }

    /// These settings with those of a partial settings file in their place.
    ///
    /// # Errors
    /// As [`Self::from_toml`], and when the file cannot be read.
    pub fn with_file(&self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainingError::io(path))?;
        self.with_overrides(&text, &path.display().to_string())
    }

    /// The settings as TOML text.
    ///
    /// # Errors
    /// Only for values that TOML cannot hold (a seed above 2^63 − 1).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|fault| settings_text("settings", &fault.to_string()))
    }

    /// SHA-256 of the settings in canonical form (JSON with sorted keys), 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.canonical().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Steps of a training on `images` images (before any are held out).
    pub fn steps(&self, images: usize) -> u64 {
        self.schedule.length.steps(images, self.batch.size)
    }

    /// Canonical JSON: `serde_json`'s own maps are sorted by key.
    fn canonical(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value.to_string(),
            // Cannot be reached: all fields are plain numbers, strings and structs. The debug text is canonical too.
            Err(_) => format!("{self:?}"),
        }
    }

    /// Names of the settings that differ, with both values, for messages.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (Ok(left), Ok(right)) = (serde_json::to_value(self), serde_json::to_value(other)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        compare("", &left, &right, &mut found);
        found
    }
}

fn settings_text(origin: &str, fault: &str) -> TrainingError {
    TrainingError::SettingsText {
        origin: origin.to_owned(),
        fault: one_line(fault),
    }
}

fn merge(base: &mut toml::Table, overrides: toml::Table) {
    for (key, value) in overrides {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(changes)) => merge(inner, changes),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn compare(name: &str, left: &serde_json::Value, right: &serde_json::Value, found: &mut Vec<String>) {
    match (left, right) {
        (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let inner = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                let null = serde_json::Value::Null;
                compare(
                    &inner,
                    a.get(key).unwrap_or(&null),
                    b.get(key).unwrap_or(&null),
                    found,
                );
            }
        }
        _ if left != right => found.push(format!("{name} is {left}, was {right}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoke(method: Method) -> Config {
        Config::for_method(method, &Profile::builtin("smoke").unwrap(), 7)
    }

    #[test]
    fn toml_round_trips_and_the_hash_follows_the_settings() {
        let config = smoke(Method::LinYan);
        let again = Config::from_toml(&config.to_toml().unwrap(), "test").unwrap();
        assert_eq!(config, again);
        assert_eq!(config.hash(), again.hash());
        assert_eq!(config.hash().len(), 64);
        let other = Config {
            seed: 8,
            ..config.clone()
        };
        assert_ne!(config.hash(), other.hash());
        assert_eq!(config.differences(&other), ["seed is 7, was 8"]);
    }

    #[test]
    fn overrides_replace_single_settings() {
        let text = "seed = 3\n[split]\ndetach_focal = false\n[schedule]\nlength = \"5 epochs\"\n";
        let config = smoke(Method::LinYan).with_overrides(text, "test").unwrap();
        assert_eq!((config.seed, config.schedule.length), (3, Length::Epochs(5)));
        assert!(!config.split.detach_focal && config.split.enabled);
    }

    #[test]
    fn a_precision_is_read_by_its_name_and_the_default_is_not_said() {
        let config = smoke(Method::Draem);
        assert!(!config.to_toml().unwrap().contains("precision"));
        let other = config.with_overrides("precision = \"bf16\"\n", "test").unwrap();
        assert_eq!(other.precision, Precision::Bf16);
        assert_eq!(
            Config::from_toml(&other.to_toml().unwrap(), "test").unwrap(),
            other
        );
        assert_ne!(config.hash(), other.hash());
        let fault = config
            .with_overrides("precision = \"fp8\"\n", "test")
            .unwrap_err();
        assert!(fault.to_string().contains("fp8"), "{fault}");
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_file() {
        let fault = smoke(Method::Draem).with_overrides("[split]\ndetatch = true\n", "my.toml");
        let message = fault.unwrap_err().to_string();
        assert!(
            message.starts_with("my.toml:") && message.contains("detatch"),
            "{message}"
        );
        assert!(!message.contains('\n'));
    }

    #[test]
    fn the_methods_differ_where_the_papers_do() {
        let changed = |from: Method, to: Method| -> Vec<String> {
            smoke(from)
                .differences(&smoke(to))
                .into_iter()
                .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
                .filter(|name| name != "method")
                .collect()
        };
        let all = [
            "rotation.fill",
            "rotation.when",
            "simulation.simulator",
            "split.enabled",
        ];
        assert_eq!(changed(Method::Draem, Method::LinYan), all);
        assert_eq!(changed(Method::Draem, Method::DraemNoRotation), all[1..2]);
        assert_eq!(changed(Method::Draem, Method::DraemOurSimulation), all[1..3]);
        assert_eq!(changed(Method::Draem, Method::SplitDraemSimulation), all[3..]);
        assert_eq!(changed(Method::SplitDraemSimulation, Method::LinYan), all[..3]);
        assert_eq!(
            changed(Method::DraemOurSimulation, Method::LinYan),
            [all[0], all[1], all[3]]
        );
    }
}
