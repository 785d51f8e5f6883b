//! A grid of values: rows by methods, ours beside the paper's.

use super::PaperTable;
use super::observation::{Observation, Quantity};
use super::spread::Spread;
use crate::published::{Mark, Printed, Published};
use flawforge::training::Method;
use serde::Serialize;
use std::fmt::Write as _;

/// The name of the row of means.
const AVERAGE: &str = "average";
/// The caption of the row of the paper's own means.
const PRINTED: &str = "average printed in the paper";

/// One method's values in one row.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// The row: a category, a kind, or `average`.
    pub row: String,
    /// How many seeds the values summarise.
    pub seeds: usize,
    /// Ours, in the order of the grid's quantities.
    pub ours: Vec<Spread>,
    /// The paper's value; in the row of averages, the mean of its values in the rows shown.
    pub paper: Option<Printed>,
}

/// The rows of a grid.
pub(super) struct Rows<'a> {
    /// What a row is.
    pub(super) heading: &'static str,
    /// Their names; the average is over them.
    pub(super) names: &'a [String],
    /// Rows below the average: of observations of that name, or of the average over others.
    pub(super) extra: &'a [(String, Option<Vec<String>>)],
    /// Those of them that mean what the paper's rows of that name mean.
    pub(super) of_paper: &'a [String],
}

/// A grid of values: one row a category or kind, one column a method, and the paper's beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Grid {
    /// Its heading; empty for the paper's table itself.
    pub heading: String,
    /// What a row is.
    pub row_heading: &'static str,
    /// The names of what each entry shows.
    #[serde(rename = "figures")]
    pub quantities: Vec<String>,
    /// Methods in column order.
    pub methods: Vec<Method>,
    /// What stands over their columns.
    pub columns: Vec<String>,
    /// Rows in order, the average among them.
    pub rows: Vec<String>,
    /// All entries.
    pub entries: Vec<Entry>,
    /// The means that the paper prints, by method; absent where the paper has no such table.
    pub printed: Option<Vec<(Method, Printed)>>,
}

impl Grid {
    /// The grid of `quantities`. `paper` is the table of the published numbers that stands beside ours.
    ///
    /// The average over rows is taken per seed, so that its spread is that of whole runs.
    pub(super) fn new(
        heading: &str,
        quantities: &[Quantity],
        methods: &[Method],
        rows: &Rows<'_>,
        observations: &[Observation],
        published: &Published,
        paper: Option<PaperTable>,
    ) -> Self {
        let value = |method: Method, row: &String| {
            let table = paper.filter(|_| rows.of_paper.contains(row))?;
            published.cell(table, method, row)
        };
        let mut entries = Vec::new();
        let mut add = |method: Method, row: &str, found: &[&Observation], paper: Option<Printed>| {
            let of_quantity = |quantity: &Quantity| {
                let values: Vec<f64> = found
                    .iter()
                    .map(|o| o.values.get(quantity).copied())
                    .collect::<Option<_>>()?;
                Some(Spread::of(&values))
            };
            let ours: Option<Vec<Spread>> = quantities.iter().map(of_quantity).collect();
            if let (false, Some(ours)) = (found.is_empty(), ours) {
                entries.push(Entry {
                    method,
                    row: row.to_owned(),
                    seeds: found.len(),
                    ours,
                    paper,
                });
            }
        };
        for &method in methods {
            let of_row = |row: &String| -> Vec<&Observation> {
                observations
                    .iter()
                    .filter(|o| o.method == method && &o.row == row)
                    .collect()
            };
            for row in rows.names {
                add(method, row, &of_row(row), value(method, row));
            }
            let averages = Observation::averages(observations, method, rows.names, quantities);
            let shown: Option<Vec<Printed>> = rows.names.iter().map(|row| value(method, row)).collect();
            add(
                method,
                AVERAGE,
                &averages.iter().collect::<Vec<_>>(),
                shown.and_then(|all| mean(&all)),
            );
            for (name, of) in rows.extra {
                match of {
                    None => add(method, name, &of_row(name), None),
                    Some(others) => {
                        let averages = Observation::averages(observations, method, others, quantities);
                        add(method, name, &averages.iter().collect::<Vec<_>>(), None);
                    }
                }
            }
        }
        let printed = paper.map(|table| {
            let of = |&method: &Method| Some((method, published.cell(table, method, AVERAGE)?));
            methods.iter().filter_map(of).collect()
        });
        let mut names = rows.names.to_vec();
        names.push(AVERAGE.to_owned());
        names.extend(rows.extra.iter().map(|(name, _)| name.clone()));
        Self {
            heading: heading.to_owned(),
            row_heading: rows.heading,
            quantities: quantities.iter().map(|quantity| quantity.name()).collect(),
            methods: methods.to_vec(),
            columns: methods.iter().map(Method::to_string).collect(),
            rows: names,
            entries,
            printed,
        }
    }

    /// The entry of a method in a row.
    pub fn entry(&self, method: Method, row: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.method == method && e.row == row)
    }

    /// The grid as a Markdown table.
    pub(super) fn markdown(&self) -> String {
        let beside = self.printed.is_some();
        let mut text = format!("| {} |", self.row_heading);
        for column in &self.columns {
            let _ = write!(text, " {column} |{}", if beside { " paper |" } else { "" });
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(self.methods.len() * if beside { 2 } else { 1 }));
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "| {row} |");
            for &method in &self.methods {
                let entry = self.entry(method, row);
                let ours = entry.map_or("–".to_owned(), |entry| joined(&entry.ours));
                let _ = write!(text, " {ours} |");
                if beside {
                    // A mean that was computed from printed values gets one digit more than they have.
                    let digits = if row == AVERAGE { 2 } else { 1 };
                    let paper = entry.and_then(|entry| entry.paper);
                    let _ = write!(
                        text,
                        " {} |",
                        paper.map_or("–".to_owned(), |paper| text_of(paper, digits))
                    );
                }
            }
            text.push('\n');
        }
        if let Some(printed) = &self.printed {
            let _ = write!(text, "| {PRINTED} |");
            for method in &self.methods {
                let found = printed.iter().find(|(name, _)| name == method);
                let paper = found.map_or("–".to_owned(), |(_, paper)| text_of(*paper, 1));
                let _ = write!(text, " | {paper} |");
            }
            text.push('\n');
        }
        text
    }
}

fn text_of(paper: Printed, digits: usize) -> String {
    format!(
        "{:.digits$} / {:.digits$}{}",
        paper.auroc,
        paper.ap,
        paper.mark.sign()
    )
}

fn joined(spreads: &[Spread]) -> String {
    spreads
        .iter()
        .map(Spread::to_string)
        .collect::<Vec<_>>()
        .join(" / ")
}

/// The mean of printed values, inferred if one of them is.
fn mean(values: &[Printed]) -> Option<Printed> {
    let count = values.len() as f64;
    let inferred = values.iter().any(|value| value.mark == Mark::Inferred);
    (!values.is_empty()).then(|| Printed {
        auroc: values.iter().map(|value| value.auroc).sum::<f64>() / count,
        ap: values.iter().map(|value| value.ap).sum::<f64>() / count,
        mark: if inferred { Mark::Inferred } else { Mark::None },
    })
}
