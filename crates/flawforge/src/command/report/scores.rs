//! The scores of the page: histograms, and the table that its slider counts anew.

use std::collections::BTreeMap;

use flawforge::training::fit::Calibrated;
use flawforge::training::{Decision, Evaluation};
use serde::Serialize;

use super::axis::{Axis, short};
use super::histogram::{Row, histograms};

/// A set of images whose scores are counted.
pub(super) struct Set {
    /// Its name in the page's script, and its colour.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// What a score at or above the threshold is, in such a set.
    pub(super) above_is: &'static str,
    pub(super) scores: Vec<f32>,
}

impl Set {
    /// How many are below a threshold, at or above it, and the share of the latter as text.
    pub(super) fn counts(&self, threshold: f32) -> (usize, usize, String) {
        let above = self.scores.iter().filter(|score| **score >= threshold).count();
        let share = match self.scores.len() {
            0 => "\u{2013}".to_owned(),
            all => format!("{:.1} %", 100.0 * above as f64 / all as f64),
        };
        (self.scores.len() - above, above, share)
    }
}

/// All sets that there are scores of.
pub(super) struct Scores {
    pub(super) sets: Vec<Set>,
    axis: Axis,
}

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    threshold: f32,
    axis: AxisData,
    sets: BTreeMap<&'static str, &'a [f32]>,
}

#[derive(Serialize)]
struct AxisData {
    low: f64,
    high: f64,
    log: bool,
}

impl Scores {
    /// The scores of a calibration and, where there is one, of an evaluation.
    pub(super) fn new(calibrated: &Calibrated, evaluation: Option<&Evaluation>) -> Self {
        let set = |id, name, above_is, scores: Vec<f32>| Set {
            id,
            name,
            above_is,
            scores: scores
                .into_iter()
                .filter(|score: &f32| score.is_finite())
                .collect(),
        };
        let mut sets = vec![
            set(
                "normal",
                "normal images of the training",
                "false alarms",
                calibrated.normal().map(|one| one.score).collect(),
            ),
            set(
                "simulated",
                "simulated anomalies",
                "found",
                calibrated.simulated().map(|one| one.score).collect(),
            ),
        ];
        if let Some(evaluation) = evaluation {
            let of_sort = |defective: bool| -> Vec<f32> {
                let images = evaluation
                    .images
                    .iter()
                    .filter(|image| image.defective == defective);
                images.map(|image| image.verdict_score).collect()
            };
            sets.push(set("good", "good test images", "false alarms", of_sort(false)));
            sets.push(set("defective", "defective test images", "found", of_sort(true)));
        }
        sets.retain(|set| !set.scores.is_empty());
        let mut normal: Vec<f32> = calibrated.normal().map(|one| one.score).collect();
        normal.sort_by(f32::total_cmp);
        let usual = normal.get(normal.len() / 2).copied().unwrap_or(0.0);
        let all: Vec<f64> = sets
            .iter()
            .flat_map(|set| &set.scores)
            .map(|score| f64::from(*score))
            .collect();
        Self {
            sets,
            axis: Axis::of(&all, f64::from(usual), 30.0),
        }
    }

    /// Histograms of all sets below each other, with the thresholds.
    pub(super) fn histograms(&self, decision: &Decision) -> String {
        let rows: Vec<Row<'_>> = self
            .sets
            .iter()
            .map(|set| Row {
                class: set.id,
                name: format!("{} ({})", set.name, set.scores.len()),
                scores: &set.scores,
            })
            .collect();
        let threshold = f64::from(decision.threshold);
        let mut marks = vec![("threshold", threshold, format!("threshold {}", short(threshold)))];
        if let Some(from) = decision.look_from {
            let from = f64::from(from);
            marks.push(("look", from, format!("to look at from {}", short(from))));
        }
        let counted: Vec<String> = self
            .sets
            .iter()
            .map(|set| {
                let (_, above, _) = set.counts(decision.threshold);
                format!("{above} of {} {}", set.scores.len(), set.name)
            })
            .collect();
        let about = format!(
            "At or above the threshold {}: {}.",
            short(threshold),
            counted.join(", ")
        );
        let label = match self.axis.log {
            true => "verdict score (logarithmic)",
            false => "verdict score",
        };
        histograms(
            "histograms",
            "Scores of images",
            &about,
            (label, self.axis),
            &rows,
            &marks,
        )
    }

    /// What the page's script reads, as JSON that may stand in a `script` element.
    pub(super) fn json(&self, threshold: f32) -> serde_json::Result<String> {
        let sets = self
            .sets
            .iter()
            .map(|set| (set.id, set.scores.as_slice()))
            .collect();
        let data = Data {
            threshold,
            axis: AxisData {
                low: self.axis.low,
                high: self.axis.high,
                log: self.axis.log,
            },
            sets,
        };
        Ok(serde_json::to_string(&data)?.replace('<', "\\u003c"))
    }
}

#[cfg(test)]
mod tests {
    use flawforge::training::Rule;
    use flawforge::training::fit::{CalibrationScore, Origin};

    use super::*;

    fn calibrated() -> Calibrated {
        let score = |kind: Option<&str>, score| CalibrationScore {
            image: "x".to_owned(),
            kind: kind.map(str::to_owned),
            share: None,
            score,
            pixel: score,
        };
        Calibrated {
            origin: Origin::HeldOut,
            scores: vec![
                score(None, 0.1),
                score(None, 0.2),
                score(Some("opaque"), 0.7),
                score(Some("</script>"), 0.15),
            ],
        }
    }

    #[test]
    fn counts_and_data_are_of_the_same_scores() {
        let calibrated = calibrated();
        let scores = Scores::new(&calibrated, None);
        let names: Vec<&str> = scores.sets.iter().map(|set| set.id).collect();
        assert_eq!(names, ["normal", "simulated"]);
        assert_eq!(scores.sets[1].counts(0.15), (0, 2, "100.0 %".to_owned()));
        assert_eq!(scores.sets[1].counts(0.2), (1, 1, "50.0 %".to_owned()));
        let json = scores.json(0.2).unwrap();
        assert!(
            json.contains("\"threshold\":0.2") && json.contains("\"normal\":[0.1,0.2]"),
            "{json}"
        );
        let decision = calibrated.decide(&Rule::default()).unwrap();
        let svg = scores.histograms(&decision);
        assert!(
            svg.contains("0 of 2 normal images of the training, 1 of 2 simulated anomalies"),
            "{svg}"
        );
    }

    /// The script of the page counts as the page does, where there is a machine that runs it.
    #[test]
    fn the_script_counts_the_same() {
        let scores = Scores::new(&calibrated(), None);
        let threshold = 0.15;
        let program = format!(
            "{}\nconst page = {};\nconst found = Object.entries(page.sets).map(([id, scores]) => {{ const c = counts(scores, \
             page.threshold); return [id, c.below, c.above, percent(c.above, scores.length)].join(' '); }});\n\
             const there = thresholdAt(page.axis, positionOf(page.axis, 0.17));\n\
             console.log(found.join('; ') + '; ' + there.toFixed(6));",
            include_str!("slider.js"),
            scores.json(threshold).unwrap()
        );
        let Ok(output) = std::process::Command::new("node").args(["-e", &program]).output() else {
            return flawforge_testing::skip(flawforge_testing::Need::Peer, "node does not start");
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected: Vec<String> = scores
            .sets
            .iter()
            .map(|set| {
                let (below, above, share) = set.counts(threshold);
                format!("{} {below} {above} {share}", set.id)
            })
            .collect();
        let mut sorted = expected.clone();
        sorted.sort();
        assert_eq!(
            said.trim(),
            format!("{}; 0.170000", sorted.join("; ")),
            "{output:?}"
        );
    }
}
