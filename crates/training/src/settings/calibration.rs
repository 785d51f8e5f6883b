//! What verdicts rest on: which normal images are scored unseen, how many simulated anomalies, and what is promised.

use serde::{Deserialize, Serialize};

use super::ranges::between;
use crate::error::{Result, TrainingError};

/// The scores that decision thresholds are found on: of normal images that were not trained on, and of simulated anomalies; never
/// of test images (proposal).
///
/// The defaults are for tables of metrics, which need no threshold: nothing is held out, as in the paper, and a few training
/// images are scored. [`for_use`](Self::for_use) is for detectors whose verdicts count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Share of the training images that is held out of training, 0 to 0.5.
    pub held_out: f64,
    /// Names of the images to hold out, in the place of a share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_out_names: Vec<String>,
    /// Normal images scored, at most. 0: no threshold.
    pub images: usize,
    /// Fewest images to hold out, where that is no more than a fifth of them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub fewest: usize,
    /// Otherwise, parts into which the images are divided; each part is scored by a short training on the others
    /// (cross-fitting). 0: never. Methods that [leave one out](crate::Experiment::leaves_one_out) need none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub folds: usize,
    /// Steps of such a short training, as a share of the whole one's, above 0 to 1.
    #[serde(default = "fold_steps", skip_serializing_if = "is_fold_steps")]
    pub fold_steps: f64,
    /// Simulated anomalies scored, at least; there is one of each normal image that is scored at any rate.
    #[serde(default, skip_serializing_if = "is_none")]
    pub anomalies: usize,
    /// Share of good parts that verdicts may call anomalous, above 0, below 1.
    #[serde(default = "false_alarms", skip_serializing_if = "is_false_alarms")]
    pub false_alarms: f64,
    /// Five and twelve times that share may be allowed instead, up to this one, where simulated anomalies show that enough is gained
    /// ([`Calibrated::decide`](crate::fit::Calibrated::decide)).
    #[serde(default = "most_false_alarms", skip_serializing_if = "is_most_false_alarms")]
    pub most_false_alarms: f64,
    /// How sure the promise is, above 0, below 1.
    #[serde(default = "confidence", skip_serializing_if = "is_confidence")]
    pub confidence: f64,
}

/// Largest share of the images that is held out for the sake of their number (proposal): beyond it cross-fitting costs less than
/// the images would be missed.
const MOST_HELD_OUT: f64 = 0.2;

fn is_none(count: &usize) -> bool {
    *count == 0
}

fn fold_steps() -> f64 {
    0.25
}

fn is_fold_steps(share: &f64) -> bool {
    *share == fold_steps()
}

fn false_alarms() -> f64 {
    0.01
}

fn is_false_alarms(rate: &f64) -> bool {
    *rate == false_alarms()
}

fn most_false_alarms() -> f64 {
    0.12
}

fn is_most_false_alarms(rate: &f64) -> bool {
    *rate == most_false_alarms()
}

fn confidence() -> f64 {
    0.9
}

fn is_confidence(confidence: &f64) -> bool {
    *confidence == self::confidence()
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            held_out: 0.0,
            held_out_names: Vec::new(),
            images: 16,
            fewest: 0,
            folds: 0,
            fold_steps: fold_steps(),
            anomalies: 0,
            false_alarms: false_alarms(),
            most_false_alarms: most_false_alarms(),
            confidence: confidence(),
        }
    }
}

/// Where the scores of normal images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// So many images are held out of the training.
    HeldOut(usize),
    /// All are trained on; they are scored in so many parts, by trainings on the others.
    Folds(usize),
    /// All are trained on and scored.
    None,
}

impl Calibration {
    /// For a detector whose verdicts count (proposal): a tenth of the images, at least 20, is held out; where that would be more
    /// than a fifth, four short trainings score all. `leaves_one_out`: the method scores its normal images as if unseen at any
    /// rate.
    pub fn for_use(leaves_one_out: bool) -> Self {
        let all = Self {
            images: 256,
            anomalies: 100,
            ..Self::default()
        };
        match leaves_one_out {
            true => all,
            false => Self {
                held_out: 0.1,
                fewest: 20,
                folds: 4,
                ..all
            },
        }
    }

    /// How the scores of unseen images are come by, where there are `count` images in all.
    pub(crate) fn split(&self, count: usize) -> Split {
        if !self.held_out_names.is_empty() {
            return Split::HeldOut(self.held_out_names.len().min(count));
        }
        let share = (count as f64 * self.held_out).floor() as usize;
        let wanted = share.max(self.fewest);
        if wanted == 0 && self.folds == 0 {
            return Split::None;
        }
        if wanted > share && wanted as f64 > MOST_HELD_OUT * count as f64 {
            return match self.folds.min(count) {
                0 | 1 => match share {
                    0 => Split::None,
                    share => Split::HeldOut(share),
                },
                folds => Split::Folds(folds),
            };
        }
        match wanted {
            0 if self.folds.min(count) > 1 => Split::Folds(self.folds.min(count)),
            0 => Split::None,
            wanted => Split::HeldOut(wanted),
        }
    }

    /// Checks every setting's range.
    pub(crate) fn check(&self) -> Result<()> {
        between("calibration.held_out", self.held_out, 0.0, 0.5)?;
        between("calibration.fold_steps", self.fold_steps, 1e-6, 1.0)?;
        between("calibration.folds", self.folds as f64, 0.0, 1000.0)?;
        between("calibration.images", self.images as f64, 0.0, 1e6)?;
        between("calibration.anomalies", self.anomalies as f64, 0.0, 1e6)?;
        for (name, share) in [
            ("calibration.false_alarms", self.false_alarms),
            ("calibration.most_false_alarms", self.most_false_alarms),
            ("calibration.confidence", self.confidence),
        ] {
            if !(share > 0.0 && share < 1.0) {
                let message = format!("{share} is not above 0 and below 1");
                return Err(TrainingError::setting(name, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_images_are_held_out_and_few_are_cross_fitted() {
        let of = |count| Calibration::for_use(false).split(count);
        assert_eq!(of(1), Split::None);
        assert_eq!(of(3), Split::Folds(3));
        assert_eq!(of(99), Split::Folds(4));
        assert_eq!(of(100), Split::HeldOut(20));
        assert_eq!(of(500), Split::HeldOut(50));
        assert_eq!(Calibration::for_use(true).split(500), Split::None);
        // What was asked for by share alone is given, as before there were other ways.
        let share = Calibration {
            held_out: 0.1,
            ..Calibration::default()
        };
        assert_eq!(
            (share.split(9), share.split(31)),
            (Split::None, Split::HeldOut(3))
        );
        assert_eq!(Calibration::default().split(200), Split::None);
    }

    #[test]
    fn defaults_leave_no_trace_in_the_text() {
        let text = toml::to_string(&Calibration::default()).unwrap();
        assert_eq!(text, "held_out = 0.0\nimages = 16\n");
        assert_eq!(
            toml::from_str::<Calibration>(&text).unwrap(),
            Calibration::default()
        );
    }
}
