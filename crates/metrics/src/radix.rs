//! A radix sort for keys, faster than comparison for millions of pixels.
//!
//! Least significant digit first, so each pass is stable. Every thread counts the digits of its own piece
//! of the input; the output is then cut into one slice for every pair (digit, piece), and every thread fills
//! its own slices. The result is the same for any number of threads.

use rayon::prelude::*;

const DIGIT_BITS: u32 = 11;
const BUCKETS: usize = 1 << DIGIT_BITS;
const PASSES: u32 = 3; // 3 × 11 bits cover the 32 of a key
/// Below this the standard sort wins, because the counting tables no longer pay.
const SMALL: usize = 1 << 13;

/// Something sorted by a 32-bit key.
pub(crate) trait Keyed: Copy + Default + Send + Sync {
    /// The key that decides the order.
    fn sort_key(self) -> u32;
}

impl Keyed for u32 {
    fn sort_key(self) -> u32 {
        self
    }
}

/// A key in the upper half with a payload in the lower, which takes no part in the order.
impl Keyed for u64 {
    fn sort_key(self) -> u32 {
        (self >> 32) as u32
    }
}

/// Sorts ascending by key.
pub(crate) fn sort<T: Keyed>(items: &mut Vec<T>) {
    if items.len() < SMALL {
        items.sort_by_key(|item| item.sort_key());
        return;
    }
    let pieces = rayon::current_num_threads().max(1);
    let mut other = vec![T::default(); items.len()];
    for pass in 0..PASSES {
        if scatter(items, &mut other, pass * DIGIT_BITS, pieces) {
            std::mem::swap(items, &mut other);
        }
    }
}

fn digit<T: Keyed>(item: T, shift: u32) -> usize {
    (item.sort_key() >> shift) as usize & (BUCKETS - 1)
}

/// One pass. Returns `false`, with `to` untouched, when all items share the digit.
fn scatter<T: Keyed>(from: &[T], to: &mut [T], shift: u32, pieces: usize) -> bool {
    let piece_len = from.len().div_ceil(pieces);
    let counts: Vec<Vec<usize>> = from
        .par_chunks(piece_len)
        .map(|piece| {
            let mut count = vec![0; BUCKETS];
            for &item in piece {
                count[digit(item, shift)] += 1;
            }
            count
        })
        .collect();
    if (0..BUCKETS).any(|bucket| counts.iter().map(|count| count[bucket]).sum::<usize>() == from.len()) {
        return false;
    }

    let mut slots: Vec<Vec<std::slice::IterMut<'_, T>>> =
        counts.iter().map(|_| Vec::with_capacity(BUCKETS)).collect();
    let mut rest = to;
    for bucket in 0..BUCKETS {
        for (piece, count) in counts.iter().enumerate() {
            let (slice, after) = rest.split_at_mut(count[bucket]);
            slots[piece].push(slice.iter_mut());
            rest = after;
        }
    }
    from.par_chunks(piece_len)
        .zip(slots.par_iter_mut())
        .for_each(|(piece, slots)| {
            for &item in piece {
                // Always a slot: the slices were cut to the counts of this very piece.
                if let Some(slot) = slots[digit(item, shift)].next() {
                    *slot = item;
                }
            }
        });
    true
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn sorts_like_the_standard_library_with_any_number_of_threads() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for len in [0, 1, 100, SMALL, 3 * SMALL + 7] {
            for mask in [u32::MAX, 0xff, 0xfff0_0000, 0] {
                let items: Vec<u32> = (0..len).map(|_| rng.random::<u32>() & mask).collect();
                let mut expected = items.clone();
                expected.sort_unstable();
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .unwrap();
                    let mut sorted = items.clone();
                    pool.install(|| sort(&mut sorted));
                    assert_eq!(sorted, expected, "{len} items, mask {mask:x}, {threads} threads");
                }
            }
        }
    }

    #[test]
    fn payloads_travel_with_their_keys_and_ties_keep_their_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let items: Vec<u64> = (0..2 * SMALL as u64)
            .map(|payload| (u64::from(rng.random_range(0..500u32) << 9) << 32) | payload)
            .collect();
        let mut sorted = items.clone();
        sort(&mut sorted);
        let mut expected = items;
        expected.sort_unstable(); // payloads ascend in the input, so a stable sort orders them too
        assert_eq!(sorted, expected);
    }
}
