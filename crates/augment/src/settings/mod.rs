//! A simulation as plain data: what a settings file holds of it.

mod check;
mod constants;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

pub use check::SettingsError;
pub(crate) use check::{POSITIVE, number, pair, perlin, positive_up_to, rectangle, scar, whole};
pub use constants::Constants;
pub(crate) use constants::KindConstants;

use crate::{Choice, Grey, Kind, Photometric, RotateNormals, Selection, Simulation, TextureSource};

/// Everything that a [`Simulation`] is made of beside images: which kinds it draws how often, and every constant of their
/// simulators.
///
/// TOML form. A kind is named with its weight; constants that are left out have their defaults, at any depth:
///
/// ```
/// use flawforge_augment::{Constants, Kind, SimulationSettings};
///
/// let settings: SimulationSettings = toml::from_str(
///     r#"
///     clean_probability = 0.5
///     rotation = { probability = 0.3, max_degrees = 45 }
///     [kinds.transparent]
///     weight = 1
///     [kinds.near-distribution]
///     weight = 2
///     density = 0.3
///     "#,
/// )?;
/// let Constants::NearDistribution(ndaa) = &settings.kinds[&Kind::NearDistribution].constants else { unreachable!() };
/// assert_eq!((ndaa.density, ndaa.difference), (0.3, 15.0));
/// settings.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationSettings {
    /// Probability that no anomaly is attempted, in [0, 1]; 0.5 (DRAEM; Lin & Yan do not say). It is rounded to 32 bits
    /// when it is used.
    #[serde(default = "half")]
    pub clean_probability: f64,
    /// Rotation of normal images, before anything else; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotateNormals>,
    /// Light and focus of normal images, after their rotation; `None`: as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<Photometric>,
    /// Whether anomalies of foreign colors lose them, because normal images have none.
    #[serde(default)]
    pub grey: bool,
    /// The kinds that are drawn.
    #[serde(default, deserialize_with = "read_kinds")]
    pub kinds: BTreeMap<Kind, KindSettings>,
}

fn half() -> f64 {
    0.5
}

/// How often a kind is drawn, and with which constants.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindSettings {
    /// Relative to the other kinds; finite, at least 0, and 0 is never.
    pub weight: f64,
    /// The constants of its simulator; of the kind under whose key they stand.
    #[serde(flatten)]
    pub constants: Constants,
}

/// The images that anomalies are made of.
#[derive(Clone)]
pub struct Materials {
    /// Textures that the product does not have.
    pub textures: Arc<dyn TextureSource>,
    /// Normal images, from which NSA and foreign patches are cut; `None`: patches are cut from the image itself.
    pub normals: Option<Arc<dyn TextureSource>>,
}

/// Textures alone.
impl From<Arc<dyn TextureSource>> for Materials {
    fn from(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            textures,
            normals: None,
        }
    }
}

impl SimulationSettings {
    /// DRAEM's: rotation of normals, transparent anomalies, half of the samples clean.
    pub fn draem() -> Self {
        Self {
            rotation: Some(RotateNormals::default()),
            ..Self::selected(&Selection::only(Kind::Transparent))
        }
    }

    /// Lin & Yan's for a category: the kinds of its selection, half of the samples clean.
    pub fn selected(selection: &Selection) -> Self {
        let kinds = selection.enabled().filter_map(|(kind, weight)| {
            let constants = Constants::of(kind)?;
            Some((kind, KindSettings { weight, constants }))
        });
        Self {
            clean_probability: half(),
            rotation: selection.rotate_normals.then(|| RotateNormals {
                fill: selection.fill,
                ..RotateNormals::default()
            }),
            light: selection.light,
            grey: selection.grey,
            kinds: kinds.collect(),
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`SettingsError`] for the first that is out of its range or not a number, for constants under the key of another
    /// kind, and when no kind has a weight greater than 0.
    pub fn check(&self) -> Result<(), SettingsError> {
        number("clean_probability", self.clean_probability, 0.0..=1.0)?;
        if let Some(rotation) = &self.rotation {
            rotation.check().map_err(|error| error.within("rotation"))?;
        }
        if let Some(light) = &self.light {
            light.check().map_err(|error| error.within("light"))?;
        }
        for (kind, settings) in &self.kinds {
            let checked = number("weight", settings.weight, 0.0..).and_then(|()| {
                if settings.constants.kind() == *kind {
                    settings.constants.check()
                } else {
                    Err(SettingsError::new(
                        "",
                        format!(
                            "must be the constants of {kind}, not of {}",
                            settings.constants.kind()
                        ),
                    ))
                }
            });
            checked.map_err(|error| error.within(kind.name()).within("kinds"))?;
        }
        if self.kinds.values().any(|settings| settings.weight > 0.0) {
            Ok(())
        } else {
            Err(SettingsError::new("kinds", "must enable at least one kind"))
        }
    }

    /// The simulation of these settings; kinds of weight 0 are left out. Settings that [fail](Self::check) make one that
    /// panics or never ends.
    pub fn simulation(&self, materials: &Materials) -> Simulation {
        let choices = self.kinds.iter().filter(|(_, settings)| settings.weight > 0.0);
        Simulation {
            p_clean: self.clean_probability as f32,
            rotation: self.rotation,
            light: self.light,
            choices: choices
                .map(|(kind, settings)| {
                    let simulator = settings.constants.simulator(materials);
                    Choice {
                        simulator: if self.grey && kind.has_foreign_colors() {
                            Arc::new(Grey(simulator))
                        } else {
                            simulator
                        },
                        weight: settings.weight,
                        on_failure: kind.on_failure(),
                    }
                })
                .collect(),
            inside: false,
        }
    }
}

/// Each kind by its key, which says what its constants are.
fn read_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Kind, KindSettings>, D::Error> {
    let mut kinds = BTreeMap::new();
    for (key, table) in BTreeMap::<String, Table>::deserialize(deserializer)? {
        let in_place = |error: String| D::Error::custom(format!("kinds.{key}: {error}"));
        let kind = key
            .parse()
            .map_err(|error: crate::UnknownKind| in_place(error.to_string()))?;
        let settings = KindSettings::read(kind, table).map_err(in_place)?;
        if kinds.insert(kind, settings).is_some() {
            return Err(in_place("is there twice".to_owned()));
        }
    }
    Ok(kinds)
}

impl KindSettings {
    fn read(kind: Kind, mut table: Table) -> Result<Self, String> {
        let weight = match table.remove("weight") {
            Some(Value::Float(weight)) => weight,
            Some(Value::Integer(weight)) => weight as f64,
            Some(other) => return Err(format!("weight must be a number, not {other}")),
            None => return Err("weight is missing".to_owned()),
        };
        let constants = Constants::read(kind, table)?;
        Ok(Self { weight, constants })
    }
}

#[cfg(test)]
mod tests;
