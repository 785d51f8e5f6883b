//! A regenerated table as Markdown, CSV and JSON.

use super::grid::{Entry, Grid};
use super::observation::Quantity;
use crate::cell::CellResult;
use crate::simulated::SimulatedResult;
use anyhow::{Context, Result};
use flawforge::datasets::counted;
use flawforge::files;
use flawforge::training::Method;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// A regenerated table.
#[derive(Debug, Serialize)]
pub struct Table {
    /// `table1` to `table4`.
    pub name: &'static str,
    /// Title line.
    pub title: &'static str,
    /// Methods in column order.
    pub methods: Vec<Method>,
    /// The categories that it is about.
    pub categories: Vec<String>,
    /// Cells that the table is about, finished or not.
    #[serde(skip)]
    pub planned: usize,
    /// Those of them that are not there yet.
    #[serde(skip_serializing_if = "none")]
    pub missing: usize,
    /// The paper's table first, then what goes beyond it.
    pub grids: Vec<Grid>,
    /// Where images, textures and budget differ from the paper's setting, one sentence each.
    pub differences: Vec<String>,
    /// Why values of the paper are not as printed.
    pub corrections: Vec<String>,
    /// The cells behind the values, with their seeds and configuration hashes.
    pub cells: Vec<CellResult>,
    /// Their metrics on the simulated dataset, by category and kind, where the table shows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub simulated: Vec<SimulatedResult>,
    /// Whether seconds of training are shown.
    #[serde(skip)]
    pub times: bool,
}

fn none(count: &usize) -> bool {
    *count == 0
}

impl Table {
    /// The table without seconds of training, which no two runs share.
    #[must_use]
    pub fn without_times(mut self) -> Self {
        let seconds = Quantity::TrainSeconds.name();
        self.grids.retain(|grid| !grid.quantities.contains(&seconds));
        self.times = false;
        self
    }

    /// The table as JSON.
    ///
    /// # Errors
    /// When the text cannot be assembled.
    pub fn json(&self) -> Result<String> {
        if self.times {
            return Ok(serde_json::to_string_pretty(self)?);
        }
        let mut value = serde_json::to_value(self)?;
        let cells = value.get_mut("cells").and_then(serde_json::Value::as_array_mut);
        for cell in cells.into_iter().flatten() {
            if let Some(fields) = cell.as_object_mut() {
                fields.remove("train_seconds");
            }
        }
        Ok(serde_json::to_string_pretty(&value)?)
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        text.push_str(
            "Ours (mean ± standard deviation over seeds) beside the paper's. In the row of averages the paper's is the mean of its \
             values in the rows above; what it prints stands below.\n",
        );
        if self.missing > 0 {
            let _ = writeln!(
                text,
                "\n**{} of {} {} missing.**",
                self.missing,
                counted(self.planned, "cell"),
                if self.planned == 1 { "is" } else { "are" }
            );
        }
        for grid in &self.grids {
            if grid.heading.is_empty() {
                let _ = write!(text, "\n{}", grid.markdown());
            } else {
                let _ = write!(text, "\n## {}\n\n{}", grid.heading, grid.markdown());
            }
        }
        let _ = write!(text, "\n## What differs from the paper\n\n");
        for line in &self.differences {
            let _ = writeln!(text, "- {line}");
        }
        if !self.corrections.is_empty() {
            let _ = write!(
                text,
                "\n## Values that are not as printed (‡ corrected, ◊ inferred)\n\n"
            );
            for line in &self.corrections {
                let _ = writeln!(text, "- {line}");
            }
        }
        text
    }

    /// The table as CSV text, one line for each method and row, with the values of all grids.
    ///
    /// # Errors
    /// When the text cannot be assembled.
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["method".to_owned(), "row".into(), "seeds".into()];
        for grid in &self.grids {
            for quantity in &grid.quantities {
                header.extend([quantity.clone(), format!("{quantity}_sd")]);
            }
            if grid.printed.is_some() {
                header.extend(grid.quantities.iter().map(|quantity| format!("paper_{quantity}")));
                header.push(format!(
                    "paper_{}_mark",
                    grid.quantities.first().map_or("", String::as_str)
                ));
            }
        }
        writer.write_record(&header)?;
        for &method in &self.methods {
            let rows = self.grids.first().map_or(&[][..], |grid| &grid.rows);
            for row in rows {
                if let Some(line) = self.line(method, row) {
                    writer.write_record(&line)?;
                }
            }
        }
        Ok(String::from_utf8(
            writer.into_inner().context("assembling the CSV")?,
        )?)
    }

    fn line(&self, method: Method, row: &str) -> Option<Vec<String>> {
        let entries: Vec<Option<&Entry>> = self.grids.iter().map(|grid| grid.entry(method, row)).collect();
        let seeds = entries.iter().flatten().next()?.seeds;
        let mut line = vec![method.name().to_owned(), row.to_owned(), seeds.to_string()];
        for (grid, entry) in self.grids.iter().zip(entries) {
            for index in 0..grid.quantities.len() {
                let spread = entry.map(|entry| entry.ours[index]);
                line.push(spread.map_or(String::new(), |s| format!("{:.4}", s.mean)));
                line.push(
                    spread
                        .and_then(|s| s.deviation)
                        .map_or(String::new(), |d| format!("{d:.4}")),
                );
            }
            if grid.printed.is_some() {
                let paper = entry.and_then(|entry| entry.paper);
                line.push(paper.map_or(String::new(), |p| format!("{:.2}", p.auroc)));
                line.push(paper.map_or(String::new(), |p| format!("{:.2}", p.ap)));
                line.push(paper.map_or(String::new(), |p| p.mark.name().to_owned()));
            }
        }
        Some(line)
    }

    /// Writes `NAME.md`, `NAME.csv` and `NAME.json` into `out`, each atomically.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
        for (extension, content) in [
            ("md", self.markdown()),
            ("csv", self.csv()?),
            ("json", self.json()?),
        ] {
            files::write(
                &out.join(format!("{}.{extension}", self.name)),
                content.as_bytes(),
            )?;
        }
        Ok(())
    }
}
