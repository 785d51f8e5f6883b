//! Vectors of later images that a memory bank does not cover yet.

use flawforge_ops::vectors::farthest_beyond;

use super::memory::MemoryBank;
use crate::ModelError;

/// Vectors of images that are farther from a bank than is usual, and those of them that would cover the others.
#[derive(Debug, Clone)]
pub struct Uncovered<'a> {
    bank: &'a MemoryBank,
    /// The distance from which on a vector is not covered.
    radius: f32,
    vectors: Vec<f32>,
    /// Of each vector, the number of its image.
    images: Vec<u32>,
    /// Of each vector, its distance to the bank.
    distances: Vec<f32>,
}

impl<'a> Uncovered<'a> {
    /// None yet, of a bank by which whatever is no farther than `radius` is covered.
    pub fn new(bank: &'a MemoryBank, radius: f32) -> Self {
        Self {
            bank,
            radius,
            vectors: Vec::new(),
            images: Vec::new(),
            distances: Vec::new(),
        }
    }

    /// Adds the vectors of an image that are not covered: where there are more than `most`, so many of them, evenly spaced.
    ///
    /// # Errors
    /// As [`MemoryBank::nearest`].
    pub fn add(&mut self, image: u32, vectors: &[f32], most: usize) -> Result<(), ModelError> {
        let length = self.bank.length();
        let far: Vec<(usize, f32)> = self
            .bank
            .nearest(vectors)?
            .iter()
            .map(|neighbor| neighbor.squared.max(0.0).sqrt())
            .enumerate()
            .filter(|&(_, distance)| distance > self.radius)
            .collect();
        let count = most.min(far.len());
        for place in 0..count {
            let (index, distance) = far[place * far.len() / count];
            self.vectors
                .extend_from_slice(&vectors[index * length..][..length]);
            self.images.push(image);
            self.distances.push(distance);
        }
        Ok(())
    }

    /// The vectors, at most `most`, that cover those of the images for which `of` says yes: the farthest first, until none is
    /// farther than the radius from the bank and the chosen ones. Of each its image.
    pub fn cover(&self, of: impl Fn(u32) -> bool, most: usize) -> (Vec<f32>, Vec<u32>) {
        let length = self.bank.length();
        let places: Vec<usize> = (0..self.images.len())
            .filter(|&place| of(self.images[place]))
            .collect();
        let vector = |place: usize| &self.vectors[place * length..][..length];
        let vectors: Vec<f32> = places.iter().flat_map(|&place| vector(place)).copied().collect();
        let mut distances: Vec<f32> = places.iter().map(|&place| self.distances[place]).collect();
        let chosen = farthest_beyond(&vectors, length, &mut distances, most, self.radius);
        (
            chosen
                .iter()
                .flat_map(|&index| vector(places[index]))
                .copied()
                .collect(),
            chosen.iter().map(|&index| self.images[places[index]]).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_vectors_cover_all_that_are_far_and_none_that_are_near() {
        // A bank at 0; images at 1 and around 10 and 20.
        let bank = MemoryBank::new(&[0.0, 0.0], 2).unwrap();
        let mut uncovered = Uncovered::new(&bank, 2.0);
        uncovered.add(5, &[1.0, 0.0, 10.0, 0.0, 11.0, 0.0], 9).unwrap();
        uncovered.add(6, &[20.0, 0.0, 9.5, 0.0, 19.0, 0.0], 9).unwrap();
        let (vectors, images) = uncovered.cover(|_| true, 9);
        assert_eq!((vectors, images), (vec![20.0, 0.0, 10.0, 0.0], vec![6, 5]));
        // One image alone, and no more than wanted.
        assert_eq!(uncovered.cover(|image| image == 5, 9).1, [5]);
        assert_eq!(uncovered.cover(|_| true, 1).1, [6]);
        assert_eq!(uncovered.cover(|_| false, 9), (Vec::new(), Vec::new()));
        let mut few = Uncovered::new(&bank, 0.5);
        few.add(0, &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0], 2).unwrap();
        assert_eq!(few.vectors, [1.0, 0.0, 3.0, 0.0]);
        assert!(few.add(1, &[1.0], 2).is_err());
    }
}
