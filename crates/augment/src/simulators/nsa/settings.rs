//! NSA's constants of a category.

use std::collections::BTreeMap;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{LabelKind, Nsa};
use crate::poisson::Guidance;
use crate::settings::{KindConstants, POSITIVE, number, pair, positive_up_to, whole};
use crate::{AnomalySimulator, Background, Materials, SettingsError};

/// The constants with which NSA makes anomalies in a category. The default is that of MVTec AD's transistor:
/// an object without a background model (proposal for other categories).
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Objects>,
    /// The logistic label.
    pub label: Logistic,
    /// How NSA's own training prepares the images; it does not matter to the simulator.
    pub preparation: Preparation,
}

/// How NSA crops and turns the images that it trains on (NSA's code). Text form in serde: `aligned`, `unaligned`, `texture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preparation {
    /// An object in one pose: cropped near the center.
    #[default]
    Aligned,
    /// An object in any pose: turned by small angles, then cropped near the center.
    Unaligned,
    /// A surface: cropped anywhere and flipped.
    Texture,
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
            preparation: Preparation::Aligned,
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
    #[error("NSA settings of category {category:?}: {error}")]
    Value {
        /// The category.
        category: String,
        /// The key and what it must be.
        error: SettingsError,
    },
}

impl NsaSettings {
    /// Checks the range of every constant.
    ///
    /// # Errors
    /// The first constant that cannot be used, by its dotted name.
    pub fn check_ranges(&self) -> Result<(), SettingsError> {
        KindConstants::check(self)
    }

    /// The settings of the 15 categories of MVTec AD (`crates/augment/data/nsa.toml`).
    pub fn builtin() -> BTreeMap<String, NsaSettings> {
        // The file is embedded; a test parses it.
        Self::from_toml(include_str!("../../../data/nsa.toml")).unwrap_or_default()
    }

    /// Reads the settings of many categories, one table each.
    ///
    /// # Errors
    /// [`NsaError`], with the category, or the line, and what is wrong.
    pub fn from_toml(text: &str) -> Result<BTreeMap<String, NsaSettings>, NsaError> {
        let categories: BTreeMap<String, NsaSettings> = toml::from_str(text)?;
        for (category, settings) in &categories {
            settings.check().map_err(|error| NsaError::Value {
                category: category.clone(),
                error,
            })?;
        }
        Ok(categories)
    }
}

impl KindConstants for NsaSettings {
    fn check(&self) -> Result<(), SettingsError> {
        pair("half_height", self.half_height, positive_up_to(0.5))?;
        pair("half_width", self.half_width, positive_up_to(0.5))?;
        pair("scale", self.scale, POSITIVE)?;
        number("gamma.offset", self.gamma.offset, ..)?;
        number("gamma.shape", self.gamma.shape, POSITIVE)?;
        number("gamma.scale", self.gamma.scale, POSITIVE)?;
        whole("patches", self.patches, 1..)?;
        if let Some(objects) = &self.objects {
            Background::check(Some(objects.background))
                .and_then(|()| number("min_share", objects.min_share, 0.0..1.0))
                .and_then(|()| number("min_overlap", objects.min_overlap, 0.0..1.0))
                .map_err(|error| error.within("objects"))?;
        }
        number("label.steepness", self.label.steepness, ..)?;
        number("label.midpoint", self.label.midpoint, ..)
    }

    /// Patches come from other normal images where there are any.
    fn simulator(&self, materials: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(Nsa {
            settings: *self,
            sources: materials.normals.clone(),
            label: LabelKind::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_has_every_category() {
        let all = NsaSettings::from_toml(include_str!("../../../data/nsa.toml")).unwrap();
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
        for (name, settings) in &all {
            let texture = settings.blending == Guidance::Mixed;
            assert_eq!(settings.preparation == Preparation::Texture, texture, "{name}");
        }
        let unaligned = all
            .iter()
            .filter(|(_, settings)| settings.preparation == Preparation::Unaligned);
        let unaligned: Vec<&str> = unaligned.map(|(name, _)| name.as_str()).collect();
        assert_eq!(unaligned, ["bottle", "hazelnut", "metal_nut", "screw"]);
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
        assert_eq!(
            error("[a]\npatches = 0"),
            "NSA settings of category \"a\": patches must be at least 1, not 0"
        );
        assert!(error("[a]\nhalf_width = [0.4, 0.1]").contains("half_width"));
        assert!(error("[a]\nhalf_height = [0.1, 0.6]").contains("half_height"));
        assert!(error("[a]\nscale = [0.0, 1.0]").contains("scale"));
        assert!(error("[a]\ngamma = { offset = 0.1, shape = 0.0, scale = 1.0 }").contains("gamma"));
        assert!(error("[a]\nlabel = { steepness = nan, midpoint = 1 }").contains("label"));
        assert!(error("[a]\nhalf = 3").contains("unknown field `half`"));
    }
}
