//! What a run's verdicts on test images are worth: its threshold, found without them, beside the best that hindsight knows.

use std::collections::BTreeMap;

use flawforge_metrics::{Calls, Confusion, Rate, best_f1};
use serde::{Deserialize, Serialize};

use super::ImageResult;
use crate::decision::{Decision, Verdict};

/// Confidence of the intervals of rates (usual).
const CONFIDENCE: f64 = 0.95;

/// Verdicts on test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// How many images of each sort were called what.
    pub confusion: Confusion,
    /// Good images that were called anomalous.
    pub false_alarms: Rate,
    /// Defective images that were called normal.
    pub misses: Rate,
    /// Images that a person is to look at.
    pub to_look_at: Rate,
    /// Defective images by defect type.
    pub by_defect: BTreeMap<String, OfType>,
    /// The threshold that hindsight would have taken; `None` unless there are both good and defective images.
    pub oracle: Option<Oracle>,
    /// False alarms, the highest score first.
    pub wrongly_anomalous: Vec<Wrong>,
    /// Misses, the lowest score first.
    pub wrongly_normal: Vec<Wrong>,
}

/// The defective images of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfType {
    /// How many were called what.
    pub calls: Calls,
    /// Those called normal.
    pub misses: Rate,
}

/// The threshold with the best F1 on these very test images: how good a threshold could be, not which to use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Oracle {
    /// The threshold, on the verdict score.
    pub threshold: f32,
    /// Its F1.
    pub f1: f64,
    /// How many images of each sort it calls what.
    pub confusion: Confusion,
}

/// An image on which the verdict was wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wrong {
    /// As [`ImageResult::name`].
    pub image: String,
    /// Its verdict score.
    pub score: f32,
}

impl Oracle {
    /// Whether it is no better than to call every image anomalous, as it is where scores say nothing.
    pub fn is_trivial(&self) -> bool {
        let (good, defective) = (
            self.confusion.good.all() as f64,
            self.confusion.defective.all() as f64,
        );
        // The F1 of calling all anomalous.
        self.f1 <= 2.0 * defective / (2.0 * defective + good) + 1e-12
    }

    /// What is to be said of that, to follow its figures; empty where it is better.
    pub fn remark(&self) -> &'static str {
        match self.is_trivial() {
            true => ", no better than calling every image anomalous",
            false => "",
        }
    }
}

impl Judged {
    /// Whether images can be called "look": by a band, or because a score is not a number.
    pub fn has_look(&self, decision: &Decision) -> bool {
        decision.look_from.is_some() || self.to_look_at.count > 0
    }

    /// The verdicts of a decision on test images.
    pub fn of(images: &[ImageResult], decision: &Decision) -> Self {
        let verdict = |image: &ImageResult| decision.verdict(image.verdict_score);
        let mut by_defect: BTreeMap<String, Calls> = BTreeMap::new();
        for image in images.iter().filter(|image| image.defective) {
            count(by_defect.entry(image.defect.clone()).or_default(), verdict(image));
        }
        let wrong = |defective: bool, called: Verdict| -> Vec<Wrong> {
            let of_sort = images.iter().filter(|image| image.defective == defective);
            let mut wrong: Vec<Wrong> = of_sort
                .filter(|image| verdict(image) == called)
                .map(|image| Wrong {
                    image: image.name.clone(),
                    score: image.verdict_score,
                })
                .collect();
            wrong.sort_by(|a, b| a.score.total_cmp(&b.score));
            wrong
        };
        let mut wrongly_anomalous = wrong(false, Verdict::Anomalous);
        wrongly_anomalous.reverse();
        let confusion = confusion(images, verdict);
        Self {
            confusion,
            false_alarms: confusion.false_alarms(CONFIDENCE),
            misses: confusion.misses(CONFIDENCE),
            to_look_at: confusion.to_look_at(CONFIDENCE),
            by_defect: by_defect
                .into_iter()
                .map(|(defect, calls)| {
                    let misses = Rate::new(calls.normal, calls.all(), CONFIDENCE);
                    (defect, OfType { calls, misses })
                })
                .collect(),
            oracle: oracle(images),
            wrongly_anomalous,
            wrongly_normal: wrong(true, Verdict::Normal),
        }
    }
}

fn count(calls: &mut Calls, verdict: Verdict) {
    match verdict {
        Verdict::Normal => calls.normal += 1,
        Verdict::Look => calls.look += 1,
        Verdict::Anomalous => calls.anomalous += 1,
    }
}

fn confusion(images: &[ImageResult], verdict: impl Fn(&ImageResult) -> Verdict) -> Confusion {
    let mut confusion = Confusion::default();
    for image in images {
        count(confusion.of(image.defective), verdict(image));
    }
    confusion
}

fn oracle(images: &[ImageResult]) -> Option<Oracle> {
    let scores: Vec<f32> = images.iter().map(|image| image.verdict_score).collect();
    let defective: Vec<bool> = images.iter().map(|image| image.defective).collect();
    let best = best_f1(&scores, &defective).ok()?;
    let verdict = |image: &ImageResult| match image.verdict_score >= best.threshold {
        true => Verdict::Anomalous,
        false => Verdict::Normal,
    };
    Some(Oracle {
        threshold: best.threshold,
        f1: best.f1,
        confusion: confusion(images, verdict),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Rule;
    use crate::fit::{Calibrated, CalibrationScore, Origin};

    fn decision(threshold: f32, band: Option<f64>) -> Decision {
        let scores = (0..300).map(|i| CalibrationScore {
            image: i.to_string(),
            kind: None,
            share: None,
            score: i as f32 / 1000.0,
            pixel: 0.0,
        });
        let calibrated = Calibrated {
            origin: Origin::HeldOut,
            scores: scores.collect(),
        };
        let rule = Rule {
            threshold: Some(threshold),
            band,
            ..Rule::default()
        };
        calibrated.decide(&rule).unwrap()
    }

    fn images(scores: &[(&str, f32)]) -> Vec<ImageResult> {
        (0..)
            .zip(scores)
            .map(|(number, &(defect, score))| ImageResult {
                name: format!("{defect}/{number}"),
                defect: defect.to_owned(),
                defective: defect != "good",
                score: 0.0,
                verdict_score: score,
            })
            .collect()
    }

    #[test]
    fn wrong_images_are_named_worst_first() {
        let images = images(&[
            ("good", 0.1),
            ("good", 0.5),
            ("good", 0.7),
            ("cut", 0.9),
            ("cut", 0.2),
            ("hole", 0.05),
            ("hole", 0.8),
            ("good", 0.29),
        ]);
        let judged = Judged::of(&images, &decision(0.4, None));
        let names =
            |wrong: &[Wrong]| -> Vec<String> { wrong.iter().map(|wrong| wrong.image.clone()).collect() };
        assert_eq!(names(&judged.wrongly_anomalous), ["good/2", "good/1"]);
        assert_eq!(names(&judged.wrongly_normal), ["hole/5", "cut/4"]);
        assert_eq!((judged.false_alarms.count, judged.false_alarms.of), (2, 4));
        assert_eq!((judged.misses.count, judged.misses.of), (2, 4));
        assert_eq!(judged.by_defect["cut"].misses.rate, Some(0.5));
        // At 0.8 hindsight has 2 of 4 without a false alarm: F1 2/3; at 0.05 all 4 with 4 false alarms: 2/3 as well.
        let oracle = judged.oracle.unwrap();
        assert!((oracle.f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((oracle.threshold, oracle.confusion.good.anomalous), (0.8, 0));
        // Four of eight are defective: to call all of them so has 2/3 too.
        assert!(oracle.is_trivial());
        let all = Oracle {
            f1: 0.7,
            ..oracle.clone()
        };
        assert!(!all.is_trivial() && all.remark().is_empty());
        // With a band the doubtful ones are neither right nor wrong.
        let banded = Judged::of(&images, &decision(0.4, Some(0.1)));
        assert_eq!((banded.confusion.good.look, banded.false_alarms.count), (1, 2));
        assert_eq!(banded.to_look_at.of, 8);
    }

    #[test]
    fn without_good_images_there_is_no_oracle() {
        let judged = Judged::of(&images(&[("cut", 0.9), ("cut", 0.1)]), &decision(0.4, None));
        assert_eq!(judged.oracle, None);
        assert_eq!(judged.false_alarms.rate, None);
        assert_eq!(judged.misses.count, 1);
    }
}
