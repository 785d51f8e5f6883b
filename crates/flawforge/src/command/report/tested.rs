//! The test images of the page: scored once, with pictures of the most telling ones.

use anyhow::Result;
use flawforge::metrics::Bootstrap;
use flawforge::models::Detector;
use flawforge::training::{Decision, EvaluateOptions, Evaluation, Judged, Run, Verdict, evaluate_set};

use super::gallery::{Extreme, Look};
use crate::command::evaluate::trained_on;
use crate::command::facts::Sorts;
use crate::command::inventory::say_tests;
use crate::command::region::RegionArgs;
use crate::command::source::{CategoryArgs, say};

/// Pictures of each sort.
const SHOWN: usize = 8;

/// Test images with what the run says of them.
pub(super) struct Tested {
    pub(super) source: String,
    pub(super) digest: String,
    pub(super) sorts: Sorts,
    /// Test images that the run was trained on.
    pub(super) known: usize,
    pub(super) evaluation: Evaluation,
    pub(super) judged: Option<Judged>,
    /// Good images called anomalous, the highest score first.
    pub(super) false_alarms: Extreme,
    /// Defective images called normal, the lowest score first.
    pub(super) misses: Extreme,
    /// Images in the band, the highest score first.
    pub(super) to_look_at: Extreme,
    /// All images by score, the highest first.
    pub(super) worst: Extreme,
}

/// Scores the test images of a category.
pub(super) fn test(
    run: &Run,
    detector: &dyn Detector,
    decision: Option<&Decision>,
    category: &CategoryArgs,
    look: Look,
) -> Result<Tested> {
    let loading = RegionArgs::default().loading(run)?;
    let source = category.tests(&loading)?;
    let tests = source.read(&loading)?;
    say(&tests.notes);
    let trained = trained_on(run, &tests);
    say_tests(&tests, &trained);
    let options = EvaluateOptions {
        intervals: Some(Bootstrap::default()),
        ..EvaluateOptions::default()
    };
    let [mut false_alarms, mut to_look_at, mut worst] = [(); 3].map(|()| Extreme::new(SHOWN, true));
    let mut misses = Extreme::new(SHOWN, false);
    let mut fault = None;
    let evaluation = evaluate_set(
        detector,
        &tests,
        &run.experiment().evaluation,
        &options,
        &mut |_, test, detection| {
            let score = detection.verdict_score;
            let verdict = decision.map(|decision| decision.verdict(score));
            let called = verdict.map_or("", Verdict::name);
            let figure = || {
                let about = format!("{score:.4} {called}");
                look.figure(
                    (&test.name, about.trim_end()),
                    &test.image,
                    &detection.map,
                    Some(&test.mask_half),
                )
            };
            let shown = match (verdict, test.is_defective()) {
                (Some(Verdict::Anomalous), false) => false_alarms.offer(score, figure),
                (Some(Verdict::Normal), true) => misses.offer(score, figure),
                (Some(Verdict::Look), _) => to_look_at.offer(score, figure),
                (None, _) | (Some(Verdict::Anomalous), true) => worst.offer(score, figure),
                (Some(Verdict::Normal), false) => Ok(()),
            };
            fault = fault.take().or(shown.err());
        },
    )?;
    fault.map_or(Ok(()), Err)?;
    Ok(Tested {
        source: category.place(),
        digest: tests.digest.clone(),
        sorts: Sorts::of(&tests),
        known: trained.len(),
        judged: decision.map(|decision| Judged::of(&evaluation.images, decision)),
        evaluation,
        false_alarms,
        misses,
        to_look_at,
        worst,
    })
}
