//! The numbers printed in the paper (`crates/lab/data/published.toml`), with its slips corrected and marked.

use crate::tables::PaperTable;
use anyhow::{Context, Result};
use flawforge::training::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FACTS: &str = include_str!("../data/published.toml");

/// Whether a value of the paper is as printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// As printed.
    None,
    /// The paper prints another value here; see [`Published::reasons`].
    Corrected,
    /// The paper prints no value here, but implies it.
    Inferred,
}

impl Mark {
    /// What stands behind the value in a table.
    pub fn sign(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Corrected => " ‡",
            Self::Inferred => " ◊",
        }
    }

    /// What stands in its column of a CSV file.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Corrected => "corrected",
            Self::Inferred => "inferred",
        }
    }
}

/// An `[AUROC, AP]` pair in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Printed {
    /// Area under the ROC curve, percent.
    pub auroc: f64,
    /// Average precision, percent.
    pub ap: f64,
    /// Whether it is as printed.
    pub mark: Mark,
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

/// A row that the paper does not print.
#[derive(Deserialize)]
struct Inferred {
    table: String,
    category: String,
    reason: String,
}

#[derive(Deserialize)]
struct Raw {
    order: Vec<String>,
    corrections: Vec<Correction>,
    inferred: Vec<Inferred>,
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
        let raw = toml::from_str(FACTS).context("crates/lab/data/published.toml")?;
        Ok(Self { raw })
    }

    /// The categories in the order in which the paper lists them.
    pub fn order(&self) -> &[String] {
        &self.raw.order
    }

    /// The cell of `table` for a method and a category (in table 3, a kind of anomaly), or the column's `"average"`.
    pub fn cell(&self, table: PaperTable, method: Method, category: &str) -> Option<Printed> {
        let (table, method) = (table.name(), method.name());
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
        let inferred = |row: &Inferred| row.table == table && row.category == category;
        let mark = match fix {
            Some(_) => Mark::Corrected,
            None if self.raw.inferred.iter().any(inferred) => Mark::Inferred,
            None => Mark::None,
        };
        Some(Printed { auroc, ap, mark })
    }

    fn correction(&self, table: &str, method: &str, category: &str) -> Option<&Correction> {
        self.raw
            .corrections
            .iter()
            .find(|c| c.table == table && c.method == method && c.category == category)
    }

    /// Why cells of `table` are not as printed, one sentence each, for the methods shown.
    pub fn reasons(&self, table: PaperTable, methods: &[Method]) -> Vec<String> {
        let table = table.name();
        let named = |name: &str| methods.iter().any(|method| method.name() == name);
        let shown = |c: &&Correction| c.table == table && named(&c.method);
        let sentence = |c: &Correction| format!("{}, {}: {}", c.method, c.category, c.reason);
        let corrected = self.raw.corrections.iter().filter(shown).map(sentence);
        let inferred = self.raw.inferred.iter().filter(|row| row.table == table);
        corrected
            .chain(inferred.map(|row| format!("{}: {}", row.category, row.reason)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::KINDS;

    /// Every corrected column must reproduce its (corrected) printed mean to the printed digit: this is what shows
    /// that the corrections are right and that no cell was mistyped.
    #[test]
    fn corrected_columns_reproduce_their_means() {
        let published = Published::load().unwrap();
        for table in PaperTable::ALL {
            let rows: Vec<String> = match table {
                PaperTable::Three => KINDS.iter().map(|kind| kind.name().to_owned()).collect(),
                PaperTable::One | PaperTable::Two | PaperTable::Four => published.order().to_vec(),
            };
            let columns = &published.raw.tables[table.name()].methods;
            assert_eq!(columns.len(), 4, "{table:?}");
            for (method, column) in columns {
                let method: Method = method.parse().unwrap();
                let cells: Vec<_> = rows
                    .iter()
                    .map(|row| published.cell(table, method, row).unwrap())
                    .collect();
                assert_eq!(column.cells.len(), cells.len() + 1);
                let mean = |f: fn(&Printed) -> f64| cells.iter().map(f).sum::<f64>() / cells.len() as f64;
                let average = published.cell(table, method, "average").unwrap();
                let (auroc, ap) = (mean(|c| c.auroc), mean(|c| c.ap));
                assert!(
                    (auroc - average.auroc).abs() <= 0.065,
                    "{table:?} {method} {auroc} {}",
                    average.auroc
                );
                assert!(
                    (ap - average.ap).abs() <= 0.065,
                    "{table:?} {method} {ap} {}",
                    average.ap
                );
            }
        }
    }

    #[test]
    fn the_ablation_ends_in_the_column_of_table_2() {
        let published = Published::load().unwrap();
        for category in published.order() {
            let of = |table| published.cell(table, Method::LinYan, category).unwrap();
            assert_eq!(of(PaperTable::Two), of(PaperTable::Four), "{category}");
        }
    }

    #[test]
    fn columns_are_those_of_methods() {
        let published = Published::load().unwrap();
        for table in PaperTable::ALL {
            for &method in table.methods() {
                assert!(published.cell(table, method, "average").is_some(), "{method}");
            }
        }
    }

    #[test]
    fn a_slip_is_corrected_and_marked() {
        let published = Published::load().unwrap();
        let leather = published.cell(PaperTable::Two, Method::Draem, "leather").unwrap();
        assert_eq!(
            leather,
            Printed {
                auroc: 98.6,
                ap: 75.3,
                mark: Mark::Corrected
            }
        );
        let implied = published
            .cell(PaperTable::Three, Method::Draem, "near-distribution")
            .unwrap();
        assert_eq!(implied.mark, Mark::Inferred);
        assert!(
            published
                .cell(PaperTable::Two, Method::Draem, "connector")
                .is_none()
        );
        assert_eq!(published.reasons(PaperTable::Two, &[Method::Draem]).len(), 1);
        assert_eq!(published.reasons(PaperTable::Three, &[]).len(), 1);
    }
}
