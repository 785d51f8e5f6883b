//! Which kinds of anomaly suit which category.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::{Fill, Kind};

/// Which simulated anomalies are anomalies indeed in a category, and whether its normal images may be rotated:
/// the outcome of Lin & Yan's selection strategy (fig. 1).
///
/// Covering kinds (transparent, opaque) are always anomalies. NDAA is on when a change of relative position is
/// an anomaly. Rotation of normals is on when a change of global orientation is *not* one.
///
/// TOML form (all keys but the first four may be left out; a bare `true` or `false` has no source):
///
/// ```toml
/// ["my parts"]
/// transparent = true
/// opaque = true
/// near_distribution = { on = true, source = "proposal" }
/// rotate_normals = false
/// fill = "edge"
/// weights = { transparent = 1.0, opaque = 1.0, near_distribution = 2.0 }
/// reason = "fixed pose; bent pins are faults"
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Whether a texture may shine through.
    pub transparent: bool,
    /// Whether a texture may cover the surface.
    pub opaque: bool,
    /// Whether the surface may be bent (NDAA).
    pub near_distribution: bool,
    /// Whether normal images are rotated, as normal images.
    pub rotate_normals: bool,
    /// What the corners of rotated normal images show; black, as DRAEM.
    pub fill: Fill,
    /// Whether textures lose their colours, because normal images have none; not by default, as in both papers.
    pub grey: bool,
    /// How often each kind is drawn, relative to the other enabled ones; all 1.
    pub weights: Weights,
    /// Where each of the four answers comes from.
    pub sources: Sources,
    /// Why, for people.
    pub reason: String,
}

/// Everything is an anomaly, nothing is rotated: the covering kinds are always right, and most things that are
/// made have parts whose place matters (proposal).
impl Default for Selection {
    fn default() -> Self {
        Self {
            transparent: true,
            opaque: true,
            near_distribution: true,
            rotate_normals: false,
            fill: Fill::Black,
            grey: false,
            weights: Weights::default(),
            sources: Sources::default(),
            reason: String::new(),
        }
    }
}

impl Selection {
    /// Whether a kind is enabled; kinds that no selection chooses from are not.
    pub fn enables(&self, kind: Kind) -> bool {
        match kind {
            Kind::Transparent => self.transparent,
            Kind::Opaque => self.opaque,
            Kind::NearDistribution => self.near_distribution,
            _ => false,
        }
    }
}

/// Relative frequencies of the kinds, each finite and at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Of [`Kind::Transparent`].
    pub transparent: f64,
    /// Of [`Kind::Opaque`].
    pub opaque: f64,
    /// Of [`Kind::NearDistribution`].
    pub near_distribution: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            transparent: 1.0,
            opaque: 1.0,
            near_distribution: 1.0,
        }
    }
}

impl Weights {
    /// The weight of a kind; 0 for those that no selection chooses from.
    pub fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Transparent => self.transparent,
            Kind::Opaque => self.opaque,
            Kind::NearDistribution => self.near_distribution,
            _ => 0.0,
        }
    }
}

/// Where an answer of a selection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Follows from the figures that Lin & Yan print.
    PaperInferred,
    /// This project's judgement; the paper does not print its selection.
    Proposal,
}

/// The sources of the four answers; `None` where the file does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sources {
    /// Of `transparent`.
    pub transparent: Option<Source>,
    /// Of `opaque`.
    pub opaque: Option<Source>,
    /// Of `near_distribution`.
    pub near_distribution: Option<Source>,
    /// Of `rotate_normals`.
    pub rotate_normals: Option<Source>,
}

/// What is wrong with a text of selections.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// Not TOML, or not of the form of [`Selection`].
    #[error("selections: {0}")]
    Form(#[from] toml::de::Error),
    /// A category enables no kind of anomaly, or only kinds of weight 0.
    #[error("selection of category {category:?} enables no kind of anomaly")]
    NoKind {
        /// The category.
        category: String,
    },
    /// A weight is negative or not a number.
    #[error("selection of category {category:?}: weight {weight} is not a number of at least 0")]
    Weight {
        /// The category.
        category: String,
        /// The weight given.
        weight: f64,
    },
}

/// The selections of many categories, by name, and a default for others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selections {
    categories: BTreeMap<String, Selection>,
    default: Selection,
}

impl Selections {
    /// The 15 categories of MVTec AD (`crates/augment/data/selection.toml`).
    pub fn builtin() -> Self {
        // The file is embedded; a test parses it.
        Self::from_toml(include_str!("../data/selection.toml")).unwrap_or_default()
    }

    /// Reads selections: one table per category in the form of [`Selection`]; the table `default` stands for
    /// all categories without one.
    ///
    /// # Errors
    /// [`SelectionError`], with the category, or the line, and the fault.
    pub fn from_toml(text: &str) -> Result<Self, SelectionError> {
        let mut categories: BTreeMap<String, Selection> = toml::from_str(text)?;
        for (category, selection) in &categories {
            let weights = Kind::ALL.map(|kind| selection.weights.of(kind));
            if let Some(&weight) = weights
                .iter()
                .find(|weight| !(weight.is_finite() && **weight >= 0.0))
            {
                return Err(SelectionError::Weight {
                    category: category.clone(),
                    weight,
                });
            }
            if !Kind::ALL
                .iter()
                .any(|&kind| selection.enables(kind) && selection.weights.of(kind) > 0.0)
            {
                return Err(SelectionError::NoKind {
                    category: category.clone(),
                });
            }
        }
        let default = categories.remove("default").unwrap_or_default();
        Ok(Self { categories, default })
    }

    /// The selection of a category that has one of its own.
    pub fn get(&self, category: &str) -> Option<&Selection> {
        self.categories.get(category)
    }

    /// The selection of a category, or the default.
    pub fn get_or_default(&self, category: &str) -> &Selection {
        self.get(category).unwrap_or(&self.default)
    }

    /// The names of the categories, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.categories.keys().map(String::as_str)
    }
}

/// An answer in its file form.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    Bare(bool),
    Sourced(Sourced),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sourced {
    on: bool,
    source: Source,
}

impl Cell {
    fn new(on: bool, source: Option<Source>) -> Self {
        source.map_or(Self::Bare(on), |source| Self::Sourced(Sourced { on, source }))
    }

    fn split(self) -> (bool, Option<Source>) {
        match self {
            Self::Bare(on) => (on, None),
            Self::Sourced(Sourced { on, source }) => (on, Some(source)),
        }
    }
}

/// A selection in its file form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    transparent: Cell,
    opaque: Cell,
    near_distribution: Cell,
    rotate_normals: Cell,
    #[serde(default)]
    fill: Fill,
    #[serde(default, skip_serializing_if = "is_false")]
    grey: bool,
    #[serde(default)]
    weights: Weights,
    #[serde(default)]
    reason: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sources = self.sources;
        let entry = Entry {
            transparent: Cell::new(self.transparent, sources.transparent),
            opaque: Cell::new(self.opaque, sources.opaque),
            near_distribution: Cell::new(self.near_distribution, sources.near_distribution),
            rotate_normals: Cell::new(self.rotate_normals, sources.rotate_normals),
            fill: self.fill,
            grey: self.grey,
            weights: self.weights,
            reason: self.reason.clone(),
        };
        entry.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = Entry::deserialize(deserializer)?;
        let (transparent, transparent_source) = entry.transparent.split();
        let (opaque, opaque_source) = entry.opaque.split();
        let (near_distribution, near_distribution_source) = entry.near_distribution.split();
        let (rotate_normals, rotate_normals_source) = entry.rotate_normals.split();
        Ok(Self {
            transparent,
            opaque,
            near_distribution,
            rotate_normals,
            fill: entry.fill,
            grey: entry.grey,
            weights: entry.weights,
            sources: Sources {
                transparent: transparent_source,
                opaque: opaque_source,
                near_distribution: near_distribution_source,
                rotate_normals: rotate_normals_source,
            },
            reason: entry.reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_holds_the_fifteen_categories() {
        let selections = Selections::from_toml(include_str!("../data/selection.toml")).unwrap();
        assert_eq!(selections, Selections::builtin());
        let names: Vec<&str> = selections.names().collect();
        let expected = [
            "bottle",
            "cable",
            "capsule",
            "carpet",
            "grid",
            "hazelnut",
            "leather",
            "metal_nut",
            "pill",
            "screw",
            "tile",
            "toothbrush",
            "transistor",
            "wood",
            "zipper",
        ];
        assert_eq!(names, expected);
        let with = |f: fn(&Selection) -> bool| -> Vec<&str> {
            names
                .iter()
                .copied()
                .filter(|name| f(&selections.categories[*name]))
                .collect()
        };
        assert_eq!(with(|s| s.transparent && s.opaque).len(), 15);
        assert_eq!(
            with(|s| !s.near_distribution),
            ["hazelnut", "leather", "tile", "wood"]
        );
        let rotated = ["bottle", "hazelnut", "leather", "metal_nut", "screw", "tile"];
        assert_eq!(with(|s| s.rotate_normals), rotated);
        // Every cell says where it comes from.
        for name in &names {
            let sources = selections.categories[*name].sources;
            let inferred = if ["leather", "tile"].contains(name) {
                Source::PaperInferred
            } else {
                Source::Proposal
            };
            assert_eq!(sources.near_distribution, Some(inferred));
            assert_eq!(sources.rotate_normals, Some(inferred));
            assert!(sources.transparent.is_some() && sources.opaque.is_some());
        }
        let other = selections.get_or_default("my own parts");
        assert_eq!(
            other,
            &Selection {
                sources: other.sources,
                reason: other.reason.clone(),
                ..Selection::default()
            }
        );
        assert_eq!(selections.get("my own parts"), None);
        assert_eq!(selections.get("default"), None);
    }

    #[test]
    fn text_and_back() {
        let text = r#"
            ["my parts"]
            transparent = true
            opaque = false
            near_distribution = { on = true, source = "proposal" }
            rotate_normals = true
            fill = "reflect"
            weights = { near_distribution = 2.5 }
        "#;
        let selections = Selections::from_toml(text).unwrap();
        let selection = selections.get("my parts").unwrap();
        assert!(selection.transparent && !selection.opaque && selection.near_distribution);
        assert_eq!(selection.fill, Fill::Reflect);
        assert_eq!(
            selection.weights,
            Weights {
                near_distribution: 2.5,
                ..Weights::default()
            }
        );
        assert_eq!(selection.sources.near_distribution, Some(Source::Proposal));
        assert_eq!(selection.sources.transparent, None);
        assert_eq!(
            &toml::from_str::<Selection>(&toml::to_string(selection).unwrap()).unwrap(),
            selection
        );
        let json = serde_json::to_string(selection).unwrap();
        assert_eq!(&serde_json::from_str::<Selection>(&json).unwrap(), selection);
    }

    #[test]
    fn faults_are_named() {
        let entry = |cells: [bool; 3], more: &str| {
            let [t, o, n] = cells;
            format!(
                "[a]\ntransparent = {t}\nopaque = {o}\nnear_distribution = {n}\nrotate_normals = false\n{more}"
            )
        };
        let fault = |text: &str| Selections::from_toml(text).unwrap_err().to_string();
        assert!(Selections::from_toml(&entry([true; 3], "")).is_ok());
        assert_eq!(
            fault(&entry([false; 3], "")),
            "selection of category \"a\" enables no kind of anomaly"
        );
        let zero = entry([false, true, false], "weights = { opaque = 0.0 }");
        assert_eq!(
            fault(&zero),
            "selection of category \"a\" enables no kind of anomaly"
        );
        for weight in ["-1.0", "nan", "inf"] {
            let text = entry([true; 3], &format!("weights = {{ opaque = {weight} }}"));
            assert!(
                fault(&text).contains("is not a number of at least 0"),
                "{}",
                fault(&text)
            );
        }
        assert!(fault(&entry([true; 3], "rotat = 1")).contains("rotat"));
        assert!(fault("[a]\nopaque = true").contains("missing field"));
        assert!(fault("[a").starts_with("selections: "));
    }
}
