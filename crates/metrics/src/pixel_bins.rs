//! The pixels of one image by bins of their scores: what a draw of images needs of an image.

use crate::components::components;
use crate::key::key;
use crate::radix;
use crate::sweep::share;
use crate::truth::Truth;

/// Binary digits of a score that are kept behind the leading one, at first: bins are a millionth of a score wide, or of its
/// distance from 1, so that scores which hardly differ are told apart (proposal).
pub(crate) const DIGITS: u32 = 20;
/// Digits of the mantissa of an `f32`.
const MANTISSA: u32 = 23;

/// A number of the same order as the score. Between one half and 1 the distance from 1 counts as the score does below one half,
/// because probabilities crowd at both ends; everywhere else it is the order of floating-point numbers.
fn place(score: f32) -> u64 {
    let half = u64::from(key(0.5));
    if score.is_nan() || score <= 0.5 {
        return u64::from(key(score));
    }
    if score < 1.0 {
        // Exact: the numbers are within a factor of two.
        return 2 * half - u64::from(key(1.0 - score));
    }
    // No number below 1 is closer to it than 2^-24.
    let nearest = u64::from(key(2f32.powi(-24)));
    2 * half - nearest + 1 + u64::from(key(score)) - u64::from(key(1.0))
}

/// The bin of a score: an order-preserving number. `digits` is at most [`DIGITS`], so that it fits.
fn bin(score: f32, digits: u32) -> u32 {
    (place(score) >> (MANTISSA - digits)) as u32
}

/// Anomalous pixels of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) bin: u32,
    pub(crate) count: u32,
    /// Sum of [`share`] over these pixels.
    pub(crate) share: u128,
}

/// The pixels of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageBins {
    /// Bins, ascending, with the number of normal pixels in each.
    pub(crate) normal: Vec<(u32, u32)>,
    /// Bins of anomalous pixels, ascending.
    pub(crate) anomalous: Vec<Marked>,
    /// Connected components of anomalous pixels.
    pub(crate) components: u64,
}

impl ImageBins {
    /// The pixels of a map. No score is NaN, and both slices have the same length.
    pub(crate) fn new<T: Truth>(scores: &[f32], mask: &[T], width: usize, digits: u32) -> Self {
        // Most images of a test set are normal ones.
        let found = mask
            .iter()
            .any(|truth| truth.is_anomalous())
            .then(|| components(mask, width));
        let (mut normal, mut marked) = (Vec::new(), Vec::new());
        for (at, &score) in scores.iter().enumerate() {
            if !mask[at].counts() {
                continue;
            }
            let bin = bin(score, digits);
            match found.as_ref().map_or(0, |found| found.sizes[at]) {
                0 => normal.push(bin),
                size => marked.push(Marked {
                    bin,
                    count: 1,
                    share: share(size),
                }),
            }
        }
        radix::sort(&mut normal);
        marked.sort_by_key(|pixel| pixel.bin);
        let same = |a: &u32, b: &u32| a == b;
        let normal = normal.chunk_by(same).map(|tied| (tied[0], tied.len() as u32));
        let mut image = Self {
            normal: normal.collect(),
            anomalous: marked,
            components: found.map_or(0, |found| found.count),
        };
        image.join();
        image
    }

    /// Makes bins twice as wide.
    pub(crate) fn coarsen(&mut self) {
        self.normal.iter_mut().for_each(|(bin, _)| *bin >>= 1);
        self.anomalous.iter_mut().for_each(|marked| marked.bin >>= 1);
        self.join();
    }

    /// Makes one entry of those with one bin.
    fn join(&mut self) {
        self.normal.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 += if same { later.1 } else { 0 };
            same
        });
        self.anomalous.dedup_by(|later, kept| {
            let same = later.bin == kept.bin;
            if same {
                kept.count += later.count;
                kept.share += later.share;
            }
            same
        });
    }

    /// Entries that are held.
    pub(crate) fn entries(&self) -> usize {
        self.normal.len() + self.anomalous.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_order() {
        let ordered = [
            f32::NEG_INFINITY,
            -3.0,
            -0.7,
            0.0,
            1e-9,
            0.25,
            0.5f32.next_down(),
            0.5,
            0.5f32.next_up(),
            0.75,
            1.0 - 1e-5,
            1.0f32.next_down(),
            1.0,
            1.0f32.next_up(),
            77.0,
            f32::INFINITY,
        ];
        for pair in ordered.windows(2) {
            assert!(place(pair[0]) < place(pair[1]), "{pair:?}");
        }
        assert_eq!(place(-0.0), place(0.0));
        assert!(place(f32::INFINITY) >> (MANTISSA - DIGITS) < 1 << 32);
    }

    #[test]
    fn bins_are_narrow_at_both_ends() {
        for (a, b) in [
            (1e-6, 1.01e-6),
            (0.3, 0.302),
            (1.0 - 1e-5, 1.0 - 1.1e-5),
            (40.0, 40.2),
        ] {
            assert_ne!(bin(a, DIGITS), bin(b, DIGITS), "{a} {b}");
        }
        assert_eq!(bin(0.3, 9), bin(0.3001, 9));
        assert_ne!(bin(0.4262, DIGITS), bin(0.426201, DIGITS));
    }

    #[test]
    fn coarser_bins_are_those_of_fewer_digits() {
        let scores: Vec<f32> = (0..600).map(|i| (i as f32 * 0.37).sin().abs()).collect();
        let mask: Vec<bool> = (0..600).map(|i| i % 30 < 4 && i / 30 < 7).collect();
        let mut fine = ImageBins::new(&scores, &mask, 30, 6);
        let coarse = ImageBins::new(&scores, &mask, 30, 5);
        assert!(fine.entries() > coarse.entries());
        fine.coarsen();
        assert_eq!(fine, coarse);
        assert_eq!(fine.components, 1);
        let pixels = fine.normal.iter().map(|(_, count)| count).sum::<u32>();
        assert_eq!(
            pixels + fine.anomalous.iter().map(|marked| marked.count).sum::<u32>(),
            600
        );
    }
}
