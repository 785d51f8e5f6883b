//! AUROC and average precision of scores given all at once.

use crate::error::{MetricError, no_nan};
use crate::key::key;
use crate::radix;
use crate::sweep::{Group, Outcome, Totals, sweep};
use crate::truth::Truth;

/// Area under the receiver operating characteristic, in `[0, 1]`: the chance that an anomalous truth scores
/// above a normal one, a tie counting one half (the trapezoid over distinct thresholds, docs/method.md, section 13.2).
///
/// Both slices have one entry for every image or pixel.
///
/// # Errors
/// [`MetricError::Length`], [`MetricError::NotANumber`], and [`MetricError::OneClass`] when the truths are
/// all normal or all anomalous.
pub fn auroc<T: Truth>(scores: &[f32], truths: &[T]) -> Result<f64, MetricError> {
    Ok(outcome(scores, truths)?.auroc)
}

/// Average precision, in `[0, 1]`: the sum over distinct thresholds, from the highest down, of the gain in
/// recall times the precision (step rule, no interpolation, docs/method.md, section 13.2).
///
/// Both slices have one entry for every image or pixel.
///
/// # Errors
/// As [`auroc`].
pub fn average_precision<T: Truth>(scores: &[f32], truths: &[T]) -> Result<f64, MetricError> {
    Ok(outcome(scores, truths)?.average_precision)
}

fn outcome<T: Truth>(scores: &[f32], truths: &[T]) -> Result<Outcome, MetricError> {
    let (anomalous, normal) = split(scores, truths)?;
    let totals = Totals {
        anomalous: anomalous.len() as u64,
        normal: normal.len() as u64,
        components: 0,
    };
    sweep(Groups::new(&anomalous, &normal, |_| 0), totals, 1.0, false)
}

/// The keys of the anomalous and of the normal scores, each sorted ascending.
///
/// Two arrays of bare keys sort faster than one array with labels, and the walk down the thresholds needs
/// to stop at the (few) anomalous ones only.
pub(crate) fn split<T: Truth>(scores: &[f32], truths: &[T]) -> Result<(Vec<u32>, Vec<u32>), MetricError> {
    if scores.len() != truths.len() {
        return Err(MetricError::Length {
            scores: scores.len(),
            truths: truths.len(),
        });
    }
    no_nan(scores)?;
    let count = truths.iter().filter(|truth| truth.is_anomalous()).count();
    let mut anomalous = Vec::with_capacity(count);
    let mut normal = Vec::with_capacity(truths.len() - count);
    for (score, truth) in scores.iter().zip(truths) {
        if truth.is_anomalous() {
            anomalous.push(key(*score))
        } else {
            normal.push(key(*score))
        }
    }
    radix::sort(&mut anomalous);
    radix::sort(&mut normal);
    Ok((anomalous, normal))
}

/// The distinct thresholds at which anomalous truths lie, from the highest down.
pub(crate) struct Groups<'a, T, F> {
    anomalous: &'a [T],
    normal: &'a [u32],
    share: F,
}

impl<'a, T: radix::Keyed, F: Fn(T) -> u128> Groups<'a, T, F> {
    /// Both slices are sorted ascending by key; `share` is the part of its component that a pixel is.
    pub(crate) fn new(anomalous: &'a [T], normal: &'a [u32], share: F) -> Self {
        Self {
            anomalous,
            normal,
            share,
        }
    }
}

impl<T: radix::Keyed, F: Fn(T) -> u128> Iterator for Groups<'_, T, F> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let threshold = self.anomalous.last()?.sort_key();
        let mut group = Group::default();
        while let Some((&last, rest)) = self.anomalous.split_last()
            && last.sort_key() == threshold
        {
            group.anomalous += 1;
            group.share += (self.share)(last);
            self.anomalous = rest;
        }
        let above = trailing(self.normal, |key| key > threshold);
        self.normal = &self.normal[..self.normal.len() - above];
        let tied = trailing(self.normal, |key| key == threshold);
        self.normal = &self.normal[..self.normal.len() - tied];
        (group.normal_above, group.normal) = (above as u64, tied as u64);
        Some(group)
    }
}

/// How many keys at the end satisfy the condition.
fn trailing(keys: &[u32], condition: impl Fn(u32) -> bool) -> usize {
    keys.iter().rev().take_while(|key| condition(**key)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_by_hand() {
        let labels = [false, false, true, true];
        assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &labels).unwrap(), 0.75);
        let ap = average_precision(&[0.1, 0.4, 0.35, 0.8], &labels).unwrap();
        assert!((ap - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
        // Everything tied: a coin toss, and the precision of saying yes to all.
        assert_eq!(auroc(&[0.5; 4], &labels).unwrap(), 0.5);
        assert_eq!(average_precision(&[0.5; 4], &labels).unwrap(), 0.5);
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]).unwrap(), 0.5);
        assert_eq!(
            auroc(&[f32::INFINITY, f32::NEG_INFINITY], &[true, false]).unwrap(),
            1.0
        );
    }

    #[test]
    fn unusable_input_is_a_typed_error() {
        assert_eq!(
            auroc(&[0.1], &[true, false]),
            Err(MetricError::Length { scores: 1, truths: 2 })
        );
        assert_eq!(
            auroc(&[0.1, f32::NAN], &[true, false]),
            Err(MetricError::NotANumber { index: 1 })
        );
        let one = Err(MetricError::OneClass {
            anomalous: 2,
            normal: 0,
        });
        assert_eq!(auroc(&[0.1, 0.2], &[true, true]), one);
        assert_eq!(average_precision(&[0.1, 0.2], &[true, true]), one);
        assert_eq!(
            average_precision::<bool>(&[], &[]),
            Err(MetricError::OneClass {
                anomalous: 0,
                normal: 0
            })
        );
    }
}
