//! Whether new images score as the calibration's did: light, focus, lens and parts change, and thresholds do not know.

use std::fmt;

use flawforge_metrics::auroc;

use crate::error::Result;
use crate::fit::{Calibrated, Origin};
use crate::run::Run;

/// Fewest images on either side for a comparison (proposal).
const FEWEST: usize = 20;
/// Standard errors from which on a shift is no accident: one comparison in 16,000 is beyond them without one.
const SURE: f64 = 4.0;
/// How far from one half the probability must be that a new score exceeds an old one (proposal).
const NOTABLE: f64 = 0.15;

/// A shift of the scores of good parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// New images below the threshold.
    pub images: usize,
    /// Their median score.
    pub median: f32,
    /// Median score of the calibration's normal images below the threshold.
    pub usual: f32,
    /// The probability that a new score exceeds one of the calibration.
    pub exceeds: f64,
    /// Standard errors that this is away from one half (Mann and Whitney 1947).
    pub errors: f64,
}

/// "the 180 images below the threshold score higher than the calibration's: median 0.31 against 0.22 (11.2 standard errors); ...".
impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            images,
            median,
            usual,
            exceeds,
            errors,
        } = *self;
        let than = if exceeds > 0.5 { "higher" } else { "lower" };
        write!(
            f,
            "the {images} images below the threshold score {than} than the calibration's: median {median:.4} against {usual:.4} \
             ({:.0} standard errors); light, focus or parts may have changed, and the threshold may no longer promise what it did",
            errors.abs()
        )
    }
}

impl Calibrated {
    /// Compares the verdict scores of new images below `threshold` with those of the calibration's normal images there. `None` where
    /// there are too few for that, or no shift worth a word.
    ///
    /// Short trainings score their unseen images higher than the finished detector scores later ones, so that beside a cross-fitting
    /// only higher scores tell of a shift. Images that were trained on score lower, so that beside these only lower ones do.
    ///
    /// # Errors
    /// A score that is not a number.
    pub fn drift(&self, threshold: f32, scores: &[f32]) -> Result<Option<Drift>> {
        let below = |scores: &mut dyn Iterator<Item = f32>| -> Vec<f32> {
            scores.filter(|&score| score < threshold).collect()
        };
        let new = below(&mut scores.iter().copied());
        let usual = below(&mut self.normal().map(|one| one.score));
        if new.len().min(usual.len()) < FEWEST {
            return Ok(None);
        }
        let labels: Vec<bool> = (0..new.len() + usual.len())
            .map(|place| place < new.len())
            .collect();
        let exceeds = auroc(&[new.as_slice(), &usual].concat(), &labels)?;
        let (n, m) = (new.len() as f64, usual.len() as f64);
        let errors = (exceeds - 0.5) / ((n + m + 1.0) / (12.0 * n * m)).sqrt();
        let tells = match self.origin {
            Origin::HeldOut | Origin::LeftOut | Origin::Assumed => true,
            Origin::CrossFitted => errors > 0.0,
            Origin::Trained => errors < 0.0,
        };
        let drift = Drift {
            images: new.len(),
            median: median(new),
            usual: median(usual),
            exceeds,
            errors,
        };
        Ok((errors.abs() > SURE && (exceeds - 0.5).abs() > NOTABLE && tells).then_some(drift))
    }
}

impl Run {
    /// As [`Calibrated::drift`]; `None` also where the run has no scores of normal images. Where normal images were added to memory
    /// banks, the scores of earlier ones are too high if anything, so that only higher ones tell of a shift.
    ///
    /// # Errors
    /// A score that is not a number.
    pub fn drift(&self, threshold: f32, scores: &[f32]) -> Result<Option<Drift>> {
        let drift = match self.calibrated() {
            Some(calibrated) => calibrated.drift(threshold, scores)?,
            None => None,
        };
        Ok(drift.filter(|drift| drift.errors > 0.0 || self.additions().is_empty()))
    }
}

fn median(mut scores: Vec<f32>) -> f32 {
    scores.sort_by(f32::total_cmp);
    scores.get(scores.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{CalibrationScore, Origin};

    #[test]
    fn a_shift_is_told_and_accidents_are_not() {
        let score = |i: usize| (i * 37 % 100) as f32;
        let calibrated = Calibrated {
            origin: Origin::LeftOut,
            scores: (0..100)
                .map(|i| CalibrationScore {
                    image: i.to_string(),
                    kind: None,
                    share: None,
                    score: score(i),
                    pixel: 0.0,
                })
                .collect(),
        };
        let new = |shift: f32, count: usize| -> Vec<f32> { (0..count).map(|i| score(i) + shift).collect() };
        assert_eq!(calibrated.drift(1000.0, &new(0.5, 100)).unwrap(), None);
        assert_eq!(calibrated.drift(1000.0, &new(40.0, 19)).unwrap(), None);
        let drift = calibrated.drift(1000.0, &new(40.0, 100)).unwrap().unwrap();
        assert_eq!((drift.images, drift.median, drift.usual), (100, 90.0, 50.0));
        // scipy 1.17.1: `mannwhitneyu(new, old).statistic / 10000`, and the same in standard errors.
        assert!(
            (drift.exceeds - 0.82).abs() < 1e-9 && (drift.errors - 7.8188).abs() < 1e-4,
            "{drift:?}"
        );
        assert!(
            drift
                .to_string()
                .starts_with("the 100 images below the threshold score higher")
        );
        // Anomalies are no drift.
        let with_flaws = [new(0.0, 100), vec![5000.0; 100]].concat();
        assert_eq!(calibrated.drift(1000.0, &with_flaws).unwrap(), None);
        let darker = calibrated.drift(1000.0, &new(-40.0, 100)).unwrap().unwrap();
        assert!(darker.to_string().contains("score lower"));
        // Beside other detectors one direction alone tells of a shift.
        for (origin, higher, lower) in [(Origin::CrossFitted, true, false), (Origin::Trained, false, true)] {
            let calibrated = Calibrated {
                origin,
                ..calibrated.clone()
            };
            let told = |shift| calibrated.drift(1000.0, &new(shift, 100)).unwrap().is_some();
            assert_eq!((told(40.0), told(-40.0)), (higher, lower), "{origin:?}");
        }
    }
}
