//! Profiles: how much computing a run may cost (`crates/training/data/profiles.toml`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Decay, Length, PatchCoreBudget};
use crate::error::{Result, TrainingError};

const BUILTIN: &str = include_str!("../data/profiles.toml");

/// A named budget: image size, network widths, batch, length and intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name, the key of the profile's table.
    #[serde(default)]
    pub name: String,
    /// Side of the square network input in pixels, a multiple of 32.
    pub image_size: u32,
    /// Width of the reconstructive network (128 in DRAEM's code).
    pub reconstructive_width: usize,
    /// Width of the discriminative network (64 in DRAEM's code).
    pub discriminative_width: usize,
    /// Images a step; under split training from each half.
    pub batch: usize,
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Share of the length in which the rate rises.
    #[serde(default)]
    pub warm_up: f64,
    /// How the rate falls.
    #[serde(default = "milestones")]
    pub decay: Decay,
    /// What is different for NSA.
    pub nsa: NsaBudget,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between panels, 0 for none.
    pub panel_every: u64,
    /// What PatchCore may cost.
    pub patchcore: PatchCoreBudget,
}

/// NSA's share of a profile; image size and intervals are the profile's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NsaBudget {
    /// Channels of the network's first convolution (64 in NSA's code).
    pub width: usize,
    /// Images a step.
    pub batch: usize,
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate.
    pub learning_rate: f64,
}

/// DRAEM's schedule, which profiles have that say nothing else.
fn milestones() -> Decay {
    Decay::Milestones
}

impl Profile {
    /// The profile of this name: `smoke`, `demo`, `quick` or `paper`.
    ///
    /// # Errors
    /// For any other name, naming those that exist.
    pub fn builtin(name: &str) -> Result<Self> {
        let mut profiles = Self::parse_all(BUILTIN, "data/profiles.toml")?;
        let known = profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        profiles.remove(name).ok_or_else(|| {
            TrainingError::setting("profile", format!("unknown profile `{name}` (known: {known})"))
        })
    }

    /// Reads a text with one table a profile.
    ///
    /// # Errors
    /// For text that is not TOML, unknown keys and missing ones; the message names `origin`.
    pub fn parse_all(text: &str, origin: &str) -> Result<BTreeMap<String, Self>> {
        let mut profiles: BTreeMap<String, Self> =
            toml::from_str(text).map_err(|fault| TrainingError::SettingsText {
                origin: origin.to_owned(),
                fault: one_line(&fault.to_string()),
            })?;
        for (name, profile) in &mut profiles {
            profile.name.clone_from(name);
        }
        Ok(profiles)
    }
}

/// A parser's message with its lines joined, so that an error stays one line.
pub(crate) fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_profiles_exist_and_paper_is_the_published_setting() {
        for name in ["smoke", "demo", "quick", "paper"] {
            assert_eq!(Profile::builtin(name).unwrap().name, name);
        }
        let paper = Profile::builtin("paper").unwrap();
        assert_eq!(
            (paper.reconstructive_width, paper.discriminative_width),
            (128, 64)
        );
        assert_eq!(
            (paper.image_size, paper.batch, paper.learning_rate),
            (256, 8, 1e-4)
        );
        assert_eq!(paper.length.steps(209, 8), 18_900); // bottle, docs/method.md, section 1.3
        let fault = Profile::builtin("huge").unwrap_err().to_string();
        assert!(fault.contains("huge") && fault.contains("quick"), "{fault}");
    }
}
