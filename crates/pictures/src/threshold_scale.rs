//! Colours that say on which side of a threshold a score lies.

/// A scale on which the threshold has one colour in every picture: the middle of the [colours](crate::heat_color), a red. Darker is
/// below it, brighter above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdScale {
    low: f32,
    threshold: f32,
    high: f32,
}

impl ThresholdScale {
    /// From 0 over the threshold to `full`, the score that is shown as fully anomalous
    /// ([`flawforge_models::Detector::full_scale`]). Where the threshold is not between the two, the other half of the scale is as
    /// long as the threshold is far from 0.
    pub fn new(threshold: f32, full: f32) -> Self {
        let far = threshold.abs().max(f32::MIN_POSITIVE);
        Self {
            low: if threshold > 0.0 { 0.0 } else { threshold - far },
            threshold,
            high: if full > threshold { full } else { threshold + far },
        }
    }

    /// Where a score lies: 0 to 1, the threshold at 0.5, NaN for NaN.
    pub fn position(&self, score: f32) -> f32 {
        let half = |from: f32, to: f32| ((score - from) / (to - from)).clamp(0.0, 1.0) / 2.0;
        if score.is_nan() {
            f32::NAN
        } else if score < self.threshold {
            half(self.low, self.threshold).min(BELOW)
        } else {
            0.5 + half(self.threshold, self.high)
        }
    }

    /// The positions of all scores of a map, to be shown on [`Scale::UNIT`](crate::Scale::UNIT).
    pub fn positions(&self, scores: &[f32]) -> Vec<f32> {
        scores.iter().map(|&score| self.position(score)).collect()
    }
}

/// What is below the threshold does not get its colour by rounding.
const BELOW: f32 = 0.49;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat_color;

    #[test]
    fn the_threshold_is_one_colour_whatever_it_is() {
        for (threshold, full) in [
            (0.3, 1.0),
            (0.001, 1.0),
            (7.0, 2.0),
            (-3.0, 1.0),
            (-3.0, -5.0),
            (0.0, 1.0),
        ] {
            let scale = ThresholdScale::new(threshold, full);
            assert_eq!(scale.position(threshold), 0.5, "{scale:?}");
            assert!(scale.position(threshold - 1e-4) <= BELOW, "{scale:?}");
            let range = [scale.low - 1.0, scale.low, scale.high, scale.high + 9.0];
            assert_eq!(
                range.map(|score| scale.position(score)),
                [0.0, 0.0, 1.0, 1.0],
                "{scale:?}"
            );
            assert_ne!(heat_color(scale.position(threshold)), heat_color(BELOW));
        }
        let scale = ThresholdScale::new(0.4, 1.0);
        assert_eq!((scale.position(0.2), scale.position(0.7)), (0.25, 0.75));
        assert!(scale.position(f32::NAN).is_nan());
        assert_eq!(scale.positions(&[0.0, 0.4]), [0.0, 0.5]);
    }
}
