//! What a person asks of verdicts, and what a verdict can be.

use serde::{Deserialize, Serialize};

use crate::settings::Calibration;

/// What a person wants of verdicts. Nothing is trained anew for another rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Largest share of good parts that are called anomalous, above 0, below 1.
    pub false_alarms: f64,
    /// Five and twelve times that share may be allowed instead, if they are no larger than this, where simulated anomalies show that
    /// enough is gained ([`Calibrated::decide`](crate::fit::Calibrated::decide)). With 0 only `false_alarms` itself is.
    pub most_false_alarms: f64,
    /// How sure that is to be, above 0, below 1.
    pub confidence: f64,
    /// A larger share: what lies between its threshold and the first is to be looked at. `None`: no such band.
    pub band: Option<f64>,
    /// A threshold that overrides the one found.
    pub threshold: Option<f32>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            false_alarms: 0.01,
            most_false_alarms: 0.12,
            confidence: 0.9,
            band: None,
            threshold: None,
        }
    }
}

impl Rule {
    /// What the settings of a run ask for.
    pub fn of(calibration: &Calibration) -> Self {
        Self {
            false_alarms: calibration.false_alarms,
            most_false_alarms: calibration.most_false_alarms,
            confidence: calibration.confidence,
            ..Self::default()
        }
    }
}

/// What is said of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The score is below all thresholds.
    Normal,
    /// The score lies in the band of doubt: a person should look.
    Look,
    /// The score is at least the threshold.
    Anomalous,
}

impl Verdict {
    /// `normal`, `look` or `anomalous`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Look => "look",
            Self::Anomalous => "anomalous",
        }
    }
}
