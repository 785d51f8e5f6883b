//! Profiles: how much computing a run may cost (`crates/training/data/profiles.toml`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::methods::{draem, forge, nsa, patchcore};
use crate::settings::Intervals;

const BUILTIN: &str = include_str!("../data/profiles.toml");

/// A named budget: image size, intervals, and what each method may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name, the key of the profile's table.
    #[serde(default)]
    pub name: String,
    /// Side in pixels of the square that images are scored at, a multiple of 32.
    pub image_size: u32,
    /// Intervals in steps.
    pub every: Intervals,
    /// Two-network training.
    pub draem: draem::Budget,
    /// NSA.
    pub nsa: nsa::Budget,
    /// PatchCore.
    pub patchcore: patchcore::Budget,
    /// Forge.
    pub forge: forge::Budget,
}

impl Profile {
    /// The profile of this name: `smoke`, `demo`, `quick`, `gpu` or `paper`.
    ///
    /// # Errors
    /// For any other name, naming those that exist.
    pub fn builtin(name: &str) -> Result<Self> {
        let mut profiles = Self::parse_all(BUILTIN, "crates/training/data/profiles.toml")?;
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
    use flawforge_ops::Precision;

    use super::*;

    #[test]
    fn the_five_profiles_exist_and_paper_is_the_published_setting() {
        for name in ["smoke", "demo", "quick", "gpu", "paper"] {
            assert_eq!(Profile::builtin(name).unwrap().name, name);
        }
        let paper = Profile::builtin("paper").unwrap();
        assert_eq!(
            (paper.draem.reconstructive_width, paper.draem.discriminative_width),
            (128, 64)
        );
        assert_eq!(
            (paper.image_size, paper.draem.batch, paper.draem.learning_rate),
            (256, 8, 1e-4)
        );
        assert_eq!(paper.draem.length.steps(209, 8), 18_900); // bottle, docs/method.md, section 1.3
        // The same networks, sooner.
        let gpu = Profile::builtin("gpu").unwrap();
        assert_eq!(
            (
                gpu.image_size,
                gpu.draem.reconstructive_width,
                gpu.draem.discriminative_width
            ),
            (256, 128, 64)
        );
        assert_eq!(gpu.draem.precision, Precision::Bf16);
        let fault = Profile::builtin("huge").unwrap_err().to_string();
        assert!(fault.contains("huge") && fault.contains("quick"), "{fault}");
    }
}
