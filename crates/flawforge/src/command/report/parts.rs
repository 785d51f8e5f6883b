//! From what was found to the parts of the page.

use anyhow::{Context, Result};
use flawforge::metrics::{Calls, Metric};
use flawforge::training::fit::Line;
use flawforge::training::{Continuation, Decision, Judged, Run};

use super::JOURNAL;
use super::charts::{curves, losses};
use super::facts;
use super::gallery::{Extreme, Look};
use super::normals::Normals;
use super::page::{Counted, CountedRow, GalleryPart, JudgedPart, MetricRow, Page, TestedPart};
use super::scores::Scores;
use super::tested::Tested;
use crate::command::verdicts::said;

/// Everything that was found out about a run.
pub(super) struct Findings<'a> {
    pub(super) run: &'a Run,
    pub(super) decision: Option<&'a Decision>,
    pub(super) look: Look,
    pub(super) journal: Vec<Line>,
    pub(super) normals: Normals,
    pub(super) tested: Option<Tested>,
}

impl Findings<'_> {
    /// The page.
    pub(super) fn page(self) -> Result<Page> {
        let run = self.run;
        let counted = self.counted()?;
        let (normal, simulated) = run.calibrated().map_or((0, 0), |scores| {
            (scores.normal().count(), scores.simulated().count())
        });
        let found = self.decision.map_or_else(Vec::new, |decision| {
            let sorts = decision.found_by_kind.iter().chain(&decision.found_by_size);
            sorts
                .map(|sort| (sort.what.clone(), sort.found, sort.of))
                .collect()
        });
        let mut warnings = self
            .decision
            .map_or_else(Vec::new, |decision| decision.warnings.clone());
        if run.step() < run.total_steps() {
            warnings.insert(
                0,
                format!(
                    "the training is not finished: step {} of {}",
                    run.step(),
                    run.total_steps()
                ),
            );
        }
        Ok(Page {
            name: run.category().to_owned(),
            headlines: self.headlines(),
            warnings,
            trained: facts::trained(run, &self.journal),
            decided: self
                .decision
                .map_or_else(Vec::new, |decision| facts::decided(decision, normal, simulated)),
            found,
            counted,
            tested: self.tested.as_ref().map(|tested| self.tested_part(tested)),
            selection: selection(run)?,
            losses: losses(&self.journal),
            no_losses: no_losses(run),
            legend: self.look.legend()?,
            has_unusual: run.file().with_file_name(UNUSUAL).is_file(),
            deviations: run.experiment().deviations(run.total_steps()),
            settings: run.experiment().to_toml()?,
            version: env!("CARGO_PKG_VERSION"),
            hash: run.experiment().hash(),
            unusual: self.normals.unusual,
            samples: self.normals.samples,
            missing: self.normals.missing,
        })
    }

    fn headlines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(decision) = self.decision {
            lines.push(format!("{}.", capital(&said(decision))));
        }
        let Some(tested) = &self.tested else {
            return lines;
        };
        if let Some(judged) = &tested.judged {
            lines.push(format!("False alarms on test images: {}.", judged.false_alarms));
            lines.push(format!("Missed defects on test images: {}.", judged.misses));
        }
        if let Some(value) = tested.evaluation.scores.get(&Metric::ImageAuroc) {
            let interval = match tested.evaluation.intervals.get(&Metric::ImageAuroc) {
                Some(interval) => format!(" ({:.1} to {:.1})", 100.0 * interval.low, 100.0 * interval.high),
                None => String::new(),
            };
            lines.push(format!("Image AUROC {:.2} %{interval}.", 100.0 * value));
        }
        lines
    }

    fn counted(&self) -> Result<Option<Counted>> {
        let (Some(decision), Some(calibrated)) = (self.decision, self.run.calibrated()) else {
            return Ok(None);
        };
        let evaluation = self.tested.as_ref().map(|tested| &tested.evaluation);
        let scores = Scores::new(calibrated, evaluation);
        let rows = scores.sets.iter().map(|set| {
            let (below, above, share) = set.counts(decision.threshold);
            CountedRow {
                id: set.id,
                name: set.name,
                above_is: set.above_is,
                below,
                above,
                share,
            }
        });
        Ok(Some(Counted {
            histograms: scores.histograms(decision),
            threshold: decision.threshold.to_string(),
            rows: rows.collect(),
            json: scores
                .json(decision.threshold)
                .context("the scores of the page")?,
        }))
    }

    fn tested_part(&self, tested: &Tested) -> TestedPart {
        let evaluation = &tested.evaluation;
        let settings = &self.run.experiment().evaluation;
        let metrics = Metric::ALL.iter().map(|&metric| {
            let value = evaluation.scores.get(&metric);
            let interval = match (evaluation.intervals.get(&metric), value) {
                (Some(interval), _) => format!("{:.1} to {:.1}", 100.0 * interval.low, 100.0 * interval.high),
                (None, Some(_)) => "none: all draws give the same".to_owned(),
                (None, None) => String::new(),
            };
            let half = matches!(
                metric,
                Metric::PixelAurocHalf | Metric::PixelApHalf | Metric::AuproHalf
            );
            MetricRow {
                title: metric.title(),
                value: match value {
                    Some(value) => format!("{:.2}", 100.0 * value),
                    None => format!("not defined: {}", evaluation.reason(metric).unwrap_or_default()),
                },
                interval,
                rule: if half { "ours" } else { "published" },
            }
        });
        let intervals = evaluation.resampled.as_ref().map_or_else(String::new, |resampled| {
            format!(
                "Intervals hold {:.0} % of {} draws of the test images with replacement, normal and defective ones apart.",
                100.0 * resampled.confidence,
                resampled.draws
            )
        });
        let threshold = self.decision.map(|decision| decision.threshold);
        let mut galleries = Vec::new();
        let worst = match self.decision {
            Some(_) => "Defective images that were found, the highest score first.",
            None => "The highest score first.",
        };
        for (title, extreme, order) in [
            (
                "False alarms",
                &tested.false_alarms,
                "Good images called anomalous, the highest score first.",
            ),
            (
                "Misses",
                &tested.misses,
                "Defective images called normal, the lowest score first.",
            ),
            (
                "To look at",
                &tested.to_look_at,
                "Between the thresholds, the highest score first.",
            ),
            ("The worst", &tested.worst, worst),
        ] {
            galleries.extend(gallery(title, extreme, order));
        }
        TestedPart {
            facts: facts::tested(tested),
            judged: self.decision.zip(tested.judged.as_ref()).map(judged),
            metrics: metrics.collect(),
            intervals,
            curves: curves(evaluation, settings.aupro_limit, threshold),
            galleries,
        }
    }
}

fn gallery(title: &'static str, extreme: &Extreme, about: &str) -> Option<GalleryPart> {
    let figures: Vec<String> = extreme.figures().map(str::to_owned).collect();
    let number = match extreme.seen > figures.len() {
        true => format!("{} of {}. ", figures.len(), extreme.seen),
        false => String::new(),
    };
    (!figures.is_empty()).then(|| GalleryPart {
        title,
        about: format!("{number}{about}"),
        figures,
    })
}

fn judged((decision, judged): (&Decision, &Judged)) -> JudgedPart {
    let has_look = judged.has_look(decision);
    let row = |name: String, calls: &Calls| (name, calls.normal, calls.look, calls.anomalous);
    let mut calls = vec![
        row("good".to_owned(), &judged.confusion.good),
        row("defective, all".to_owned(), &judged.confusion.defective),
    ];
    calls.extend(
        judged
            .by_defect
            .iter()
            .map(|(defect, of_type)| row(defect.clone(), &of_type.calls)),
    );
    let mut rates = vec![
        ("false alarms", judged.false_alarms.to_string()),
        ("misses", judged.misses.to_string()),
    ];
    if has_look {
        rates.push((
            "to look at",
            format!("{}; these are neither misses nor false alarms", judged.to_look_at),
        ));
    }
    if let Some(oracle) = &judged.oracle {
        rates.push((
            "an oracle",
            format!(
                "which chose its threshold {} on these very test images, has F1 {:.3}, {} false alarms and {} misses{}",
                oracle.threshold,
                oracle.f1,
                oracle.confusion.good.anomalous,
                oracle.confusion.defective.normal,
                oracle.remark()
            ),
        ));
    }
    JudgedPart {
        has_look,
        calls,
        rates,
    }
}

/// The run's sheet of unusual normal images.
const UNUSUAL: &str = "unusual.png";

/// Why a run has no losses to show.
fn no_losses(run: &Run) -> &'static str {
    let is_there = run.file().with_file_name(JOURNAL).is_file();
    match (run.experiment().continuation(), is_there) {
        (Continuation::AddsNormals, _) => {
            "There are no losses to show: the method takes one look at each image and has none."
        }
        (_, true) => "There are no losses to show: metrics.jsonl beside the run's file has none yet.",
        (_, false) => "There are no losses to show: metrics.jsonl does not lie beside the run's file.",
    }
}

/// Which anomalies are simulated, by the run's settings.
fn selection(run: &Run) -> Result<String> {
    let settings = serde_json::to_value(run.experiment()).context("the settings of the run")?;
    let simulation = &settings["simulation"];
    let kinds: Vec<String> = match simulation["kinds"].as_object() {
        Some(kinds) => kinds.keys().cloned().collect(),
        None => return Ok("The method has anomalies of its own; see its settings below.".to_owned()),
    };
    let rotation = match simulation["rotation"].is_object() {
        true => "normal images are rotated",
        false => "normal images are not rotated",
    };
    let grey = match simulation["grey"].as_bool() {
        Some(true) => "; textures without colors",
        _ => "",
    };
    Ok(format!("Kinds: {}; {rotation}{grey}.", kinds.join(", ")))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
