//! From a network's feature maps to one vector a patch.

use super::{FeatureMap, Standard};
use crate::patchcore::Patches;
use crate::{ModelError, Place};

/// How much each of a network's maps weighs in a vector: one factor a map.
///
/// Maps of different depth have numbers of different size. Each is divided by the spread of its vectors over the normal
/// images, the root of the sum of its channels' variances, so that all weigh the same (proposal).
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One factor a map.
    pub maps: Vec<f32>,
    /// The factor of a patch's place in the whole image, from 0 to 1 across and down; `None`: vectors do not tell it.
    pub position: Option<f32>,
}

/// What brings the two coordinates of patches that lie evenly over an image to the spread of 1 that every map has: each has a
/// variance of 1/12.
const EVEN: f32 = 2.449_489_7;

impl Weights {
    /// Of maps alone.
    pub fn of(maps: Vec<f32>) -> Self {
        Self { maps, position: None }
    }

    /// The same, with a patch's place counting `share` times what a map counts; 0: not at all.
    #[must_use]
    pub fn with_position(self, share: f32) -> Self {
        let position = (share > 0.0).then_some(EVEN * share);
        Self { position, ..self }
    }

    /// Numbers of a vector, of maps with these channels.
    pub fn length(&self, channels: &[usize]) -> usize {
        channels.iter().sum::<usize>() + if self.position.is_some() { 2 } else { 0 }
    }
}

/// Where place `index` of `count` in a line lies between the ends of what is seen.
pub(super) fn coordinate(index: usize, count: usize) -> f32 {
    (index as f32 + 0.5) / count.max(1) as f32
}

/// Sums over patches, from which [`Weights`] follow.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    maps: Vec<Sums>,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    count: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Spread {
    /// Adds the places of one image's maps.
    pub fn add(&mut self, maps: &[FeatureMap]) {
        self.maps
            .resize_with(maps.len().max(self.maps.len()), Sums::default);
        for (sums, map) in self.maps.iter_mut().zip(maps) {
            sums.first.resize(map.channels, 0.0);
            sums.second.resize(map.channels, 0.0);
            sums.count += map.places() as f64;
            for place in map.values.chunks_exact(map.channels.max(1)) {
                for ((first, second), &value) in sums.first.iter_mut().zip(&mut sums.second).zip(place) {
                    let value = f64::from(value);
                    *first += value;
                    *second += value * value;
                }
            }
        }
    }

    /// One weight a map; 1 for a map that is the same everywhere.
    pub fn weights(&self) -> Weights {
        let weight = |sums: &Sums| {
            let variance: f64 = sums.variances().sum();
            match variance > 0.0 {
                true => (1.0 / variance.sqrt()) as f32,
                false => 1.0,
            }
        };
        Weights::of(self.maps.iter().map(weight).collect())
    }

    /// What brings every channel to mean 0 and spread 1. A channel that hardly varies beside the others of its map is not blown up.
    pub fn standard(&self) -> Standard {
        let (mut mean, mut factor) = (Vec::new(), Vec::new());
        for sums in &self.maps {
            let spreads: Vec<f64> = sums.variances().map(f64::sqrt).collect();
            let least = 1e-3 * spreads.iter().sum::<f64>() / spreads.len().max(1) as f64;
            mean.extend(sums.first.iter().map(|first| (first / sums.count) as f32));
            factor.extend(spreads.iter().map(|spread| match spread + least > 0.0 {
                true => (1.0 / (spread + least)) as f32,
                false => 1.0,
            }));
        }
        Standard { mean, factor }
    }
}

impl Sums {
    /// The variance of each channel.
    fn variances(&self) -> impl Iterator<Item = f64> + '_ {
        let moments = self.first.iter().zip(&self.second);
        moments.map(|(first, second)| (second / self.count - (first / self.count).powi(2)).max(0.0))
    }
}

impl Weights {
    /// The weights for vectors as they come from weights of 1: multiplies each number, where the maps have these channels.
    pub fn apply(&self, vectors: &mut [f32], channels: &[usize]) {
        let factors: Vec<f32> = self
            .maps
            .iter()
            .zip(channels)
            .flat_map(|(&weight, &count)| std::iter::repeat_n(weight, count))
            .chain(self.position.into_iter().flat_map(|weight| [weight; 2]))
            .collect();
        for vector in vectors.chunks_exact_mut(factors.len().max(1)) {
            for (value, factor) in vector.iter_mut().zip(&factors) {
                *value *= factor;
            }
        }
    }

    /// The vectors of the patches of an image, or of a part that lies at `place` in one: at each place of the first map the numbers
    /// of all maps, one map after the other, each times its weight; then where in the whole image that is, from left and from
    /// above, where it counts. Coarser maps are resized to the first.
    ///
    /// # Errors
    /// Another number of maps than of weights.
    pub fn patches(&self, maps: &[FeatureMap], place: Place) -> Result<Patches, ModelError> {
        let (Some(finest), true) = (maps.first(), maps.len() == self.maps.len()) else {
            return Err(ModelError::Stages {
                found: maps.len(),
                needed: self.maps.len(),
            });
        };
        let (width, height) = (finest.width, finest.height);
        let maps: Vec<FeatureMap> = maps.iter().map(|map| map.resized(width, height)).collect();
        let channels: Vec<usize> = maps.iter().map(|map| map.channels).collect();
        let mut vectors = Vec::with_capacity(width * height * self.length(&channels));
        for patch in 0..width * height {
            for (map, &weight) in maps.iter().zip(&self.maps) {
                vectors.extend(map.place(patch).iter().map(|value| value * weight));
            }
            if let Some(weight) = self.position {
                let inside = (
                    coordinate(patch % width, width),
                    coordinate(patch / width, height),
                );
                let (across, down) = place.at(inside.0, inside.1);
                vectors.extend([weight * across, weight * down]);
            }
        }
        Ok(Patches {
            width,
            height,
            vectors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(side: usize, channels: usize, value: impl Fn(usize) -> f32) -> FeatureMap {
        FeatureMap {
            width: side,
            height: side,
            channels,
            values: (0..side * side * channels).map(value).collect(),
        }
    }

    #[test]
    fn every_map_weighs_the_same() {
        let mut spread = Spread::default();
        let maps = [
            map(4, 2, |i| (i % 4) as f32),
            map(2, 1, |i| 100.0 * (i % 2) as f32),
            map(2, 1, |_| 7.0),
        ];
        spread.add(&maps);
        spread.add(&maps);
        let weights = spread.weights().maps;
        // Channel 0 is 0 and 2 in turn, channel 1 is 1 and 3: a variance of 1 each.
        assert!((weights[0] - 0.5f32.sqrt()).abs() < 1e-6);
        assert!((weights[1] - 0.02).abs() < 1e-6);
        assert_eq!(weights[2], 1.0);
        let standard = spread.standard();
        assert_eq!(standard.mean, [1.0, 2.0, 50.0, 7.0]);
        assert!((standard.factor[0] - 1.0 / 1.001).abs() < 1e-6 && standard.factor[3] == 1.0);
    }

    #[test]
    fn a_place_that_counts_is_at_the_end_of_its_vector() {
        let maps = [map(4, 1, |i| i as f32)];
        let weights = Weights::of(vec![1.0]).with_position(0.5);
        let patches = weights.patches(&maps, Place::WHOLE).expect("patches");
        let step = 0.25 * 0.5 * 6f32.sqrt();
        let vector = &patches.vectors[3 * 6..][..3];
        for (found, wanted) in vector.iter().zip([6.0, 2.5 * step, 1.5 * step]) {
            assert!((found - wanted).abs() < 1e-6, "{vector:?}");
        }
        let ones = Weights {
            maps: vec![1.0],
            position: Some(1.0),
        };
        let mut later = ones.patches(&maps, Place::WHOLE).expect("patches").vectors;
        weights.apply(&mut later, &[1]);
        for (later, at_once) in later.iter().zip(&patches.vectors) {
            assert!((later - at_once).abs() < 1e-6);
        }
        assert_eq!(Weights::of(vec![1.0]).with_position(0.0).position, None);
        // Even places over a fine grid have a spread of 1 where the share is 1.
        let fine = Weights::of(vec![0.0]).with_position(1.0);
        let vectors = fine
            .patches(&[map(64, 1, |_| 0.0)], Place::WHOLE)
            .expect("patches")
            .vectors;
        let variance = |at: usize| {
            let values = || vectors.iter().skip(at).step_by(3);
            let mean = values().sum::<f32>() / 4096.0;
            values().map(|value| (value - mean).powi(2)).sum::<f32>() / 4096.0
        };
        assert!((variance(1) + variance(2) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_patch_of_a_window_has_its_place_in_the_whole_image() {
        let weights = Weights::of(vec![1.0]).with_position(0.7);
        // One number a pixel of an image of 12×8, which a window shows from (4, 2) on.
        let at = |width: usize, height: usize, from: (usize, usize)| FeatureMap {
            width,
            height,
            channels: 1,
            values: (0..width * height)
                .map(|patch| ((patch % width + from.0) + 100 * (patch / width + from.1)) as f32)
                .collect(),
        };
        let whole = weights
            .patches(&[at(12, 8, (0, 0))], Place::WHOLE)
            .expect("patches");
        let window = flawforge_resample::Window { x: 4, y: 2 };
        let place = Place::of(window, (6, 4), (12, 8));
        let part = weights.patches(&[at(6, 4, (4, 2))], place).expect("patches");
        for (patch, vector) in part.vectors.chunks_exact(3).enumerate() {
            let same = (patch / 6 + 2) * 12 + patch % 6 + 4;
            for (found, wanted) in vector.iter().zip(&whole.vectors[3 * same..]) {
                assert!((found - wanted).abs() < 1e-6, "{patch}: {vector:?}");
            }
        }
        // Without its place it lies elsewhere.
        let lost = weights
            .patches(&[at(6, 4, (4, 2))], Place::WHOLE)
            .expect("patches");
        let far = lost.vectors.iter().zip(&part.vectors);
        assert!(far.map(|(lost, part)| (lost - part).abs()).fold(0.0, f32::max) > 0.3);
        // Where places do not count, windows have the vectors that they had.
        let without = Weights::of(vec![1.0]);
        let [there, here] = [place, Place::WHOLE].map(|place| without.patches(&[at(6, 4, (4, 2))], place));
        assert_eq!(there.expect("patches").vectors, here.expect("patches").vectors);
    }

    #[test]
    fn a_vector_has_the_numbers_of_all_maps_at_its_place() {
        let maps = [map(2, 1, |i| i as f32), map(1, 2, |i| 10.0 + i as f32)];
        let patches = Weights::of(vec![2.0, 0.5])
            .patches(&maps, Place::WHOLE)
            .expect("patches");
        assert_eq!((patches.width, patches.height), (2, 2));
        assert_eq!(patches.vectors[3..6], [2.0, 5.0, 5.5]);
        let mut later = Weights::of(vec![1.0; 2])
            .patches(&maps, Place::WHOLE)
            .expect("patches")
            .vectors;
        Weights::of(vec![2.0, 0.5]).apply(&mut later, &[1, 2]);
        assert_eq!(later, patches.vectors);
        assert!(matches!(
            Weights::of(vec![1.0]).patches(&maps, Place::WHOLE),
            Err(ModelError::Stages { found: 2, needed: 1 })
        ));
    }
}
