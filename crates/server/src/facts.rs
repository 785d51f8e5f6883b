//! What is said of a run: its thresholds, what they promise, the scores that they rest on.

use flawforge_models::Detector;
use flawforge_pictures::axis::Axis;
use flawforge_training::fit::Calibrated;
use flawforge_training::{Decision, Judge, Run};
use serde::Serialize;

/// Bars of a histogram.
const BINS: usize = 48;
/// The axis goes by ratios where the largest score is more than so many times what is usual (as on the page of `report`).
const SPREAD: f64 = 30.0;

/// What is said of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Facts {
    pub(crate) name: String,
    category: String,
    method: String,
    /// Steps that were done, and those of the whole training.
    step: u64,
    total_steps: u64,
    /// Digest of all settings, and of the weights.
    settings: String,
    identity: String,
    /// Width and height of what the network sees.
    input: (u32, u32),
    threshold: Option<f32>,
    look_from: Option<f32>,
    pixel_threshold: Option<f32>,
    /// What the threshold promises, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    promised: Option<String>,
    /// The thresholds with what they promise and find, and what a person should know of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
}

/// One of several runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Brief<'a> {
    name: &'a str,
    category: &'a str,
    method: &'a str,
    threshold: Option<f32>,
}

/// The scores that thresholds rest on.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Calibration {
    axis: Axes,
    normal: Scores,
    simulated: Scores,
}

/// An axis for both histograms.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Axes {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<f64>,
}

/// Scores of one sort.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Scores {
    /// How many lie in each of 48 equal parts of the axis.
    histogram: Vec<usize>,
    /// The scores, the lowest first.
    scores: Vec<f32>,
}

impl Facts {
    /// The facts of a run, and of what was made of it.
    pub(crate) fn of(name: &str, run: &Run, detector: &dyn Detector, judge: &Judge) -> Self {
        let decision = judge.decision().cloned();
        let promise = decision.as_ref().and_then(|decision| decision.promise);
        Self {
            name: name.to_owned(),
            category: run.category().to_owned(),
            method: run.experiment().method.to_string(),
            step: run.step(),
            total_steps: run.total_steps(),
            settings: run.experiment().hash(),
            identity: run.identity().to_owned(),
            input: detector.input_size(),
            threshold: judge.threshold(),
            look_from: judge.look_from(),
            pixel_threshold: judge.pixel_threshold(),
            promised: promise.map(|promise| format!("at most {}", promise.as_calls())),
            decision,
            calibration: run.calibrated().map(Calibration::of),
        }
    }

    pub(crate) fn brief(&self) -> Brief<'_> {
        Brief {
            name: &self.name,
            category: &self.category,
            method: &self.method,
            threshold: self.threshold,
        }
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }
}

impl Calibration {
    fn of(calibrated: &Calibrated) -> Self {
        let sorted = |scores: Vec<f32>| {
            let mut scores: Vec<f32> = scores.into_iter().filter(|score| score.is_finite()).collect();
            scores.sort_by(f32::total_cmp);
            scores
        };
        let normal = sorted(calibrated.normal().map(|one| one.score).collect());
        let simulated = sorted(calibrated.simulated().map(|one| one.score).collect());
        let usual = normal.get(normal.len() / 2).copied().unwrap_or(0.0);
        let both = normal.iter().chain(&simulated);
        let all: Vec<f64> = both.map(|score| f64::from(*score)).collect();
        let axis = Axis::of(&all, f64::from(usual), SPREAD);
        Self {
            axis: Axes {
                low: axis.low,
                high: axis.high,
                log: axis.log,
                ticks: axis.ticks(),
            },
            normal: Scores::of(normal, &axis),
            simulated: Scores::of(simulated, &axis),
        }
    }
}

impl Scores {
    fn of(scores: Vec<f32>, axis: &Axis) -> Self {
        let mut histogram = vec![0; BINS];
        for &score in &scores {
            let bin = (axis.position(f64::from(score)) * BINS as f64) as usize;
            histogram[bin.min(BINS - 1)] += 1;
        }
        Self { histogram, scores }
    }
}

#[cfg(test)]
mod tests {
    use flawforge_training::fit::{CalibrationScore, Origin};

    use super::*;

    #[test]
    fn every_score_lies_in_one_bar() {
        let score = |kind: Option<&str>, score| CalibrationScore {
            image: "a".to_owned(),
            kind: kind.map(str::to_owned),
            share: None,
            score,
            pixel: score,
        };
        let calibration = Calibration::of(&Calibrated {
            origin: Origin::HeldOut,
            scores: vec![
                score(None, 0.3),
                score(None, 0.1),
                score(Some("opaque"), 1.0),
                score(Some("opaque"), f32::INFINITY),
            ],
        });
        assert_eq!(calibration.normal.scores, [0.1, 0.3]);
        assert_eq!(calibration.normal.histogram.iter().sum::<usize>(), 2);
        assert_eq!(calibration.simulated.scores, [1.0]);
        assert_eq!(calibration.simulated.histogram[46], 1, "{calibration:?}");
    }
}
