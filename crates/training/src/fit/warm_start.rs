//! A training that begins with another run's weights: on which images, and what has changed since at that run's threshold.

use std::collections::HashSet;

use flawforge_augment::Simulation;
use flawforge_datasets::{Category, TrainImage};
use flawforge_models::Detector;
use serde::{Deserialize, Serialize};

use super::calibrate::{anomaly_scores, normal_scores};
use super::plan::hold_out;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::recipe::{Highest, Recipe};
use crate::run::Run;
use crate::settings::{Split, WarmStart};

/// The run whose weights a run began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its file.
    pub run: String,
    /// SHA-256 of its tensors.
    pub weights: String,
    /// Its steps.
    pub steps: u64,
    /// Its own images among those that the new run was given.
    pub own: usize,
    /// Its decision threshold; `None` where it has none, and nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Short digests of those of its images on which both detectors are compared: those that were held out of both trainings, if
    /// it held some out; else images that both were trained on.
    pub frozen: Vec<String>,
    /// Whether these were held out.
    pub held_out: bool,
    /// Short digests of the images that it did not know.
    pub new: Vec<String>,
    /// What its detector says at its threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Shares>,
    /// What the new detector says at the same threshold, after the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Shares>,
}

/// What a detector calls anomalous at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shares {
    /// Good parts of the frozen set.
    pub normal: usize,
    /// Those of them called anomalous: false alarms.
    pub alarms: usize,
    /// Simulated flaws of the frozen set.
    pub simulated: usize,
    /// Those of them called anomalous: finds.
    pub found: usize,
    /// Added good parts.
    pub added: usize,
    /// Those of them called anomalous.
    pub added_alarms: usize,
}

impl Predecessor {
    /// What was trained on and what has changed, in sentences without a full stop.
    pub fn sentences(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "begun with the weights of {} (step {}), on {} of its images and {} added",
            self.run,
            self.steps,
            self.own,
            self.new.len()
        )];
        let (Some(threshold), Some(before), Some(after)) = (self.threshold, self.before, self.after) else {
            return lines;
        };
        let which = match self.held_out {
            true => "good parts held out of both trainings",
            false => "good parts that both were trained on",
        };
        if before.normal > 0 {
            lines.push(format!(
                "at the old threshold {threshold:.3}: {} of {} {which} were called anomalous, now {}; {} of {} simulated flaws were \
                 found, now {}",
                before.alarms, before.normal, after.alarms, before.found, before.simulated, after.found
            ));
        }
        if before.added > 0 {
            lines.push(format!(
                "of the {} added good parts {} were called anomalous, now {} (these were trained on since)",
                before.added, before.added_alarms, after.added_alarms
            ));
        }
        lines
    }
}

/// The normal images of a run and further ones, which come after them; those that are there already are left out. A name that
/// occurs twice gets `added/` in front.
#[must_use]
pub fn joined(own: Category, added: Category) -> Category {
    let mut known: HashSet<String> = own.train.iter().map(digest).collect();
    let mut names: HashSet<String> = own.train.iter().map(|image| image.name.clone()).collect();
    let mut train = own.train;
    for mut image in added.train {
        if !known.insert(digest(&image)) {
            continue;
        }
        while names.contains(&image.name) {
            image.name.insert_str(0, "added/");
        }
        names.insert(image.name.clone());
        train.push(image);
    }
    let mut notes = own.notes;
    notes.extend(added.notes);
    Category {
        train,
        notes,
        seen: None,
        ..own
    }
}

fn digest(image: &TrainImage) -> String {
    image.look().short_digest()
}

impl Run {
    /// The experiment of a run that begins with this one's weights, on the images of `category`, for `steps` steps or the default
    /// number. Images that this run held out stay held out. Where it held none out, nor does the successor: all of its images are
    /// known to the weights.
    ///
    /// # Errors
    /// For methods that pass over their images once.
    pub fn successor(&self, category: &Category, steps: Option<u64>) -> Result<Experiment> {
        let own = self.experiment();
        let mut experiment = Experiment {
            category: category.name.clone(),
            warm_start: Some(WarmStart::new(self.header().digest())),
            ..own.clone()
        };
        // Refused for methods without a schedule, whatever the steps.
        experiment = experiment.with_steps(steps.unwrap_or_else(|| experiment.steps(0)))?;
        let calibration = &mut experiment.calibration;
        let held = held_out(self, category);
        (calibration.held_out, calibration.fewest) = (0.0, 0);
        calibration.held_out_names = held
            .iter()
            .map(|&place| category.train[place].name.clone())
            .collect();
        Ok(experiment)
    }
}

/// Positions in `category` of what a run held out.
fn held_out(run: &Run, category: &Category) -> Vec<usize> {
    let all = &run.data().each;
    let calibration = &run.experiment().calibration;
    let (names, digests): (HashSet<&str>, HashSet<&str>) = match calibration.split(all.len()) {
        Split::HeldOut(_) if calibration.held_out_names.is_empty() => {
            let (_, held) = hold_out(all.len(), run.experiment());
            (
                HashSet::new(),
                held.iter().map(|&place| all[place].as_str()).collect(),
            )
        }
        Split::HeldOut(_) => {
            let names = calibration.held_out_names.iter().map(String::as_str);
            (names.collect(), HashSet::new())
        }
        _ => return Vec::new(),
    };
    let images = category.train.iter().enumerate();
    images
        .filter(|(_, image)| names.contains(image.name.as_str()) || digests.contains(digest(image).as_str()))
        .map(|(place, _)| place)
        .collect()
}

/// Refuses an experiment that does not begin with these weights.
pub(super) fn check(run: &Run, experiment: &Experiment) -> Result<()> {
    match &experiment.warm_start {
        Some(warm) if warm.weights == run.header().digest() => Ok(()),
        _ => Err(TrainingError::setting(
            "warm_start.weights",
            format!("is not the digest of {}", run.file().display()),
        )),
    }
}

/// Detectors before and after, on the same images.
pub(super) struct Compared<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) category: &'a Category,
    pub(super) simulation: &'a Simulation,
}

impl Compared<'_> {
    /// Gives the recipe the weights of a run, and says what that run's detector calls anomalous.
    pub(super) fn begin(
        &self,
        run: &Run,
        recipe: &mut dyn Recipe,
        held_out: &[usize],
    ) -> Result<Predecessor> {
        recipe.restore_weights(&run.weights()?)?;
        let threshold = run.decision(&run.rule())?.map(|decision| decision.threshold);
        let known: HashSet<&str> = run.data().each.iter().map(String::as_str).collect();
        let digests: Vec<String> = self.category.train.iter().map(digest).collect();
        let own: Vec<usize> = (0..digests.len())
            .filter(|&place| known.contains(digests[place].as_str()))
            .collect();
        let among = if held_out.is_empty() { &own } else { held_out };
        let wanted = self.experiment.calibration.images.min(among.len());
        let frozen = (0..wanted).map(|i| digests[among[i * among.len() / wanted]].clone());
        let mut predecessor = Predecessor {
            run: run.file().display().to_string(),
            weights: run.header().digest().to_owned(),
            steps: run.step(),
            own: own.len(),
            threshold,
            frozen: frozen.collect(),
            held_out: !held_out.is_empty(),
            new: digests
                .iter()
                .filter(|digest| !known.contains(digest.as_str()))
                .cloned()
                .collect(),
            before: None,
            after: None,
        };
        predecessor.before = self.shares(run.detector()?.as_ref(), &predecessor)?;
        Ok(predecessor)
    }

    /// What the detector of a recipe calls anomalous.
    pub(super) fn after(&self, recipe: &dyn Recipe, predecessor: &Predecessor) -> Result<Option<Shares>> {
        let detector = self.experiment.looking_inside(recipe.detector()?);
        self.shares(detector.as_ref(), predecessor)
    }

    fn shares(&self, detector: &dyn Detector, predecessor: &Predecessor) -> Result<Option<Shares>> {
        let Some(threshold) = predecessor.threshold else {
            return Ok(None);
        };
        let images = &self.category.train;
        let digests: Vec<String> = images.iter().map(digest).collect();
        let places = |wanted: &[String]| -> Vec<usize> {
            let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
            (0..images.len())
                .filter(|&place| wanted.contains(digests[place].as_str()))
                .collect()
        };
        let frozen = places(&predecessor.frozen);
        let normal = normal_scores(
            self.experiment,
            detector,
            images,
            &frozen,
            &mut Highest::default(),
        )?;
        let simulated = match frozen.is_empty() {
            true => Vec::new(),
            false => anomaly_scores(self.experiment, detector, self.simulation, images, &frozen)?,
        };
        let new = places(&predecessor.new);
        let added = normal_scores(self.experiment, detector, images, &new, &mut Highest::default())?;
        let above =
            |scores: &[super::CalibrationScore]| scores.iter().filter(|one| one.score >= threshold).count();
        Ok(Some(Shares {
            normal: normal.len(),
            alarms: above(&normal),
            simulated: simulated.len(),
            found: above(&simulated),
            added: added.len(),
            added_alarms: above(&added),
        }))
    }
}
