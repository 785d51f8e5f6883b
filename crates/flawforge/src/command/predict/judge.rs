//! What decides a row beside the image: the run, its thresholds, the options.

use anyhow::Result;
use flawforge::models::Detection;
use flawforge::training::{Decision, Marked, REGIONS_SAID, Run, Verdict};
use sha2::{Digest, Sha256};

use super::row::{Found, Row};

/// The judge of a run, and what tells it from others.
#[derive(Debug)]
pub(super) struct Judge {
    judge: flawforge::training::Judge,
    /// What tells the run and these from others, 16 hexadecimal digits.
    pub(super) settings: String,
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
        let judge = flawforge::training::Judge::new(decision, given, pixel_threshold, min_area);
        let data = run.data();
        let facts = serde_json::json!([
            run.identity(),
            run.experiment().hash(),
            run.step(),
            data.images,
            judge.threshold(),
            judge.look_from(),
            judge.pixel_threshold(),
            min_area,
            precision,
        ]);
        let digest = Sha256::digest(facts.to_string().as_bytes());
        Ok(Self {
            judge,
            settings: hex::encode(&digest[..8]),
        })
    }

    pub(super) fn threshold(&self) -> Option<f32> {
        self.judge.threshold()
    }

    pub(super) fn pixel_threshold(&self) -> Option<f32> {
        self.judge.pixel_threshold()
    }

    /// Writes what is found of an image of this size into its row. The map at that size comes back where it has regions.
    pub(super) fn fill(
        &self,
        row: &mut Row,
        detection: &Detection,
        (width, height): (u32, u32),
    ) -> Option<Marked> {
        (row.width, row.height) = (Some(width), Some(height));
        row.threshold = self.judge.threshold();
        row.look_from = self.judge.look_from();
        row.pixel_threshold = self.judge.pixel_threshold();
        let Some((said, marked)) = self.judge.judge(detection, (width, height)) else {
            row.error = "its score is not a number".to_owned();
            return None;
        };
        row.score = Some(said.score);
        row.protocol_score = said.protocol_score;
        row.verdict = said.verdict.map_or("", Verdict::name).to_owned();
        row.warnings.extend(said.doubt);
        row.regions_found = said.regions_found;
        if let Some(marked) = &marked {
            let shapes = marked.regions.shapes(REGIONS_SAID);
            let written = said.regions.iter().zip(&shapes);
            row.regions = written
                .map(|(region, shape)| Found::new(*region, shape))
                .collect();
        }
        marked
    }
}
