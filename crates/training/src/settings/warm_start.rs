//! A training that begins with what another run has learnt.

use serde::{Deserialize, Serialize};

use super::ranges::between;
use crate::error::Result;

/// A training whose weights are another run's at its beginning (proposal): a short one, on images beside that run's own. The
/// method's own schedule stays in the settings; short trainings for [cross-fitting](super::Calibration::folds) follow it, since they
/// begin with initial weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// SHA-256 of the tensors of the run's file.
    pub weights: String,
    /// Steps. Default 300.
    #[serde(default = "steps")]
    pub steps: u64,
    /// Largest learning rate as a share of the method's, above 0 to 1. Default 0.2.
    #[serde(default = "rate")]
    pub rate: f64,
}

fn steps() -> u64 {
    300
}

fn rate() -> f64 {
    0.2
}

impl WarmStart {
    /// With the weights of this digest, and the defaults.
    pub fn new(weights: impl Into<String>) -> Self {
        Self {
            weights: weights.into(),
            steps: steps(),
            rate: rate(),
        }
    }

    /// Checks every setting's range.
    pub(crate) fn check(&self) -> Result<()> {
        between("warm_start.steps", self.steps as f64, 1.0, 1e12)?;
        between("warm_start.rate", self.rate, 1e-9, 1.0)
    }
}
