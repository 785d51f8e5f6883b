//! What an evaluation was made from: which images, of which sorts, by which run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flawforge::datasets::TestSet;
use flawforge::metrics::Metric;
use flawforge::training::{Decision, Evaluation, Judged, Run};
use serde::{Deserialize, Serialize};

use super::source::make_folder;

/// How many test images there are of each sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sorts {
    /// Normal ones.
    pub(crate) normal: usize,
    /// Defective ones.
    pub(crate) defective: usize,
    /// Defective ones with a mask.
    pub(crate) masked: usize,
}

impl Sorts {
    /// The sorts of test images.
    pub(crate) fn of(tests: &TestSet<'_>) -> Self {
        let defective = tests.entries().iter().filter(|test| test.is_defective());
        let masked = defective.clone().filter(|test| test.marks.is_some()).count();
        let defective = defective.count();
        Self {
            normal: tests.entries().len() - defective,
            defective,
            masked,
        }
    }
}

/// What an evaluation was made from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Where the images are.
    source: String,
    /// How their folder was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<String>,
    /// How many there are of each sort.
    test_images: Sorts,
    /// SHA-256 of their names and pixels, at the size that the run sees.
    images_digest: String,
    /// The run's file.
    run: String,
    /// Its steps.
    step: u64,
    /// Its thresholds.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
}

/// `evaluation.json`.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    /// The figures.
    #[serde(flatten)]
    pub(crate) evaluation: &'a Evaluation,
    /// What the verdicts are worth, where the run gives any.
    #[serde(rename = "verdicts", skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<&'a Judged>,
    /// The metrics that are by the published protocol.
    pub(crate) published_protocol: &'a [Metric],
    /// Metrics without a value, by name, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) undefined: BTreeMap<&'static str, String>,
    /// What they were made from.
    #[serde(rename = "made_from")]
    pub(crate) facts: &'a Facts,
}

/// What is read of an earlier `evaluation.json`; those of earlier versions do not say what they were made from.
#[derive(Deserialize)]
struct Earlier {
    made_from: Option<Facts>,
}

impl Facts {
    /// The facts of an evaluation of `run` on test images.
    pub(crate) fn new(run: &Run, decision: Option<Decision>, source: String, tests: &TestSet<'_>) -> Self {
        Self {
            source,
            layout: tests.files.map(|files| files.layout.to_string()),
            test_images: Sorts::of(tests),
            images_digest: tests.digest.clone(),
            run: run.file().display().to_string(),
            step: run.step(),
            decision,
        }
    }

    /// Where results that lie in a folder already are to be kept, because they were made from other images; says so, as it does
    /// of another run's results on these images, which are replaced.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn keep_earlier(&self, out: &Path) -> Result<Option<PathBuf>> {
        let path = out.join(EVALUATION);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault).with_context(|| path.display().to_string()),
        };
        let earlier = serde_json::from_str(&text)
            .ok()
            .and_then(|Earlier { made_from }| made_from);
        let (which, source) = match &earlier {
            Some(earlier) if earlier.images_digest == self.images_digest => {
                if earlier.run != self.run {
                    log::warn!("{}: the results of {} are replaced", out.display(), earlier.run);
                }
                return Ok(None);
            }
            Some(earlier) => (
                earlier.images_digest.get(..8).unwrap_or("unknown"),
                earlier.source.as_str(),
            ),
            None => ("unknown", "which ones is not said"),
        };
        let kept = out.join(format!("earlier-{which}"));
        log::warn!(
            "{}: the results of other images ({source}) are kept in {}",
            out.display(),
            kept.display()
        );
        Ok(Some(kept))
    }
}

/// The files of an evaluation.
pub(crate) const EVALUATION: &str = "evaluation.json";
pub(crate) const SCORES: &str = "scores.csv";
pub(crate) const HEAT_MAPS: &str = "heatmaps.png";

/// Moves the files of an evaluation from one folder into another.
///
/// # Errors
/// If one of them is there and cannot be moved.
pub(crate) fn move_results(from: &Path, to: &Path) -> Result<()> {
    make_folder(to)?;
    for name in [EVALUATION, SCORES, HEAT_MAPS] {
        match fs::rename(from.join(name), to.join(name)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                return Err(fault).with_context(|| format!("{}: cannot be moved", from.join(name).display()));
            }
            _ => {}
        }
    }
    Ok(())
}
