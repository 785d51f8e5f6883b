//! The numbers printed in the paper (`data/published.toml`), with its slips corrected and marked.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

const FACTS: &str = include_str!("../../data/published.toml");

/// An `[AUROC, AP]` pair in percent, and whether the printed value was corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Printed {
    /// Area under the ROC curve, percent.
    pub auroc: f64,
    /// Average precision, percent.
    pub ap: f64,
    /// The paper prints another value here; see [`Published::reasons`].
    pub corrected: bool,
}

#[derive(Deserialize)]
struct Column {
    #[serde(flatten)]
    cells: BTreeMap<String, [f64; 2]>,
}

#[derive(Deserialize)]
struct RawTable {
    #[expect(dead_code, reason = "kept in the file for its readers")]
    caption: String,
    #[serde(flatten)]
    methods: BTreeMap<String, Column>,
}

#[derive(Deserialize)]
struct Correction {
    table: String,
    method: String,
    category: String,
    value: [f64; 2],
    reason: String,
}

#[derive(Deserialize)]
struct Raw {
    order: Vec<String>,
    corrections: Vec<Correction>,
    #[serde(flatten)]
    tables: BTreeMap<String, RawTable>,
}

/// The paper's tables.
pub struct Published {
    raw: Raw,
}

impl Published {
    /// Parses the embedded facts.
    ///
    /// # Errors
    /// When the embedded file is malformed, which the tests of this module exclude.
    pub fn load() -> Result<Self> {
        let raw = toml::from_str(FACTS).context("data/published.toml")?;
        Ok(Self { raw })
    }

    /// The categories in the order in which the paper lists them.
    pub fn order(&self) -> &[String] {
        &self.raw.order
    }

    /// The cell of `table` (`"table1"`, `"table2"`) for a method and a category, or the column's `"average"`.
    pub fn cell(&self, table: &str, method: &str, category: &str) -> Option<Printed> {
        let [auroc, ap] = *self
            .raw
            .tables
            .get(table)?
            .methods
            .get(method)?
            .cells
            .get(category)?;
        let fix = self.correction(table, method, category);
        let [auroc, ap] = fix.map_or([auroc, ap], |c| c.value);
        Some(Printed {
            auroc,
            ap,
            corrected: fix.is_some(),
        })
    }

    fn correction(&self, table: &str, method: &str, category: &str) -> Option<&Correction> {
        self.raw
            .corrections
            .iter()
            .find(|c| c.table == table && c.method == method && c.category == category)
    }

    /// Why cells of `table` were corrected, one sentence each, for the methods shown.
    pub fn reasons(&self, table: &str, methods: &[String]) -> Vec<String> {
        let shown = |c: &&Correction| c.table == table && methods.contains(&c.method);
        let sentence = |c: &Correction| format!("{}, {}: {}", c.method, c.category, c.reason);
        self.raw.corrections.iter().filter(shown).map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every corrected column must reproduce its (corrected) printed mean to the printed digit: this is what shows
    /// that the corrections are right and that no cell was mistyped.
    #[test]
    fn corrected_columns_reproduce_their_means() {
        let published = Published::load().unwrap();
        for table in ["table1", "table2"] {
            for method in ["draem", "nsa", "patchcore", "lin-yan"] {
                let cells: Vec<_> = published
                    .order()
                    .iter()
                    .map(|category| published.cell(table, method, category).unwrap())
                    .collect();
                assert_eq!(cells.len(), 15);
                let mean = |f: fn(&Printed) -> f64| cells.iter().map(f).sum::<f64>() / 15.0;
                let average = published.cell(table, method, "average").unwrap();
                let (auroc, ap) = (mean(|c| c.auroc), mean(|c| c.ap));
                assert!(
                    (auroc - average.auroc).abs() <= 0.065,
                    "{table} {method} {auroc} {}",
                    average.auroc
                );
                assert!(
                    (ap - average.ap).abs() <= 0.065,
                    "{table} {method} {ap} {}",
                    average.ap
                );
            }
        }
    }

    #[test]
    fn a_slip_is_corrected_and_marked() {
        let published = Published::load().unwrap();
        let leather = published.cell("table2", "draem", "leather").unwrap();
        assert_eq!(
            leather,
            Printed {
                auroc: 98.6,
                ap: 75.3,
                corrected: true
            }
        );
        assert!(published.cell("table2", "draem", "connector").is_none());
        assert_eq!(published.reasons("table2", &["draem".into()]).len(), 1);
    }
}
