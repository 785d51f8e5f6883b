//! What is kept of the normal images until the banks are made, bounded whatever their number.

use candle_core::Device;
use flawforge_augment::Stream;
use flawforge_models::Place;
use flawforge_models::forge::{FeatureMap, SizedBank, Spread, Weights};
use flawforge_models::patchcore::Coreset;
use flawforge_ops::vectors::{Bank, Panels};
use rand::Rng;
use rand::seq::{SliceRandom, index};

use super::position::Sample;
use super::settings::Group;
use crate::error::Result;

/// Random patches of the normal images at one size, and how all of their patches spread.
///
/// As many patches of each image are kept, at most; with more images it is fewer of each, so that there are never more than
/// twice the number asked for.
#[derive(Debug)]
pub(super) struct Candidates {
    size: (u32, u32),
    wanted: usize,
    /// Whether a patch's place in the whole image is kept too, behind its maps.
    placed: bool,
    spread: Spread,
    /// Patches of an image, at most.
    share: usize,
    /// Of each image, or each window of one, its number and the numbers of its patches, in random order, not weighted yet.
    parts: Vec<(u32, Vec<f32>)>,
    channels: Vec<usize>,
}

impl Candidates {
    pub(super) fn new(size: (u32, u32), wanted: usize, placed: bool) -> Self {
        Self {
            size,
            wanted,
            placed,
            spread: Spread::default(),
            share: wanted,
            parts: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Weights of 1 for everything that a vector has.
    fn unweighted(&self) -> Weights {
        Weights {
            maps: vec![1.0; self.channels.len()],
            position: self.placed.then_some(1.0),
        }
    }

    fn length(&self) -> usize {
        self.unweighted().length(&self.channels)
    }

    fn stream(&self, seed: u64, index: usize) -> Stream {
        Stream {
            seed,
            step: u64::from(self.size.0),
            index: index as u64,
        }
    }

    /// Adds the maps of the next part of normal image `number`, which lies at `place` in it: those that are compared.
    pub(super) fn add(&mut self, number: u32, maps: &[FeatureMap], place: Place, seed: u64) -> Result<()> {
        self.spread.add(maps);
        self.channels = maps.iter().map(|map| map.channels).collect();
        let all = self.unweighted().patches(maps, place)?;
        let (places, length) = (all.width * all.height, self.length());
        let mut rng = self.stream(seed, self.parts.len()).rng("candidates");
        let chosen = index::sample(&mut rng, places, self.share.min(places));
        let mut kept = Vec::with_capacity(chosen.len() * length);
        for place in chosen {
            kept.extend_from_slice(&all.vectors[place * length..][..length]);
        }
        self.parts.push((number, kept));
        while self.count() > 2 * self.wanted && self.share > 1 {
            self.share = self.share.min(places) / 2;
            for (_, part) in &mut self.parts {
                part.truncate(self.share.max(1) * length);
                part.shrink_to_fit();
            }
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.len()).sum::<usize>() / self.length().max(1)
    }

    /// Of all candidates so many random ones, in order.
    fn drawn(&self, count: usize, rng: &mut impl Rng) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(self.count());
        for (index, (_, part)) in self.parts.iter().enumerate() {
            places.extend((0..part.len() / self.length().max(1)).map(|place| (index, place)));
        }
        if places.len() > count {
            places.shuffle(rng);
            places.truncate(count);
            places.sort_unstable();
        }
        places
    }

    /// The vectors of these candidates as they are compared, and their weights.
    fn vectors(&self, places: &[(usize, usize)], position: f32) -> (Vec<f32>, Weights) {
        let length = self.length();
        let weights = self.spread.weights().with_position(position);
        let used = weights.length(&self.channels).min(length);
        let mut vectors = Vec::with_capacity(places.len() * used);
        for &(part, place) in places {
            vectors.extend_from_slice(&self.parts[part].1[place * length..][..used]);
        }
        weights.apply(&mut vectors, &self.channels);
        (vectors, weights)
    }

    fn origins(&self, places: impl Iterator<Item = (usize, usize)>) -> Vec<u32> {
        places.map(|(part, _)| self.parts[part].0).collect()
    }

    /// So many random candidates, with the places that they have.
    pub(super) fn sample(&self, count: usize, seed: u64) -> Result<Sample> {
        let mut rng = self.stream(seed, usize::MAX).rng("sample");
        let chosen = self.drawn(count, &mut rng);
        let (vectors, weights) = self.vectors(&chosen, 0.0);
        let length = self.length();
        let places = chosen.iter().map(|&(part, place)| {
            let vector = &self.parts[part].1[place * length..][..length];
            match (self.placed, vector) {
                (true, &[.., x, y]) => [x, y],
                _ => [0.0; 2],
            }
        });
        Ok(Sample {
            places: places.collect(),
            vectors: Bank::new(Panels::new(&vectors, weights.length(&self.channels))),
            weights,
            origins: self.origins(chosen.into_iter()),
        })
    }

    /// The bank of so many vectors, where a patch's place counts so much: of the candidates those that cover all others best.
    pub(super) fn bank(
        self,
        settings: &Group,
        wanted: usize,
        position: f32,
        seed: u64,
        device: &Device,
    ) -> Result<SizedBank> {
        let mut rng = self.stream(seed, usize::MAX).rng("bank");
        let places = self.drawn(self.wanted, &mut rng);
        let (vectors, weights) = self.vectors(&places, position);
        let length = weights.length(&self.channels);
        let coreset = Coreset {
            // Half a vector more, so that rounding down gives the number asked for.
            ratio: ((wanted as f64 + 0.5) / places.len().max(1) as f64).min(1.0),
            projection: Some(settings.projection).filter(|&size| size > 0 && size < length),
            starts: 10,
        };
        let chosen = coreset.select(&vectors, length, &mut rng, device)?;
        let mut kept = Vec::with_capacity(chosen.len() * length);
        for &index in &chosen {
            kept.extend_from_slice(&vectors[index * length..][..length]);
        }
        let origins = self.origins(chosen.iter().map(|&index| places[index]));
        Ok(SizedBank::new(self.size, weights, &kept, origins)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_stay_few_and_are_of_all_images() {
        let map = |number: usize, level: usize| FeatureMap {
            width: 4,
            height: 4,
            channels: 1,
            values: (0..16)
                .map(|place| (number * 100 + place + level * 7) as f32)
                .collect(),
        };
        let mut candidates = Candidates::new((64, 64), 20, false);
        for number in 0..16 {
            let maps: Vec<FeatureMap> = (0..3).map(|level| map(number, level)).collect();
            candidates
                .add(number as u32, &maps, Place::WHOLE, 5)
                .expect("added");
            assert!(candidates.count() <= 40, "{}", candidates.count());
        }
        assert!(candidates.parts.iter().all(|(_, part)| !part.is_empty()));
        assert_eq!(candidates.channels, [1, 1, 1]);
    }
}
