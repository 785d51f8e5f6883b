//! What is averaged over seeds: one method's values in one row for one seed.

use crate::cell::CellResult;
use crate::simulated::SimulatedResult;
use flawforge::augment::Kind;
use flawforge::metrics::{Metric, Scores};
use flawforge::training::Method;
use std::collections::BTreeMap;

/// What a table can show of a cell. All but the training time are in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// A metric on whole images.
    Whole(Metric),
    /// A metric in the part of the images that the method looks at, where that is not all.
    InView(Metric),
    /// Training time of one cell, seconds.
    TrainSeconds,
}

impl Quantity {
    /// Its name in files.
    pub fn name(self) -> String {
        match self {
            Self::Whole(metric) => metric.name().to_owned(),
            Self::InView(metric) => format!("native_{metric}"),
            Self::TrainSeconds => "train_seconds".to_owned(),
        }
    }
}

/// One method's values in one row for one seed.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The method.
    pub method: Method,
    /// The row: a category, or a kind of anomaly.
    pub row: String,
    /// The seed.
    pub seed: u64,
    /// What is defined.
    pub values: BTreeMap<Quantity, f64>,
}

impl Observation {
    /// The metrics of a cell on the test images; the row is its category.
    pub fn of_cell(cell: &CellResult) -> Self {
        let mut values = BTreeMap::from([(Quantity::TrainSeconds, cell.train_seconds)]);
        values.extend(percent(&cell.scores, Quantity::Whole));
        if let Some(scores) = &cell.scores_in_view {
            values.extend(percent(scores, Quantity::InView));
        }
        Self {
            method: cell.method,
            row: cell.category.clone(),
            seed: cell.seed,
            values,
        }
    }

    /// A method's metrics on one kind of simulated anomaly, averaged over `categories`: one for each seed of which every
    /// category is finished. A category in which no such anomaly could be made does not enter.
    pub fn of_kind(
        results: &[SimulatedResult],
        method: Method,
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
            let mut sums: BTreeMap<Quantity, (f64, usize)> = BTreeMap::new();
            for score in scores {
                for (quantity, value) in percent(&score.scores, Quantity::Whole) {
                    let (sum, count) = sums.entry(quantity).or_default();
                    *sum += value;
                    *count += 1;
                }
            }
            let values: BTreeMap<Quantity, f64> = sums
                .into_iter()
                .map(|(quantity, (sum, count))| (quantity, sum / count as f64))
                .collect();
            (!values.is_empty()).then(|| Self {
                method,
                row: row.to_owned(),
                seed,
                values,
            })
        };
        seeds.into_iter().filter_map(of_seed).collect()
    }

    /// The means over `rows`, one for each seed that has every row.
    pub fn averages(all: &[Self], method: Method, rows: &[String], quantities: &[Quantity]) -> Vec<Self> {
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
            let mean = |quantity: Quantity| {
                let values: Vec<f64> = run
                    .iter()
                    .map(|o| o.values.get(&quantity).copied())
                    .collect::<Option<_>>()?;
                Some(values.iter().sum::<f64>() / values.len() as f64)
            };
            let values: BTreeMap<Quantity, f64> = quantities
                .iter()
                .filter_map(|&quantity| Some((quantity, mean(quantity)?)))
                .collect();
            (!rows.is_empty() && values.len() == quantities.len()).then(|| Self {
                method,
                row: String::new(),
                seed,
                values,
            })
        };
        seeds.into_iter().filter_map(of_seed).collect()
    }
}

fn percent(scores: &Scores, of: fn(Metric) -> Quantity) -> impl Iterator<Item = (Quantity, f64)> {
    scores
        .iter()
        .map(move |(&metric, value)| (of(metric), 100.0 * value))
}
