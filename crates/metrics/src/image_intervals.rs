//! Intervals of the metrics of image scores, by drawing the images again.

use crate::binomial::Interval;
use crate::bootstrap::Bootstrap;
use crate::error::{MetricError, both_classes};
use crate::key::key;
use crate::sweep::{Group, Outcome, Totals, sweep, with_anomalous};

/// Intervals of [`ImageMetrics`](crate::ImageMetrics). One is `None` where the draws show no spread: these images cannot tell.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ImageIntervals {
    /// Of AUROC.
    pub auroc: Option<Interval>,
    /// Of average precision.
    pub average_precision: Option<Interval>,
}

/// Images by score, sorted once; a draw is then one walk.
pub(crate) struct Ranked<'a> {
    defective: &'a [bool],
    /// Positions of the images, the highest score first; those with one score together.
    ties: Vec<Vec<usize>>,
}

impl<'a> Ranked<'a> {
    /// Both slices have an entry an image; no score is NaN.
    pub(crate) fn new(scores: &[f32], defective: &'a [bool]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by_key(|&image| std::cmp::Reverse(key(scores[image])));
        let tied = |&a: &usize, &b: &usize| key(scores[a]) == key(scores[b]);
        Self {
            defective,
            ties: order.chunk_by(tied).map(<[usize]>::to_vec).collect(),
        }
    }

    /// The metrics with each image counted so many times.
    fn metrics(&self, times: &[u32]) -> Result<Outcome, MetricError> {
        let mut totals = Totals {
            anomalous: 0,
            normal: 0,
            components: 0,
        };
        for (&times, &defective) in times.iter().zip(self.defective) {
            match defective {
                true => totals.anomalous += u64::from(times),
                false => totals.normal += u64::from(times),
            }
        }
        let groups = self.ties.iter().map(|tied| {
            let mut group = Group::default();
            for &image in tied {
                match self.defective[image] {
                    true => group.anomalous += u64::from(times[image]),
                    false => group.normal += u64::from(times[image]),
                }
            }
            group
        });
        sweep(with_anomalous(groups), totals, 1.0, false)
    }

    /// # Errors
    /// [`MetricError::OneClass`] unless there are both normal and anomalous images.
    pub(crate) fn intervals(&self, bootstrap: &Bootstrap) -> Result<ImageIntervals, MetricError> {
        let anomalous = self.defective.iter().filter(|defective| **defective).count() as u64;
        both_classes(anomalous, self.defective.len() as u64 - anomalous)?;
        let values = bootstrap.values(self.defective, |times| self.metrics(times));
        let values: Vec<Outcome> = values.into_iter().collect::<Result<_, _>>()?;
        Ok(ImageIntervals {
            auroc: bootstrap.interval(values.iter().map(|value| value.auroc)),
            average_precision: bootstrap.interval(values.iter().map(|value| value.average_precision)),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::ImageScores;

    /// A part of `tests/golden/bootstrap.json`.
    #[derive(Deserialize)]
    struct Golden {
        images: Vec<Case>,
        intervals: Vec<Wide>,
    }

    #[derive(Deserialize)]
    struct Case {
        scores: Vec<f32>,
        defective: Vec<bool>,
        times: Vec<u32>,
        auroc: f64,
        average_precision: f64,
    }

    #[derive(Deserialize)]
    struct Wide {
        scores: Vec<f32>,
        defective: Vec<bool>,
        confidence: f64,
        auroc: [f64; 2],
        average_precision: [f64; 2],
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../tests/golden/bootstrap.json")).unwrap()
    }

    #[test]
    fn weighted_metrics_are_those_of_scikit_learn() {
        let cases = golden().images;
        assert_eq!(cases.len(), 3);
        for case in cases {
            let ranked = Ranked::new(&case.scores, &case.defective);
            let found = ranked.metrics(&case.times).unwrap();
            assert!((found.auroc - case.auroc).abs() < 1e-12, "{found:?}");
            assert!(
                (found.average_precision - case.average_precision).abs() < 1e-12,
                "{found:?}"
            );
        }
    }

    #[test]
    fn intervals_are_those_of_numpy_within_their_scatter() {
        let cases = golden().intervals;
        assert_eq!(cases.len(), 2);
        for case in cases {
            let mut images = ImageScores::new();
            for (score, defective) in case.scores.iter().zip(&case.defective) {
                images.push(*score, *defective).unwrap();
            }
            let bootstrap = Bootstrap {
                resamples: 10_000,
                confidence: case.confidence,
                ..Bootstrap::default()
            };
            let found = images.intervals(&bootstrap).unwrap();
            for (found, golden) in [
                (found.auroc, case.auroc),
                (found.average_precision, case.average_precision),
            ] {
                let found = found.unwrap();
                assert!((found.low - golden[0]).abs() < 0.008, "{found:?} {golden:?}");
                assert!((found.high - golden[1]).abs() < 0.008, "{found:?} {golden:?}");
            }
        }
    }

    #[test]
    fn a_perfect_ranking_has_no_interval_and_one_class_is_an_error() {
        let mut images = ImageScores::new();
        images.push(0.1, false).unwrap();
        let one = images.intervals(&Bootstrap::default());
        assert_eq!(
            one,
            Err(MetricError::OneClass {
                anomalous: 0,
                normal: 1
            })
        );
        for score in [0.7, 0.8] {
            images.push(score, true).unwrap();
        }
        let found = images.intervals(&Bootstrap::default()).unwrap();
        assert_eq!((found.auroc, found.average_precision), (None, None));
    }
}
