//! The length of a training and its learning rate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ranges::between;
use crate::{Result as Checked, TrainingError};

/// Length of a training: `"800 steps"` or `"700 epochs"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Length {
    /// A number of optimizer steps.
    Steps(u64),
    /// A number of epochs of `ceil(images / batch)` steps (DRAEM's code: 700).
    Epochs(u64),
}

impl Length {
    /// The number of steps for `images` training images and batches of `batch`; under split training too this
    /// counts all images of both halves (proposal: as many steps as DRAEM would take).
    pub fn steps(self, images: usize, batch: usize) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => epochs * images.div_ceil(batch.max(1)) as u64,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(count) => write!(f, "{count} steps"),
            Self::Epochs(count) => write!(f, "{count} epochs"),
        }
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not a length such as \"800 steps\" or \"700 epochs\"");
        let (count, unit) = text.trim().split_once(' ').ok_or_else(fault)?;
        let count: u64 = count.parse().map_err(|_| fault())?;
        match unit.trim() {
            "steps" | "step" => Ok(Self::Steps(count)),
            "epochs" | "epoch" => Ok(Self::Epochs(count)),
            _ => Err(fault()),
        }
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How the learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decay {
    /// By a factor at each milestone (DRAEM's code).
    Milestones,
    /// Along half a cosine, to nearly nothing at the last step (NSA's code; for short budgets a proposal).
    Cosine,
}

/// Length and learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Length of the training.
    pub length: Length,
    /// Largest learning rate (DRAEM's code: 1e-4).
    pub learning_rate: f64,
    /// Share of the length in which the rate rises linearly to `learning_rate` (DRAEM's code: 0).
    pub warm_up: f64,
    /// How the rate falls after that.
    pub decay: Decay,
    /// Fractions of the length at which the rate is multiplied by `decay_factor` (DRAEM's code: 0.8 and 0.9).
    pub decay_milestones: Vec<f64>,
    /// Factor at a milestone (DRAEM's code: 0.2).
    pub decay_factor: f64,
    /// Rate at the end of the cosine (NSA's code: 1e-6).
    pub floor: f64,
}

impl Schedule {
    /// DRAEM's schedule: 700 epochs at 1e-4, which falls to a fifth at 80 % and again at 90 % of the length.
    pub fn draem() -> Self {
        Self {
            length: Length::Epochs(700),
            learning_rate: 1e-4,
            warm_up: 0.0,
            decay: Decay::Milestones,
            decay_milestones: vec![0.8, 0.9],
            decay_factor: 0.2,
            floor: 0.0,
        }
    }

    /// Checks every setting's range.
    pub(crate) fn check(&self) -> Checked<()> {
        if self.length.steps(1, 1) == 0 {
            return Err(TrainingError::setting("schedule.length", "is zero"));
        }
        if self.learning_rate <= 0.0 || !self.learning_rate.is_finite() {
            let message = format!("{} is not a positive number", self.learning_rate);
            return Err(TrainingError::setting("schedule.learning_rate", message));
        }
        between("schedule.warm_up", self.warm_up, 0.0, 0.5)?;
        for &milestone in &self.decay_milestones {
            between("schedule.decay_milestones", milestone, 0.0, 1.0)?;
        }
        between("schedule.floor", self.floor, 0.0, self.learning_rate)?;
        between("schedule.decay_factor", self.decay_factor, 0.0, 1.0)
    }

    /// The learning rate of `step` (counted from 0) in a training of `total` steps.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let warm_up = self.warm_up * total as f64;
        let step_middle = step as f64 + 0.5;
        if step_middle < warm_up {
            return self.learning_rate * step_middle / warm_up;
        }
        match self.decay {
            Decay::Milestones => self.learning_rate * self.decay_factor.powi(self.passed(step, total)),
            Decay::Cosine => {
                let done = (step_middle - warm_up) / (total as f64 - warm_up);
                let share = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                self.floor + (self.learning_rate - self.floor) * share
            }
        }
    }

    /// Milestones that lie behind `step`.
    fn passed(&self, step: u64, total: u64) -> i32 {
        let passed = self
            .decay_milestones
            .iter()
            // The small addition keeps 0.9 * 10 from becoming 8.999 and the decay from coming one step early.
            .filter(|&&milestone| step >= (milestone * total as f64 + 1e-6).floor() as u64)
            .count();
        passed as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_falls_at_the_milestones() {
        let schedule = Schedule {
            length: Length::Steps(10),
            learning_rate: 1.0,
            warm_up: 0.0,
            decay: Decay::Milestones,
            decay_milestones: vec![0.8, 0.9],
            decay_factor: 0.2,
            floor: 0.0,
        };
        let rates: Vec<f64> = (0..10).map(|step| schedule.rate(step, 10)).collect();
        assert_eq!(rates[..8], [1.0; 8]);
        assert!((rates[8] - 0.2).abs() < 1e-12 && (rates[9] - 0.04).abs() < 1e-12);
    }

    #[test]
    fn rate_rises_and_falls_along_a_cosine() {
        let schedule = Schedule {
            length: Length::Steps(100),
            learning_rate: 2.0,
            warm_up: 0.1,
            decay: Decay::Cosine,
            decay_milestones: Vec::new(),
            decay_factor: 1.0,
            floor: 0.0,
        };
        let rate = |step| schedule.rate(step, 100);
        assert!((rate(0) - 0.1).abs() < 1e-12 && (rate(4) - 0.9).abs() < 1e-12);
        assert!((10..99).all(|step| rate(step) > rate(step + 1)));
        // Symmetric about the middle of the fall, between steps 54 and 55.
        assert!((rate(54) + rate(55) - 2.0).abs() < 1e-12);
        assert!(rate(99) > 0.0 && rate(99) < 1e-3);
    }

    #[test]
    fn lengths_parse_and_count() {
        assert_eq!("800 steps".parse(), Ok(Length::Steps(800)));
        assert_eq!("700 epochs".parse(), Ok(Length::Epochs(700)));
        assert!("700".parse::<Length>().is_err());
        assert!("many steps".parse::<Length>().is_err());
        assert_eq!(Length::Epochs(700).steps(60, 8), 5_600); // toothbrush, docs/method.md, Budgets
    }
}
