//! What is said of a detection: score, verdict, regions. One place for all who say it, so that they say the same.

use flawforge_metrics::{Region, Regions};
use flawforge_models::{AnomalyMap, Detection};

use crate::decision::{Decision, Verdict};

/// Thresholds, and which regions count.
#[derive(Debug, Clone)]
pub struct Judge {
    decision: Option<Decision>,
    threshold: Option<f32>,
    pixel_threshold: Option<f32>,
    min_area: u64,
}

/// What is said of an image. Places are in pixels of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The score that verdicts are made on.
    pub score: f32,
    /// The score of the method's published protocol, where it is a number.
    pub protocol_score: Option<f32>,
    /// None without a threshold.
    pub verdict: Option<Verdict>,
    /// What is doubtful about the threshold.
    pub doubt: Option<String>,
    /// How many regions reach the pixel threshold; without one nothing is known of them.
    pub regions_found: Option<usize>,
    /// The first of them, at most [`REGIONS_SAID`], that with the highest score first.
    pub regions: Vec<Region>,
}

/// An anomaly map at the size of its image, with its regions.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The map.
    pub map: AnomalyMap,
    /// Its regions.
    pub regions: Regions,
}

/// Regions that are said of one image, at most: those with the highest scores (proposal).
pub const REGIONS_SAID: usize = 200;

impl Judge {
    /// By a decision; `threshold` and `pixel_threshold` override, also where there is none. Regions with fewer pixels of the image than
    /// `min_area` are passed over.
    pub fn new(
        decision: Option<Decision>,
        threshold: Option<f32>,
        pixel_threshold: Option<f32>,
        min_area: u64,
    ) -> Self {
        Self {
            threshold: decision.as_ref().map(|decision| decision.threshold).or(threshold),
            pixel_threshold: pixel_threshold.or(decision.as_ref().map(|decision| decision.pixel_threshold)),
            decision,
            min_area,
        }
    }

    /// The decision that it rests on.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// A score that reaches it is anomalous.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// A score below the threshold that reaches it is to be looked at.
    pub fn look_from(&self) -> Option<f32> {
        self.decision.as_ref().and_then(|decision| decision.look_from)
    }

    /// A pixel that reaches it belongs to a region.
    pub fn pixel_threshold(&self) -> Option<f32> {
        self.pixel_threshold
    }

    fn verdict(&self, score: f32) -> Option<Verdict> {
        match (&self.decision, self.threshold) {
            (Some(decision), _) => Some(decision.verdict(score)),
            (None, Some(threshold)) if score >= threshold => Some(Verdict::Anomalous),
            (None, Some(_)) => Some(Verdict::Normal),
            (None, None) => None,
        }
    }

    /// What is said of an image of this size; nothing where its score is not a number. The map at that size comes along where it has
    /// regions: a map is never higher between its own pixels than at them, so that most need not be enlarged.
    pub fn judge(
        &self,
        detection: &Detection,
        (width, height): (u32, u32),
    ) -> Option<(Judgement, Option<Marked>)> {
        let score = detection.verdict_score;
        if score.is_nan() {
            return None;
        }
        let mut said = Judgement {
            score,
            protocol_score: Some(detection.score).filter(|score| !score.is_nan()),
            verdict: self.verdict(score),
            doubt: self.decision.as_ref().and_then(|decision| decision.doubt.clone()),
            regions_found: self.pixel_threshold.map(|_| 0),
            regions: Vec::new(),
        };
        let reached = self.pixel_threshold.filter(|&threshold| {
            let scores = &detection.map.scores;
            scores.iter().any(|&score| score >= threshold)
        });
        let Some(threshold) = reached else {
            return Some((said, None));
        };
        let map = detection.map.resized(width, height);
        let regions = Regions::of(&map.scores, width as usize, threshold, self.min_area);
        said.regions_found = Some(regions.found.len());
        said.regions = regions.found[..regions.found.len().min(REGIONS_SAID)].to_vec();
        Some((said, Some(Marked { map, regions })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(scores: [f32; 4], verdict_score: f32) -> Detection {
        Detection {
            map: AnomalyMap {
                width: 2,
                height: 2,
                scores: scores.to_vec(),
            },
            score: f32::NAN,
            verdict_score,
            reconstruction: None,
        }
    }

    #[test]
    fn a_map_below_the_pixel_threshold_is_not_enlarged_and_one_above_has_its_regions() {
        let judge = Judge::new(None, Some(0.5), Some(0.8), 1);
        let (said, marked) = judge
            .judge(&detection([0.1, 0.2, 0.3, 0.7], 0.5), (4, 4))
            .unwrap();
        assert_eq!(
            (said.verdict, said.regions_found),
            (Some(Verdict::Anomalous), Some(0))
        );
        assert!(marked.is_none() && said.protocol_score.is_none());
        let (said, marked) = judge
            .judge(&detection([0.9, 0.0, 0.0, 0.0], 0.4), (4, 4))
            .unwrap();
        let marked = marked.unwrap();
        assert_eq!((marked.map.width, marked.map.height), (4, 4));
        assert_eq!(
            (said.verdict, said.regions_found),
            (Some(Verdict::Normal), Some(1))
        );
        assert_eq!(said.regions[0].bounds[..2], [0, 0]);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let judge = Judge::new(None, None, None, 1);
        let (said, _) = judge.judge(&detection([0.9; 4], 0.4), (4, 4)).unwrap();
        assert_eq!((said.verdict, said.regions_found), (None, None));
        assert!(judge.judge(&detection([0.9; 4], f32::NAN), (4, 4)).is_none());
    }
}
