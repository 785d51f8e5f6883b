//! What the page says in words: what was trained on what, what is promised, what was tested.

use flawforge::datasets::counted;
use flawforge::training::fit::{Line, Origin};
use flawforge::training::{Decision, Run, spoken};

use super::tested::Tested;
use crate::command::verdicts::band;

/// Characters of a digest that are shown: enough to tell two apart by eye.
const DIGEST: usize = 16;

/// A name and what is said of it.
pub(super) type Fact = (&'static str, String);

fn brief(digest: &str) -> String {
    digest.get(..DIGEST).unwrap_or(digest).to_owned()
}

/// What was trained on what.
pub(super) fn trained(run: &Run, journal: &[Line]) -> Vec<Fact> {
    let experiment = run.experiment();
    let data = run.data();
    let mut facts = vec![
        ("run", run.file().display().to_string()),
        (
            "method",
            format!(
                "{}, profile {}, seed {}",
                experiment.method, experiment.profile, experiment.seed
            ),
        ),
        ("category", run.category().to_owned()),
    ];
    let steps = match run.step() < run.total_steps() {
        true => format!(
            "{} of {}: the training is not finished",
            run.step(),
            run.total_steps()
        ),
        false => run.step().to_string(),
    };
    facts.push(("steps", steps));
    if let Some(last) = journal.last() {
        facts.push(("time", spoken(last.seconds)));
    }
    let side = experiment.image_size;
    facts.push(("size of the images", format!("{side}x{side} pixels")));
    let (images, textures) = match run.places() {
        Some(places) => (places.images.as_str(), places.textures.as_str()),
        None => ("place not recorded", "place not recorded"),
    };
    let number = match data.each.len() {
        0 => String::new(),
        count => format!("{} ", counted(count, "normal image")),
    };
    facts.push(("trained on", format!("{number}({images})")));
    if let Some(weights) = run.places().and_then(|places| places.weights.clone()) {
        facts.push(("weights", weights));
    }
    if let Some(places) = run.places().filter(|places| !places.skipped.is_empty()) {
        facts.push(("left out", places.skipped.join("; ")));
    }
    facts.push(("digest of the images", brief(&data.images)));
    let is_digest = data.textures.len() == 64 && data.textures.chars().all(|digit| digit.is_ascii_hexdigit());
    facts.push((
        "textures",
        match is_digest {
            true => format!("{textures} ({})", brief(&data.textures)),
            false => textures.to_owned(),
        },
    ));
    facts.push(("hash of the settings", brief(&experiment.hash())));
    facts
}

/// What the threshold promises and rests on.
pub(super) fn decided(decision: &Decision, normal: usize, simulated: usize) -> Vec<Fact> {
    let mut facts = vec![("threshold", decision.threshold.to_string())];
    if let Some(promise) = decision.promise {
        facts.push(("promise on false alarms", promise.to_string()));
    }
    if let Some(band) = band(decision) {
        facts.push(("band", band));
    }
    facts.push(("threshold of pixels", decision.pixel_threshold.to_string()));
    let origin = match decision.origin {
        Origin::HeldOut => "held out of the training",
        Origin::CrossFitted => "each scored by a short training on others",
        Origin::LeftOut => "each scored against what was kept of the others",
        Origin::Assumed => "given for imported weights, which are assumed not to know them",
        Origin::Trained => "trained on, so later parts may score higher",
    };
    facts.push((
        "rests on",
        format!(
            "{} ({origin}) and {}",
            counted(normal, "normal image"),
            match simulated {
                1 => "1 simulated anomaly".to_owned(),
                more => format!("{more} simulated anomalies"),
            }
        ),
    ));
    facts
}

/// What was tested.
pub(super) fn tested(tested: &Tested) -> Vec<Fact> {
    let mut facts = vec![
        ("tested on", tested.source.clone()),
        (
            "images",
            format!(
                "{} normal, {} defective, {} with masks",
                tested.sorts.normal, tested.sorts.defective, tested.sorts.masked
            ),
        ),
        ("digest of the images", brief(&tested.digest)),
    ];
    if let Some((width, height)) = tested.evaluation.scored_at {
        facts.push(("pixels scored at", format!("{width}x{height}")));
    }
    if tested.known > 0 {
        facts.push((
            "also trained on",
            format!(
                "{}: figures on these are too good",
                counted(tested.known, "test image")
            ),
        ));
    }
    facts
}
