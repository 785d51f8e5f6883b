//! A threshold that keeps a promise about good parts, from the scores of good parts alone.
//!
//! Of `n` calibration scores let `j` be allowed above the threshold. If the scores of later good parts come from the same
//! source, the share of them above it follows the distribution Beta(j + 1, n − j), whatever the scores are (split conformal
//! prediction: Vovk 2012, "Conditional validity of inductive conformal predictors", proposition 2a; the tolerance limit of
//! Wilks 1941). So the promise needs no model of the scores, and says how few parts it rests on.

use std::fmt;

use crate::binomial::upper_bound;
use crate::error::{MetricError, no_nan};

/// How rarely a threshold calls a good part anomalous.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Promise {
    /// At most this share of good parts, in `[0, 1]`.
    pub rate: f64,
    /// How sure that is: the share of calibrations, in `(0, 1)`, that keep their promise.
    pub confidence: f64,
    /// Good parts whose scores it rests on.
    pub parts: usize,
    /// How many of these scores it allows at or above the threshold.
    pub above: usize,
}

impl Promise {
    /// The promise of a threshold with `above` of `parts` scores at or above it.
    pub fn of(above: usize, parts: usize, confidence: f64) -> Self {
        Self {
            rate: upper_bound(above as u64, parts as u64, 1.0 - confidence),
            confidence,
            parts,
            above,
        }
    }

    /// The fewest parts that can promise a rate: as many as leave the threshold above all of them.
    pub fn parts_for(rate: f64, confidence: f64) -> usize {
        let parts = (1.0 - confidence).ln() / (-rate).ln_1p();
        (parts - 1e-9).ceil() as usize
    }

    /// "1 in 20 good parts anomalous (90 % sure, from 47 calibration parts)", after "at most".
    pub fn as_calls(&self) -> String {
        format!(
            "{} good parts anomalous ({:.0} % sure, from {} calibration part{})",
            share(self.rate),
            100.0 * self.confidence,
            self.parts,
            if self.parts == 1 { "" } else { "s" }
        )
    }
}

/// "1 in 20", rounded to the bad side: 1 in 20.9 is no 1 in 21.
fn share(rate: f64) -> String {
    match rate {
        rate if rate <= 0.25 => format!("1 in {:.0}", (1.0 / rate + 1e-6).floor()),
        rate => format!("{:.0} in 100", (100.0 * rate - 1e-6).ceil()),
    }
}

/// "at most 1 in 21 good parts, 90 % sure, from 47 calibration parts".
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rate,
            confidence,
            parts,
            ..
        } = *self;
        let share = share(rate);
        let plural = if parts == 1 { "" } else { "s" };
        write!(
            f,
            "at most {share} good parts, {:.0} % sure, from {parts} calibration part{plural}",
            100.0 * confidence
        )
    }
}

/// The lowest threshold that promises at most `rate` of good parts at or above it with this confidence, and its promise. Where
/// so few scores cannot promise the rate, the threshold lies just above all of them, and the promise says which rate that is.
///
/// # Errors
/// [`MetricError::Empty`], [`MetricError::NotANumber`], [`MetricError::Share`] unless rate and confidence lie between 0 and 1.
pub fn promised_threshold(normal: &[f32], rate: f64, confidence: f64) -> Result<(f32, Promise), MetricError> {
    for share in [rate, confidence] {
        if !(share > 0.0 && share < 1.0) {
            return Err(MetricError::Share(share));
        }
    }
    no_nan(normal)?;
    let mut falling = normal.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    // The bound grows with every score that is allowed: the first that is too many ends the search.
    let allowed = (0..falling.len())
        .take_while(|&above| Promise::of(above, falling.len(), confidence).rate <= rate)
        .last()
        .unwrap_or(0);
    let highest_below = falling.get(allowed).ok_or(MetricError::Empty)?;
    Ok((
        highest_below.next_up(),
        Promise::of(allowed, falling.len(), confidence),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// scipy 1.17.1: `scipy.stats.beta.ppf(0.9, above + 1, parts - above)`.
    #[test]
    fn rates_are_quantiles_of_the_beta_distribution() {
        for (above, parts, rate) in [
            (0, 47, 0.04781046459159216),
            (2, 200, 0.02639135021123145),
            (0, 229, 0.010004574665049679),
        ] {
            assert!((Promise::of(above, parts, 0.9).rate - rate).abs() < 1e-12);
        }
        assert_eq!(Promise::parts_for(0.01, 0.9), 230);
        assert!(Promise::of(0, 230, 0.9).rate <= 0.01);
    }

    #[test]
    fn a_threshold_leaves_as_many_above_as_the_rate_allows() {
        let scores: Vec<f32> = (0..200).rev().map(|i| i as f32).collect();
        let (threshold, promise) = promised_threshold(&scores, 0.027, 0.9).unwrap();
        assert_eq!(
            (threshold, promise.above, promise.parts),
            (197f32.next_up(), 2, 200)
        );
        // Few parts: above all of them, and the promise is weaker than what was asked.
        let (threshold, promise) = promised_threshold(&scores[..47], 0.01, 0.9).unwrap();
        assert_eq!((threshold, promise.above), (199f32.next_up(), 0));
        assert!(promise.rate > 0.01);
    }

    #[test]
    fn promises_read_as_sentences_and_never_better_than_they_are() {
        assert_eq!(
            Promise::of(0, 47, 0.9).to_string(),
            "at most 1 in 20 good parts, 90 % sure, from 47 calibration parts"
        );
        assert_eq!(
            Promise::of(0, 47, 0.9).as_calls(),
            "1 in 20 good parts anomalous (90 % sure, from 47 calibration parts)"
        );
        assert_eq!(
            Promise::of(0, 1, 0.9).to_string(),
            "at most 90 in 100 good parts, 90 % sure, from 1 calibration part"
        );
    }

    #[test]
    fn unusable_input_is_a_typed_error() {
        assert_eq!(promised_threshold(&[], 0.01, 0.9), Err(MetricError::Empty));
        assert_eq!(promised_threshold(&[1.0], 1.0, 0.9), Err(MetricError::Share(1.0)));
        assert_eq!(
            promised_threshold(&[1.0, f32::NAN], 0.1, 0.9),
            Err(MetricError::NotANumber { index: 1 })
        );
    }

    /// Scores of a skewed distribution whose tail is known: exp(normal-like sums), as a product of uniform numbers.
    #[test]
    fn of_a_thousand_calibrations_nine_in_ten_keep_their_promise() {
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        for parts in [10, 20, 31, 60, 100, 200] {
            for asked in [0.01, 0.05, 0.1] {
                let kept = (0..1000).filter(|_| {
                    // A score of -ln u is above t with probability exp(-t).
                    let scores: Vec<f32> = (0..parts).map(|_| -(1.0f32 - rng.random::<f32>()).ln()).collect();
                    let (threshold, promise) = promised_threshold(&scores, asked, 0.9).unwrap();
                    f64::from(-threshold).exp() <= promise.rate
                });
                let kept = kept.count();
                // Binomial with a probability of at least 0.9: five in a million are below 858.
                assert!(kept >= 858, "{parts} parts, asked {asked}: {kept} of 1000 kept");
            }
        }
    }
}
