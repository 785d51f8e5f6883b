//! Random number streams that are named, not shared.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The place of one sample in a run. All randomness of the sample is a function of it and of a purpose.
///
/// ```
/// use flawforge_masks::Stream;
/// use rand::Rng;
///
/// let stream = Stream { seed: 1, step: 2, index: 3 };
/// let first: u64 = stream.rng("mask").random();
/// assert_eq!(first, stream.rng("mask").random::<u64>());
/// assert_ne!(first, stream.rng("texture").random::<u64>());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stream {
    /// Seed of the run.
    pub seed: u64,
    /// Training step, draw or pass: what the run counts.
    pub step: u64,
    /// Index of the sample in the step.
    pub index: u64,
}

impl Stream {
    /// The place of what happens once in a run: step 0, index 0.
    pub fn of_run(seed: u64) -> Self {
        Self {
            seed,
            step: 0,
            index: 0,
        }
    }

    /// The generator of one purpose.
    ///
    /// ChaCha8, keyed with the four little-endian words (seed, step, index, 64-bit FNV-1a hash of `purpose`),
    /// so that two streams coincide only when the three numbers and the hash do. The values are part of this
    /// crate's promise and pinned by tests.
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        let mut key = [0; 32];
        let words = [self.seed, self.step, self.index, fnv1a(purpose.as_bytes())];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngCore;

    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        // Published test vectors of FNV-1a.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn values_are_pinned() {
        let first = |seed, step, index, purpose| Stream { seed, step, index }.rng(purpose).next_u64();
        let found = [
            first(0, 0, 0, ""),
            first(1, 2, 3, "mask"),
            first(u64::MAX, 0, 1, "texture"),
        ];
        assert_eq!(
            found,
            [
                3_959_136_350_545_060_530,
                247_024_647_327_051_914,
                10_926_711_645_642_855_622
            ]
        );
    }

    #[test]
    fn every_coordinate_matters() {
        let mut seen = HashSet::new();
        for (seed, step, index) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)] {
            for purpose in ["mask", "texture", "mask "] {
                assert!(seen.insert(Stream { seed, step, index }.rng(purpose).next_u64()));
            }
        }
    }
}
