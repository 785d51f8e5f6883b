//! What decides a row beside the image: the run, its thresholds, the options.

use anyhow::Result;
use flawforge::metrics::Regions;
use flawforge::models::{AnomalyMap, Detection};
use flawforge::training::{Decision, Run, Verdict};
use sha2::{Digest, Sha256};

use super::row::{Found, REGIONS_WRITTEN, Row};

/// Thresholds, and which regions count.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) threshold: Option<f32>,
    decision: Option<Decision>,
    pub(super) pixel_threshold: Option<f32>,
    min_area: u64,
    /// What tells the run and these from others, 16 hexadecimal digits.
    pub(super) settings: String,
}

/// An anomaly map at the size of its image, with its regions.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) map: AnomalyMap,
    pub(super) regions: Regions,
}

impl Judge {
    /// Of a run and what options ask for; `given` is a threshold that overrides, also where the run has none.
    ///
    /// # Errors
    /// If the settings have no text.
    pub(super) fn new(
        run: &Run,
        decision: Option<Decision>,
        given: Option<f32>,
        pixel_threshold: Option<f32>,
        min_area: u64,
        precision: &str,
    ) -> Result<Self> {
        let threshold = decision.as_ref().map(|decision| decision.threshold).or(given);
        let pixel_threshold = pixel_threshold.or(decision.as_ref().map(|decision| decision.pixel_threshold));
        let data = run.data();
        let facts = serde_json::json!([
            run.identity(),
            run.experiment().hash(),
            run.step(),
            data.images,
            threshold,
            decision.as_ref().and_then(|decision| decision.look_from),
            pixel_threshold,
            min_area,
            precision,
        ]);
        let digest = Sha256::digest(facts.to_string().as_bytes());
        Ok(Self {
            threshold,
            decision,
            pixel_threshold,
            min_area,
            settings: hex::encode(&digest[..8]),
        })
    }

    fn verdict(&self, score: f32) -> Option<Verdict> {
        match (&self.decision, self.threshold) {
            (Some(decision), _) => Some(decision.verdict(score)),
            (None, Some(threshold)) if score >= threshold => Some(Verdict::Anomalous),
            (None, Some(_)) => Some(Verdict::Normal),
            (None, None) => None,
        }
    }

    /// Writes what is found of an image of this size into its row. The map at that size comes back where it has regions: a map is
    /// never higher between its own pixels than at them, so that most need not be enlarged.
    pub(super) fn fill(
        &self,
        row: &mut Row,
        detection: &Detection,
        (width, height): (u32, u32),
    ) -> Option<Marked> {
        let score = detection.verdict_score;
        (row.width, row.height) = (Some(width), Some(height));
        row.threshold = self.threshold;
        row.look_from = self.decision.as_ref().and_then(|decision| decision.look_from);
        row.pixel_threshold = self.pixel_threshold;
        if score.is_nan() {
            row.error = "its score is not a number".to_owned();
            return None;
        }
        row.score = Some(score);
        row.protocol_score = Some(detection.score).filter(|score| !score.is_nan());
        row.verdict = self.verdict(score).map_or("", Verdict::name).to_owned();
        row.warnings
            .extend(self.decision.as_ref().and_then(|decision| decision.doubt.clone()));
        let threshold = self.pixel_threshold?;
        row.regions_found = Some(0);
        if !detection.map.scores.iter().any(|&score| score >= threshold) {
            return None;
        }
        let map = detection.map.resized(width, height);
        let regions = Regions::of(&map.scores, width as usize, threshold, self.min_area);
        row.regions_found = Some(regions.found.len());
        let shapes = regions.shapes(REGIONS_WRITTEN);
        let written = regions.found.iter().zip(&shapes);
        row.regions = written
            .map(|(region, shape)| Found::new(*region, shape))
            .collect();
        Some(Marked { map, regions })
    }
}
