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
            weights: Weights::default(),
            sources: Sources::default(),
            reason: String::new(),
        }
    }
}

impl Selection {
    /// Whether a kind is enabled.
    pub fn enables(&self, kind: Kind) -> bool {
        match kind {
            Kind::Transparent => self.transparent,
            Kind::Opaque => self.opaque,
            Kind::NearDistribution => self.near_distribution,
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
    /// The weight of a kind.
    pub fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Transparent => self.transparent,
            Kind::Opaque => self.opaque,
            Kind::NearDistribution => self.near_distribution,
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
    /// The 15 categories of MVTec AD (`data/selection.toml`).
    pub fn builtin() -> Self {
        // The file is embedded; a test parses it.
        Self::from_toml(include_str!("../../../data/selection.toml")).unwrap_or_default()
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
    #[serde(default)]
    weights: Weights,
    #[serde(default)]
    reason: String,
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
