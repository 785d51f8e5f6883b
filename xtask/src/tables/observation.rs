//! What is averaged over seeds: one method's figures in one row for one seed.

use crate::cell::CellResult;
use crate::simulated::SimulatedResult;
use flawforge::augment::Kind;
use std::collections::BTreeMap;

/// A figure of a table. All but the training time are in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// AUROC of the image scores.
    ImageAuroc,
    /// Average precision of the image scores.
    ImageAp,
    /// Pixel AUROC, ground truth by DRAEM's rule.
    PixelAuroc,
    /// Pixel average precision by the same rule.
    PixelAp,
    /// Area under the per-region overlap up to 30 % false positives.
    Aupro,
    /// Pixel AUROC where half-covered pixels are anomalous.
    PixelAurocHalf,
    /// Pixel average precision by that rule.
    PixelApHalf,
    /// Pixel AUROC by the method's own protocol.
    NativePixelAuroc,
    /// Pixel average precision by the method's own protocol.
    NativePixelAp,
    /// AUPRO by the method's own protocol.
    NativeAupro,
    /// Training time of one cell.
    TrainSeconds,
}

impl Figure {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageAuroc => "image_auroc",
            Self::ImageAp => "image_ap",
            Self::PixelAuroc => "pixel_auroc",
            Self::PixelAp => "pixel_ap",
            Self::Aupro => "aupro",
            Self::PixelAurocHalf => "pixel_auroc_half",
            Self::PixelApHalf => "pixel_ap_half",
            Self::NativePixelAuroc => "native_pixel_auroc",
            Self::NativePixelAp => "native_pixel_ap",
            Self::NativeAupro => "native_aupro",
            Self::TrainSeconds => "train_seconds",
        }
    }
}

/// One method's figures in one row for one seed.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The method's name.
    pub method: String,
    /// The row: a category, or a kind of anomaly.
    pub row: String,
    /// The seed.
    pub seed: u64,
    /// The figures that are defined.
    pub values: BTreeMap<Figure, f64>,
}

impl Observation {
    /// The figures of a cell on the test images; the row is its category.
    pub fn of_cell(cell: &CellResult) -> Self {
        let mut values = BTreeMap::from([
            (Figure::ImageAuroc, 100.0 * cell.image_auroc),
            (Figure::ImageAp, 100.0 * cell.image_ap),
            (Figure::PixelAuroc, 100.0 * cell.pixel_auroc),
            (Figure::PixelAp, 100.0 * cell.pixel_ap),
            (Figure::Aupro, 100.0 * cell.aupro),
            (Figure::PixelAurocHalf, 100.0 * cell.pixel_auroc_half),
            (Figure::PixelApHalf, 100.0 * cell.pixel_ap_half),
            (Figure::TrainSeconds, cell.train_seconds),
        ]);
        if let Some(native) = cell.native {
            values.extend([
                (Figure::NativePixelAuroc, 100.0 * native.pixel_auroc),
                (Figure::NativePixelAp, 100.0 * native.pixel_ap),
                (Figure::NativeAupro, 100.0 * native.aupro),
            ]);
        }
        Self {
            method: cell.method.clone(),
            row: cell.category.clone(),
            seed: cell.seed,
            values,
        }
    }

    /// A method's figures on one kind of simulated anomaly, averaged over `categories`: one for each seed of which every
    /// category is finished. A category in which no such anomaly could be made does not enter.
    pub fn of_kind(
        results: &[SimulatedResult],
        method: &str,
        kind: Kind,
        row: &str,
        categories: &[String],
    ) -> Vec<Self> {
        let mut seeds: Vec<u64> = results
            .iter()
            .filter(|result| result.method == method)
            .map(|result| result.seed)
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        let of_seed = |seed: u64| {
            let of_run = |category: &String| {
                results
                    .iter()
                    .find(|r| r.method == method && r.seed == seed && &r.category == category)
                    .and_then(|result| result.of(kind))
            };
            let scores: Vec<_> = categories.iter().map(of_run).collect::<Option<_>>()?;
            let mut sums: BTreeMap<Figure, (f64, usize)> = BTreeMap::new();
            for score in scores {
                for (figure, value) in [
                    (Figure::PixelAuroc, score.pixel_auroc),
                    (Figure::PixelAp, score.pixel_ap),
                    (Figure::Aupro, score.aupro),
                    (Figure::ImageAuroc, score.image_auroc),
                    (Figure::ImageAp, score.image_ap),
                ] {
                    if let Some(value) = value {
                        let (sum, count) = sums.entry(figure).or_default();
                        *sum += 100.0 * value;
                        *count += 1;
                    }
                }
            }
            let values: BTreeMap<Figure, f64> = sums
                .into_iter()
                .map(|(figure, (sum, count))| (figure, sum / count as f64))
                .collect();
            (!values.is_empty()).then(|| Self {
                method: method.to_owned(),
                row: row.to_owned(),
                seed,
                values,
            })
        };
        seeds.into_iter().filter_map(of_seed).collect()
    }

    /// The means over `rows`, one for each seed that has every row.
    pub fn averages(all: &[Self], method: &str, rows: &[String], figures: &[Figure]) -> Vec<Self> {
        let mut seeds: Vec<u64> = all
            .iter()
            .filter(|o| o.method == method)
            .map(|o| o.seed)
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        let of_seed = |seed: u64| {
            let run: Vec<&Self> = rows
                .iter()
                .map(|row| {
                    all.iter()
                        .find(|o| o.method == method && o.seed == seed && &o.row == row)
                })
                .collect::<Option<_>>()?;
            let mean = |figure: Figure| {
                let values: Vec<f64> = run
                    .iter()
                    .map(|o| o.values.get(&figure).copied())
                    .collect::<Option<_>>()?;
                Some(values.iter().sum::<f64>() / values.len() as f64)
            };
            let values: BTreeMap<Figure, f64> = figures
                .iter()
                .filter_map(|&figure| Some((figure, mean(figure)?)))
                .collect();
            (!rows.is_empty() && values.len() == figures.len()).then(|| Self {
                method: method.to_owned(),
                row: String::new(),
                seed,
                values,
            })
        };
        seeds.into_iter().filter_map(of_seed).collect()
    }
}
