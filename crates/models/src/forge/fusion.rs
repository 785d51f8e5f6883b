//! One map from several: distances at several sizes, and the head's probabilities.

use std::borrow::Borrow;

use super::bank::smoothed;
use crate::AnomalyMap;

/// What makes one map of several, and one score of a map. All constants come from leave-one-out maps of normal images.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    /// Width and height of the map in pixels.
    pub size: (u32, u32),
    /// Standard deviation of the Gaussian that smooths every map, in pixels of the map.
    pub sigma: f64,
    /// Mean distance of normal patches at each size: what counts as far there.
    pub usual: Vec<f32>,
    /// How the distances of details count, if they are measured.
    pub details: Option<Details>,
    /// Mean and spread of the sum of the distances, each by its usual one.
    pub distances: Normal,
    /// Mean and spread of the head's probabilities.
    pub head: Normal,
    /// How much the head weighs beside the distances; 0: nothing.
    pub head_weight: f32,
    /// How much of a map's mean is taken from its maximum to make the image's score.
    pub mean_share: f32,
}

/// How distances of the finest map alone count: as far as they are beyond what they reach on normal images. Such a map sees where a
/// flaw ends, but not what belongs where, and it is restless on many good surfaces (proposal).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Details {
    /// Mean distance of normal patches.
    pub usual: f32,
    /// What normal images reach, in usual distances.
    pub reached: f32,
    /// How much what is beyond weighs, beside the distances at one size.
    pub weight: f32,
}

impl Details {
    /// What a distance adds to the others.
    fn added(&self, distance: f32) -> f32 {
        self.weight * (distance / self.usual - self.reached).max(0.0)
    }
}

/// Mean and spread of the numbers of normal images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    /// The mean.
    pub mean: f32,
    /// The standard deviation, above 0.
    pub spread: f32,
}

impl Default for Normal {
    fn default() -> Self {
        Self {
            mean: 0.0,
            spread: 1.0,
        }
    }
}

impl Normal {
    /// Of the numbers of maps; a spread of 1 where all are equal.
    pub fn of<M: Borrow<AnomalyMap>>(maps: impl IntoIterator<Item = M>) -> Self {
        let (mut count, mut first, mut second) = (0.0, 0.0, 0.0);
        for map in maps {
            for &score in &map.borrow().scores {
                let score = f64::from(score);
                count += 1.0;
                first += score;
                second += score * score;
            }
        }
        if count == 0.0 {
            return Self::default();
        }
        let mean = first / count;
        let variance = (second / count - mean * mean).max(0.0);
        Self {
            mean: mean as f32,
            spread: if variance > 0.0 {
                variance.sqrt() as f32
            } else {
                1.0
            },
        }
    }

    fn standard(self, score: f32) -> f32 {
        (score - self.mean) / self.spread
    }
}

impl Fusion {
    /// A map at the size of scoring, smoothed.
    pub fn smooth(&self, map: &AnomalyMap) -> AnomalyMap {
        smoothed(map, self.size, self.sigma)
    }

    /// The sum of smoothed distances at each size, each in units of the usual one there; behind them come those of details.
    pub fn sum(&self, distances: &[AnomalyMap]) -> AnomalyMap {
        let pixels = self.size.0 as usize * self.size.1 as usize;
        let mut scores = vec![0.0; pixels];
        for (map, &usual) in distances.iter().zip(&self.usual) {
            for (sum, score) in scores.iter_mut().zip(&map.scores) {
                *sum += score / usual;
            }
        }
        if let (Some(details), Some(map)) = (&self.details, distances.get(self.usual.len())) {
            for (sum, &score) in scores.iter_mut().zip(&map.scores) {
                *sum += details.added(score);
            }
        }
        AnomalyMap {
            width: self.size.0,
            height: self.size.1,
            scores,
        }
    }

    /// The map of an image, from the [`sum`](Self::sum) of its distances and the head's smoothed probabilities: in
    /// standard deviations of normal images, so that 0 is usual.
    pub fn fused(&self, sum: &AnomalyMap, probabilities: Option<&AnomalyMap>) -> AnomalyMap {
        let mut scores: Vec<f32> = sum
            .scores
            .iter()
            .map(|&score| self.distances.standard(score))
            .collect();
        if let Some(map) = probabilities {
            for (score, &probability) in scores.iter_mut().zip(&map.scores) {
                *score += self.head_weight * self.head.standard(probability);
            }
        }
        AnomalyMap { scores, ..*sum }
    }

    /// The score of an image: the largest of its map, less a share of the map's mean.
    pub fn score(&self, map: &AnomalyMap) -> f32 {
        let largest = map.largest();
        let sum: f64 = map.scores.iter().map(|&score| f64::from(score)).sum();
        largest - self.mean_share * (sum / map.scores.len().max(1) as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fusion() -> Fusion {
        Fusion {
            size: (2, 2),
            sigma: 0.0,
            usual: vec![2.0, 0.5],
            details: None,
            distances: Normal {
                mean: 2.0,
                spread: 0.5,
            },
            head: Normal {
                mean: 0.25,
                spread: 0.25,
            },
            head_weight: 0.5,
            mean_share: 1.0,
        }
    }

    fn map(scores: [f32; 4]) -> AnomalyMap {
        AnomalyMap {
            width: 2,
            height: 2,
            scores: scores.to_vec(),
        }
    }

    #[test]
    fn distances_are_counted_in_usual_ones_and_maps_in_spreads() {
        let fusion = fusion();
        let sum = fusion.sum(&[map([2.0, 4.0, 2.0, 2.0]), map([0.5, 0.5, 1.0, 0.5])]);
        assert_eq!(sum.scores, [2.0, 3.0, 3.0, 2.0]);
        assert_eq!(fusion.fused(&sum, None).scores, [0.0, 2.0, 2.0, 0.0]);
        let with = fusion.fused(&sum, Some(&map([0.25, 0.75, 0.25, 0.25])));
        assert_eq!(with.scores, [0.0, 3.0, 2.0, 0.0]);
        assert_eq!(fusion.score(&with), 3.0 - 1.25);
    }

    #[test]
    fn details_count_beyond_what_normal_images_reach() {
        let details = Details {
            usual: 2.0,
            reached: 1.5,
            weight: 4.0,
        };
        let fusion = Fusion {
            details: Some(details),
            ..fusion()
        };
        let sizes = [map([2.0; 4]), map([0.5; 4])];
        let all = [&sizes[..], &[map([0.0, 3.0, 4.0, 6.0])]].concat();
        assert_eq!(fusion.sum(&all).scores, [2.0, 2.0, 4.0, 8.0]);
        assert_eq!(fusion.sum(&sizes).scores, [2.0; 4]);
    }

    #[test]
    fn the_numbers_of_normal_maps_are_summed_up() {
        let normal = Normal::of([&map([1.0, 3.0, 1.0, 3.0]), &map([1.0, 3.0, 3.0, 1.0])]);
        assert_eq!((normal.mean, normal.spread), (2.0, 1.0));
        assert_eq!(Normal::of([&map([4.0; 4])]).spread, 1.0);
        assert_eq!(Normal::of(Vec::<AnomalyMap>::new()), Normal::default());
    }
}
