//! From finished cells to a table: means and spreads over seeds, the paper's values beside ours, as Markdown, CSV and JSON.

use crate::cell::CellResult;
use crate::published::{Printed, Published};
use anyhow::{Context, Result};
use flawforge::training::write_atomically;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Mean and sample standard deviation over seeds, in percent. The spread of a single seed is unknown, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean over the seeds.
    pub mean: f64,
    /// Sample standard deviation over the seeds (n − 1), absent with one seed.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Summarises `values` (fractions in [0, 1]) as percent.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| 100.0 * (squares / (n - 1.0)).sqrt());
        Self {
            mean: 100.0 * mean,
            deviation,
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.deviation {
            Some(deviation) => write!(f, "{:.1}±{deviation:.1}", self.mean),
            None => write!(f, "{:.1}", self.mean),
        }
    }
}

/// One method's figures for one category, or for the unweighted mean over the categories (`category == "average"`).
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The method's name on the command line.
    pub method: String,
    /// The category, or `average`.
    pub category: String,
    /// How many seeds the figures summarise.
    pub seeds: usize,
    /// Pixel AUROC, percent, ground truth by DRAEM's rule.
    pub pixel_auroc: Spread,
    /// Pixel average precision, percent.
    pub pixel_ap: Spread,
    /// Image AUROC, percent.
    pub image_auroc: Spread,
    /// Image average precision, percent.
    pub image_ap: Spread,
    /// Area under the per-region overlap up to 30 % false positives, percent.
    pub aupro: Spread,
    /// Training time of one cell, seconds, mean over the seeds.
    pub train_seconds: f64,
    /// The paper's pixel AUROC and AP (Table 2), percent.
    pub paper_pixel: Option<[f64; 2]>,
    /// Whether the paper's printed pixel value was corrected.
    pub paper_pixel_corrected: bool,
    /// The paper's image AUROC and AP (Table 1), percent.
    pub paper_image: Option<[f64; 2]>,
    /// Whether the paper's printed image value was corrected.
    pub paper_image_corrected: bool,
}

/// A regenerated table.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Title line.
    pub title: String,
    /// Where images, textures and budget differ from the paper's setting, one sentence each.
    pub differences: Vec<String>,
    /// Why printed values were corrected.
    pub corrections: Vec<String>,
    /// Methods in column order.
    pub methods: Vec<String>,
    /// Categories in row order; `average` is not among them.
    pub categories: Vec<String>,
    /// All figures.
    pub entries: Vec<Entry>,
    /// The cells behind the figures, with their seeds and configuration hashes.
    pub cells: Vec<CellResult>,
}

impl Table {
    /// Builds Table 2 (localisation) with image-level figures beside it from finished cells.
    ///
    /// `methods` and `categories` give the order of columns and rows; categories or methods without a cell are left
    /// out. The average over categories is taken per seed, so that its spread is that of whole runs.
    pub fn build(
        published: &Published,
        methods: &[String],
        categories: &[String],
        cells: Vec<CellResult>,
        differences: Vec<String>,
    ) -> Self {
        let mut entries = Vec::new();
        for method in methods {
            for category in categories {
                let of_cell: Vec<_> = cells
                    .iter()
                    .filter(|c| &c.method == method && &c.category == category)
                    .collect();
                if !of_cell.is_empty() {
                    entries.push(entry(published, method, category, &of_cell));
                }
            }
            let averages = per_seed_averages(&cells, method, categories);
            if !averages.is_empty() {
                let averages: Vec<_> = averages.iter().collect();
                let mut average = entry(published, method, "average", &averages);
                // The paper's average is over its 15 categories: beside any other set it would mislead.
                if published.order().iter().any(|c| !categories.contains(c)) {
                    average.paper_pixel = None;
                    average.paper_image = None;
                }
                entries.push(average);
            }
        }
        Self {
            title: "Table 2: localisation, pixel AUROC / AP in percent".into(),
            differences,
            corrections: published.reasons("table2", methods),
            methods: methods.to_vec(),
            categories: categories.to_vec(),
            entries,
            cells,
        }
    }

    fn entry(&self, method: &str, category: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|e| e.method == method && e.category == category)
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        text.push_str(
            "ours (mean ± standard deviation over seeds) beside the value printed in the paper\n\n",
        );
        self.grid(&mut text, "paper", |e| {
            let ours = format!("{} / {}", e.pixel_auroc, e.pixel_ap);
            (ours, paper(e.paper_pixel, e.paper_pixel_corrected))
        });
        text.push_str("\n## Detection: image AUROC / AP in percent\n\n");
        self.grid(&mut text, "paper", |e| {
            let ours = format!("{} / {}", e.image_auroc, e.image_ap);
            (ours, paper(e.paper_image, e.paper_image_corrected))
        });
        text.push_str("\n## Beyond the paper: AUPRO up to 30 % false positives, and training time\n\n");
        self.grid(&mut text, "training", |e| {
            (e.aupro.to_string(), format!("{:.0} s", e.train_seconds))
        });
        text.push_str("\n## What differs from the paper\n\n");
        for line in &self.differences {
            let _ = writeln!(text, "- {line}");
        }
        if !self.corrections.is_empty() {
            text.push_str("\n## Corrected slips (marked ‡)\n\n");
            for line in &self.corrections {
                let _ = writeln!(text, "- {line}");
            }
        }
        text
    }

    /// Two columns per method: our figure, and what `second` names.
    fn grid(&self, text: &mut String, second: &str, show: impl Fn(&Entry) -> (String, String)) {
        text.push_str("| category |");
        for method in &self.methods {
            let _ = write!(text, " {method} | {second} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---|---|".repeat(self.methods.len()));
        text.push('\n');
        let average = "average".to_string();
        for category in self.categories.iter().chain([&average]) {
            let _ = write!(text, "| {category} |");
            for method in &self.methods {
                let (ours, theirs) = self
                    .entry(method, category)
                    .map_or(("–".into(), "–".into()), &show);
                let _ = write!(text, " {ours} | {theirs} |");
            }
            text.push('\n');
        }
    }

    /// The table as CSV text, one line per entry.
    ///
    /// # Errors
    /// When the text cannot be assembled.
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record([
            "method",
            "category",
            "seeds",
            "pixel_auroc",
            "pixel_auroc_sd",
            "pixel_ap",
            "pixel_ap_sd",
            "image_auroc",
            "image_auroc_sd",
            "image_ap",
            "image_ap_sd",
            "aupro",
            "aupro_sd",
            "train_seconds",
            "paper_pixel_auroc",
            "paper_pixel_ap",
            "paper_pixel_corrected",
            "paper_image_auroc",
            "paper_image_ap",
            "paper_image_corrected",
        ])?;
        for e in &self.entries {
            let mut row = vec![e.method.clone(), e.category.clone(), e.seeds.to_string()];
            for spread in [e.pixel_auroc, e.pixel_ap, e.image_auroc, e.image_ap, e.aupro] {
                row.push(format!("{:.4}", spread.mean));
                row.push(spread.deviation.map_or(String::new(), |d| format!("{d:.4}")));
            }
            row.push(format!("{:.1}", e.train_seconds));
            for (pair, corrected) in [
                (e.paper_pixel, e.paper_pixel_corrected),
                (e.paper_image, e.paper_image_corrected),
            ] {
                for i in 0..2 {
                    row.push(pair.map_or(String::new(), |p| format!("{:.1}", p[i])));
                }
                row.push(if pair.is_some() {
                    corrected.to_string()
                } else {
                    String::new()
                });
            }
            writer.write_record(&row)?;
        }
        Ok(String::from_utf8(
            writer.into_inner().context("assembling the CSV")?,
        )?)
    }

    /// Writes `NAME.md`, `NAME.csv` and `NAME.json` into `out`, each atomically.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, out: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
        let json = serde_json::to_string_pretty(self)?;
        for (extension, content) in [("md", self.markdown()), ("csv", self.csv()?), ("json", json)] {
            write_atomically(&out.join(format!("{name}.{extension}")), content.as_bytes())?;
        }
        Ok(())
    }
}

fn paper(pair: Option<[f64; 2]>, corrected: bool) -> String {
    let mark = if corrected { " ‡" } else { "" };
    pair.map_or("–".into(), |[auroc, ap]| format!("{auroc:.1} / {ap:.1}{mark}"))
}

fn entry(published: &Published, method: &str, category: &str, cells: &[&CellResult]) -> Entry {
    let spread = |f: fn(&CellResult) -> f64| Spread::of(&cells.iter().map(|c| f(c)).collect::<Vec<_>>());
    let pixel = published.cell("table2", method, category);
    let image = published.cell("table1", method, category);
    let pair = |p: Option<Printed>| p.map(|p| [p.auroc, p.ap]);
    Entry {
        method: method.into(),
        category: category.into(),
        seeds: cells.len(),
        pixel_auroc: spread(|c| c.pixel_auroc),
        pixel_ap: spread(|c| c.pixel_ap),
        image_auroc: spread(|c| c.image_auroc),
        image_ap: spread(|c| c.image_ap),
        aupro: spread(|c| c.aupro),
        train_seconds: cells.iter().map(|c| c.train_seconds).sum::<f64>() / cells.len() as f64,
        paper_pixel: pair(pixel),
        paper_pixel_corrected: pixel.is_some_and(|p| p.corrected),
        paper_image: pair(image),
        paper_image_corrected: image.is_some_and(|p| p.corrected),
    }
}

/// One pseudo-cell per seed for which every category has a result: the mean over the categories.
fn per_seed_averages(cells: &[CellResult], method: &str, categories: &[String]) -> Vec<CellResult> {
    let mut seeds: Vec<u64> = cells
        .iter()
        .filter(|c| c.method == method)
        .map(|c| c.seed)
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    let of_seed = |seed: u64| -> Option<CellResult> {
        let of_run = |category: &String| {
            cells
                .iter()
                .find(|c| c.method == method && c.seed == seed && &c.category == category)
        };
        let run: Vec<_> = categories.iter().map(of_run).collect::<Option<_>>()?;
        let mean = |f: fn(&CellResult) -> f64| run.iter().map(|c| f(c)).sum::<f64>() / run.len() as f64;
        let mut average = (*run.first()?).clone();
        average.category = "average".into();
        average.pixel_auroc = mean(|c| c.pixel_auroc);
        average.pixel_ap = mean(|c| c.pixel_ap);
        average.image_auroc = mean(|c| c.image_auroc);
        average.image_ap = mean(|c| c.image_ap);
        average.aupro = mean(|c| c.aupro);
        average.train_seconds = mean(|c| c.train_seconds);
        Some(average)
    };
    seeds.into_iter().filter_map(of_seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::tests::result;

    fn table() -> Table {
        let published = Published::load().unwrap();
        let cells = vec![
            result("draem", "leather", 0, 0.5),
            result("draem", "leather", 1, 0.7),
            result("draem", "bottle", 0, 0.9),
            result("lin-yan", "bottle", 0, 0.25),
        ];
        let methods = ["draem".to_string(), "lin-yan".into()];
        let categories = ["bottle".to_string(), "leather".into()];
        Table::build(
            &published,
            &methods,
            &categories,
            cells,
            vec!["only a test".into()],
        )
    }

    #[test]
    fn means_spreads_and_averages() {
        let table = table();
        let leather = table.entry("draem", "leather").unwrap();
        assert!((leather.pixel_ap.mean - 60.0).abs() < 1e-9);
        assert!((leather.pixel_ap.deviation.unwrap() - 200f64.sqrt()).abs() < 1e-9);
        // Only seed 0 has every category, so the average is that of one run.
        let average = table.entry("draem", "average").unwrap();
        assert_eq!((average.seeds, average.pixel_ap.deviation), (1, None));
        assert!((average.pixel_ap.mean - 70.0).abs() < 1e-9);
        assert!(
            average.paper_pixel.is_none(),
            "two categories are not the paper's fifteen"
        );
        assert!(
            table.entry("lin-yan", "average").is_none(),
            "leather is missing for this method"
        );
    }

    #[test]
    fn ours_stands_beside_the_paper() {
        let markdown = table().markdown();
        assert!(
            markdown.contains("| leather | 60.0±14.1 / 60.0±14.1 | 98.6 / 75.3 ‡ | – | – |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("| bottle | 90.0 / 90.0 | 99.1 / 86.5 | 25.0 / 25.0 | 98.7 / 86.2 |"),
            "{markdown}"
        );
        assert!(markdown.contains("only a test"));
        let csv = table().csv().unwrap();
        assert_eq!(csv.lines().count(), 1 + 4);
        assert!(csv.contains("98.6,75.3,true"));
    }
}
