//! From scores to decisions. Everywhere in this module an image (or pixel) is called anomalous when its score
//! is **at or above** the threshold.
//!
//! A threshold for use is chosen on the scores of normal images with [`promised_threshold`](crate::promised_threshold); no test
//! image takes part. [`best_f1`] looks at the truths and so tells how good a threshold *could* be, not which to use.

use crate::error::{MetricError, both_classes};
use crate::key::score;
use crate::ranking::{Groups, split};
use crate::truth::Truth;

/// The decision with the largest F1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestF1 {
    /// Harmonic mean of precision and recall, in `[0, 1]`.
    pub f1: f64,
    /// Fraction of the scores at or above the threshold that are anomalous.
    pub precision: f64,
    /// Fraction of the anomalous truths that score at or above the threshold.
    pub recall: f64,
    /// The threshold: the lowest score that is called anomalous, in the unit of the scores.
    pub threshold: f32,
}

/// The largest F1 over all thresholds; among equals the highest threshold.
///
/// # Errors
/// [`MetricError::Length`], [`MetricError::NotANumber`], [`MetricError::OneClass`].
pub fn best_f1<T: Truth>(scores: &[f32], truths: &[T]) -> Result<BestF1, MetricError> {
    let (anomalous, normal) = split(scores, truths)?;
    both_classes(anomalous.len() as u64, normal.len() as u64)?;
    let total = anomalous.len() as f64;
    let mut best = BestF1 {
        f1: 0.0,
        precision: 0.0,
        recall: 0.0,
        threshold: f32::INFINITY,
    };
    let (mut hits, mut alarms) = (0u64, 0u64);
    // F1 falls with every further normal score, so that only anomalous ones can be the best threshold.
    for group in Groups::new(&anomalous, &normal, |_| 0) {
        hits += group.anomalous;
        alarms += group.normal_above + group.normal;
        let f1 = 2.0 * hits as f64 / ((hits + alarms) as f64 + total);
        if f1 > best.f1 {
            best = BestF1 {
                f1,
                precision: hits as f64 / (hits + alarms) as f64,
                recall: hits as f64 / total,
                threshold: score(anomalous[anomalous.len() - hits as usize]),
            };
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_f1_by_hand() {
        // At 0.6: 2 hits, 1 alarm, 3 anomalous: F1 = 4 / 6. At 0.2: 3 hits, 2 alarms: F1 = 6 / 8.
        let best = best_f1(
            &[0.9, 0.8, 0.6, 0.4, 0.2, 0.1],
            &[true, false, true, false, true, false],
        )
        .unwrap();
        assert_eq!(
            best,
            BestF1 {
                f1: 0.75,
                precision: 0.6,
                recall: 1.0,
                threshold: 0.2
            }
        );
        // A tie cannot be cut in two.
        let best = best_f1(&[0.5, 0.5, 0.5], &[true, false, false]).unwrap();
        assert_eq!((best.f1, best.threshold), (0.5, 0.5));
    }

    #[test]
    fn unusable_input_is_a_typed_error() {
        assert!(matches!(
            best_f1(&[0.1], &[true]),
            Err(MetricError::OneClass { .. })
        ));
    }
}
