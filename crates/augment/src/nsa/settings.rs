//! NSA's constants of a category.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Background;
use crate::poisson::Guidance;

/// The constants with which NSA makes anomalies in a category. The default is that of MVTec AD's transistor:
/// an object without a background model (proposal for categories of one's own).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NsaSettings {
    /// Smallest and largest half of a patch's height, as a share of the image's.
    pub half_height: (f64, f64),
    /// Smallest and largest half of a patch's width, as a share of the image's.
    pub half_width: (f64, f64),
    /// Halves are `offset + Gamma(shape, scale)` of the image's sides, before they are bounded; 0.03, 2, 0.05.
    pub gamma: Gamma,
    /// Largest number of patches; the first always, each further one with even chances.
    pub patches: u32,
    /// Gradients of the source (objects) or mixed ones (textures).
    pub blending: Guidance,
    /// Bounds of the factor by which a patch is resized, before them normal with mean 1 and deviation 0.5.
    pub scale: (f64, f64),
    /// The background model; `None`: a patch may lie anywhere.
    pub objects: Option<Objects>,
    /// The logistic label.
    pub label: Logistic,
}

impl Default for NsaSettings {
    fn default() -> Self {
        Self {
            half_height: (0.03, 0.4),
            half_width: (0.03, 0.4),
            gamma: Gamma::default(),
            patches: 3,
            blending: Guidance::Normal,
            scale: (0.7, 1.3),
            objects: None,
            label: Logistic {
                steepness: 1.0 / 6.0,
                midpoint: 15.0,
            },
        }
    }
}

/// The distribution of patch sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gamma {
    /// Added to each draw; 0.03.
    pub offset: f64,
    /// Shape of the Gamma distribution; 2.
    pub shape: f64,
    /// Scale of the Gamma distribution; 0.05.
    pub scale: f64,
}

impl Default for Gamma {
    fn default() -> Self {
        Self {
            offset: 0.03,
            shape: 2.0,
            scale: 0.05,
        }
    }
}

/// How patches keep to the object.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// Tells object and ground apart.
    pub background: Background,
    /// The share of a patch that shows the object must be greater than this.
    pub min_share: f64,
    /// The share of the patch's object that lies on the destination's must be greater than this.
    pub min_overlap: f64,
}

/// `1 / (1 + exp(-steepness (difference - midpoint)))`, differences in levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// Steepness k, per level.
    pub steepness: f64,
    /// Midpoint x0, in levels.
    pub midpoint: f64,
}

/// What is wrong with a text of NSA's constants.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum NsaError {
    /// Not TOML, or not of the form of [`NsaSettings`].
    #[error("NSA settings: {0}")]
    Form(#[from] toml::de::Error),
    /// A value is out of range.
    #[error("NSA settings of category {category:?}: {fault}")]
    Value {
        /// The category.
        category: String,
        /// The key and what it should be.
        fault: &'static str,
    },
}

impl NsaSettings {
    /// The settings of the 15 categories of MVTec AD (`crates/augment/data/nsa.toml`).
    pub fn builtin() -> BTreeMap<String, NsaSettings> {
        // The file is embedded; a test parses it.
        Self::from_toml(include_str!("../../data/nsa.toml")).unwrap_or_default()
    }

    /// Reads the settings of many categories, one table each.
    ///
    /// # Errors
    /// [`NsaError`], with the category, or the line, and the fault.
    pub fn from_toml(text: &str) -> Result<BTreeMap<String, NsaSettings>, NsaError> {
        let categories: BTreeMap<String, NsaSettings> = toml::from_str(text)?;
        for (category, settings) in &categories {
            settings.check().map_err(|fault| NsaError::Value {
                category: category.clone(),
                fault,
            })?;
        }
        Ok(categories)
    }

    fn check(&self) -> Result<(), &'static str> {
        let ordered = |(low, high): (f64, f64)| low > 0.0 && low <= high && high.is_finite();
        let Gamma { offset, shape, scale } = self.gamma;
        let shares = self
            .objects
            .map_or([0.0; 2], |objects| [objects.min_share, objects.min_overlap]);
        let label = [self.label.steepness, self.label.midpoint];
        if !ordered(self.half_height) || self.half_height.1 > 0.5 {
            Err("half_height must be two rising numbers above 0, up to 0.5")
        } else if !ordered(self.half_width) || self.half_width.1 > 0.5 {
            Err("half_width must be two rising numbers above 0, up to 0.5")
        } else if !ordered(self.scale) {
            Err("scale must be two rising numbers above 0")
        } else if ![offset, shape, scale].iter().all(|v| v.is_finite()) || shape <= 0.0 || scale <= 0.0 {
            Err("gamma must have a shape and a scale above 0")
        } else if self.patches == 0 {
            Err("patches must be at least 1")
        } else if !shares.iter().all(|share| (0.0..1.0).contains(share)) {
            Err("min_share and min_overlap must be at least 0 and less than 1")
        } else if !label.iter().all(|v| v.is_finite()) {
            Err("label must be two finite numbers")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_has_every_category() {
        let all = NsaSettings::from_toml(include_str!("../../data/nsa.toml")).unwrap();
        let names: Vec<&str> = crate::Selections::builtin()
            .names()
            .map(|name| {
                all.get_key_value(name)
                    .map_or("missing", |(name, _)| name.as_str())
            })
            .collect();
        assert_eq!((all.len(), names.len()), (15, 15));
        assert!(!names.contains(&"missing"));
        let mixed = all
            .values()
            .filter(|settings| settings.blending == Guidance::Mixed)
            .count();
        let on_objects = all.values().filter(|settings| settings.objects.is_some()).count();
        assert_eq!((mixed, on_objects), (5, 8));
        assert_eq!(all["transistor"], NsaSettings::default());
        assert_eq!(all["screw"].half_width, (0.03, 0.12));
        assert_eq!(
            all["toothbrush"].objects.unwrap().background,
            Background::new(20.0, 20.0)
        );
        assert_eq!(NsaSettings::builtin(), all);
    }

    #[test]
    fn faults_are_named() {
        let error = |text: &str| NsaSettings::from_toml(text).unwrap_err().to_string();
        assert!(error("[a]\npatches = 0").ends_with("category \"a\": patches must be at least 1"));
        assert!(error("[a]\nhalf_width = [0.4, 0.1]").contains("half_width"));
        assert!(error("[a]\nhalf_height = [0.1, 0.6]").contains("half_height"));
        assert!(error("[a]\nscale = [0.0, 1.0]").contains("scale"));
        assert!(error("[a]\ngamma = { offset = 0.1, shape = 0.0, scale = 1.0 }").contains("gamma"));
        assert!(error("[a]\nlabel = { steepness = nan, midpoint = 1 }").contains("label"));
        assert!(error("[a]\nhalf = 3").contains("unknown field `half`"));
    }
}
