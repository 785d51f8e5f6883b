//! The selections of many categories.

use std::collections::BTreeMap;

use thiserror::Error;

use super::Selection;

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
        Self::from_toml(include_str!("../../data/selection.toml")).unwrap_or_default()
    }

    /// Reads selections: one table per category in the form of [`Selection`]; the table `default` stands for
    /// all categories without one.
    ///
    /// # Errors
    /// [`SelectionError`], with the category, or the line, and what is wrong.
    pub fn from_toml(text: &str) -> Result<Self, SelectionError> {
        let mut categories: BTreeMap<String, Selection> = toml::from_str(text)?;
        for (category, selection) in &categories {
            let mut weights = selection.kinds.values().map(|answer| answer.weight);
            if let Some(weight) = weights.find(|weight| !(weight.is_finite() && *weight >= 0.0)) {
                return Err(SelectionError::Weight {
                    category: category.clone(),
                    weight,
                });
            }
            if selection.enabled().next().is_none() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Source};

    #[test]
    fn the_embedded_file_holds_the_fifteen_categories() {
        let selections = Selections::from_toml(include_str!("../../data/selection.toml")).unwrap();
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
        assert_eq!(
            with(|s| s.enables(Kind::Transparent) && s.enables(Kind::Opaque)).len(),
            15
        );
        assert_eq!(
            with(|s| !s.enables(Kind::NearDistribution)),
            ["hazelnut", "leather", "tile", "wood"]
        );
        let rotated = ["bottle", "hazelnut", "leather", "metal_nut", "screw", "tile"];
        assert_eq!(with(|s| s.rotate_normals), rotated);
        // Every cell says where it comes from.
        for name in &names {
            let selection = &selections.categories[*name];
            let inferred = if ["leather", "tile"].contains(name) {
                Source::PaperInferred
            } else {
                Source::Proposal
            };
            assert_eq!(selection.kinds[&Kind::NearDistribution].source, Some(inferred));
            assert_eq!(selection.rotate_source, Some(inferred));
            let sourced = |kind| selection.kinds[&kind].source.is_some();
            assert!(sourced(Kind::Transparent) && sourced(Kind::Opaque));
        }
        let other = selections.get_or_default("my own parts");
        assert_eq!(
            other,
            &Selection {
                kinds: other.kinds.clone(),
                rotate_source: other.rotate_source,
                reason: other.reason.clone(),
                ..Selection::default()
            }
        );
        assert!(other.enabled().eq(Selection::default().enabled()));
        assert_eq!(selections.get("my own parts"), None);
        assert_eq!(selections.get("default"), None);
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
        assert!(Selections::from_toml("[a]\nopaque = true").is_ok());
        assert!(fault("[a").starts_with("selections: "));
    }
}
