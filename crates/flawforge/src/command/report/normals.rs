//! The normal images of the page: those that score highest, and simulated anomalies on others. Nothing is shown of images that
//! the run was not trained on.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use flawforge::augment::to_bytes;
use flawforge::datasets::{Category, Limits, Look as Digest};
use flawforge::models::Detector;
use flawforge::training::fit::Calibrated;
use flawforge::training::{Decision, Run};

use super::gallery::{Look, reduced};
use crate::command::html::{escaped, mask, photograph};
use crate::command::region::RegionArgs;
use crate::command::simulate::{Shown, spaced, visible};
use crate::command::source::{CategoryArgs, TextureArgs};

/// Normal images that are shown because they score high.
const UNUSUAL: usize = 8;
/// Simulated anomalies that are shown.
const SAMPLES: usize = 8;

/// Figures of normal images.
#[derive(Default)]
pub(super) struct Normals {
    /// The most unusual ones, the highest score first.
    pub(super) unusual: Vec<String>,
    /// Normal image, simulated anomaly and mask.
    pub(super) samples: Vec<String>,
    /// Why there are none.
    pub(super) missing: Option<String>,
}

/// Reads the normal images where the run found them, and shows some.
pub(super) fn normals(
    run: &Run,
    detector: &dyn Detector,
    decision: Option<&Decision>,
    look: Look,
) -> Normals {
    read(run, detector, decision, look).unwrap_or_else(|fault| Normals {
        missing: Some(format!(
            "The images that it was trained on cannot be shown: {}",
            flawforge::fault::in_one_line(fault.as_ref())
        )),
        ..Normals::default()
    })
}

fn read(run: &Run, detector: &dyn Detector, decision: Option<&Decision>, look: Look) -> Result<Normals> {
    let places = run.places().context("the run does not say where they are")?;
    let place = CategoryArgs::at(&places.images);
    let (mut category, _) =
        place.load_normals(&RegionArgs::default().loading(run)?, true, &Limits::default())?;
    let known: BTreeSet<&str> = run.data().each.iter().map(String::as_str).collect();
    let mut kept = Vec::with_capacity(category.train.len());
    for image in std::mem::take(&mut category.train) {
        let digest = Digest::short_digest_of(image.image()?.as_ref());
        if known.contains(digest.as_str()) {
            kept.push(image);
        }
    }
    category.train = kept;
    if category.train.is_empty() {
        anyhow::bail!("{}: other images are there now", places.images);
    }
    let mut normals = Normals::default();
    if let Some(calibrated) = run.calibrated() {
        normals.unusual = unusual(&category, calibrated, detector, decision, look)?;
    }
    match samples(run, &category, &places.textures) {
        Ok(samples) => normals.samples = samples,
        Err(fault) => {
            normals.missing = Some(format!(
                "Simulated anomalies cannot be shown: {}",
                flawforge::fault::in_one_line(fault.as_ref())
            ));
        }
    }
    Ok(normals)
}

fn unusual(
    category: &Category,
    calibrated: &Calibrated,
    detector: &dyn Detector,
    decision: Option<&Decision>,
    look: Look,
) -> Result<Vec<String>> {
    let mut scores: Vec<_> = calibrated.normal().collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut figures = Vec::new();
    for one in scores {
        let Some(normal) = category.train.iter().find(|normal| normal.name == one.image) else {
            continue;
        };
        let image = normal.image()?;
        for detection in detector.inspect(&[image.as_ref()])? {
            let called = decision.map_or("", |decision| decision.verdict(one.score).name());
            let about = format!("{:.4} {called}", one.score);
            figures.push(look.figure((&normal.name, about.trim_end()), &image, &detection.map, None)?);
        }
        if figures.len() >= UNUSUAL {
            break;
        }
    }
    Ok(figures)
}

fn samples(run: &Run, category: &Category, textures: &str) -> Result<Vec<String>> {
    let experiment = run.experiment();
    let textures = TextureArgs::at(textures).load(experiment.image_size)?;
    let simulation = experiment.anomalies(category, textures);
    let shown: Vec<Shown<'_>> = spaced(category, SAMPLES.min(category.train.len()))?;
    let mut figures = Vec::new();
    for (normal, sample) in shown.iter().zip(visible(&simulation, &shown, experiment.seed)) {
        let kind = sample
            .kind
            .map_or_else(|| "nothing visible".to_owned(), |kind| kind.to_string());
        let about = format!("{kind}, {:.1} % of the image", 100.0 * sample.mask.coverage());
        figures.push(format!(
            "<figure><div class=\"pair\">{}{}{}</div><figcaption><b>{}</b> {}</figcaption></figure>",
            photograph(&reduced(&normal.image), normal.name)?,
            photograph(
                &reduced(&to_bytes(&sample.image)),
                &format!("{}, simulated", normal.name)
            )?,
            mask(&sample.mask.to_luma8(), &format!("{}, mask", normal.name))?,
            escaped(normal.name),
            escaped(&about)
        ));
    }
    Ok(figures)
}
