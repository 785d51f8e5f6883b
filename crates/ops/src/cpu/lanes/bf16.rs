//! Vectors for products in bfloat16: sums are f32, each factor keeps 8 bits of its mantissa.
//!
//! Where products are taken, a word of 32 bits holds two neighbouring steps of a sum; everything else works on f32 as
//! the vector that is wrapped does. So the kernels are written once, and count in words.

use super::{Kernel, Lanes};

/// A vector whose words can hold pairs of bfloat16 numbers.
///
/// # Safety
/// As for [`Lanes`]; the processor has the instructions for bfloat16, too.
pub(crate) trait Pairs: Lanes {
    /// Rows of accumulators, two vectors wide.
    const PAIRED_TILE_ROWS: usize;

    /// Runs a kernel compiled for the instruction set and its instructions for bfloat16.
    unsafe fn enter_paired<K: Kernel>(kernel: K) -> K::Output;
    /// In each lane, `sum` plus the products of both halves.
    unsafe fn dot_pairs(self, other: Self, sum: Self) -> Self;
    /// In each lane, the rounded numbers of `first` (low half) and `second` (high half).
    unsafe fn round_pair(first: Self, second: Self) -> Self;
    /// Writes `LANES / 2` words: neighbouring lanes rounded, the first of two in the low half.
    unsafe fn store_rounded(self, to: *mut f32);
}

/// `V` with products in bfloat16.
#[derive(Clone, Copy)]
pub(crate) struct Bf16<V>(V);

impl<V: Pairs> Lanes for Bf16<V> {
    const LANES: usize = V::LANES;
    const TILE_ROWS: usize = V::PAIRED_TILE_ROWS;
    const CACHED_FLOATS: usize = V::CACHED_FLOATS;
    const STEPS: usize = 2;
    type Single = V;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promise.
        unsafe { V::enter_paired(kernel) }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const f32) {
        // SAFETY: the caller's promise.
        unsafe { V::prefetch(address) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { V::zero() })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { V::splat(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { V::load(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { V::load_first(from, count) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store_first(to, count) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.add(other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.sub(other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.mul(other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.mul_add(factor.0, term.0) })
    }

    #[inline(always)]
    unsafe fn positive(self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.positive() })
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.at_most(limit.0) })
    }

    #[inline(always)]
    unsafe fn dot(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.dot_pairs(other.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn words(first: Self, second: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { V::round_pair(first.0, second.0) })
    }

    #[inline(always)]
    unsafe fn store_words(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.store_rounded(to) }
    }
}

/// Numbers that become a row of words, two neighbours a word.
struct Row<'a> {
    values: &'a [f32],
    words: *mut f32,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let mut done = 0;
        while done + V::LANES <= self.values.len() {
            // SAFETY: a whole vector is left to read, and its words to write.
            unsafe { V::load(self.values.as_ptr().add(done)).store_words(self.words.add(done / V::STEPS)) };
            done += V::LANES;
        }
        let left = self.values.len() - done;
        if left > 0 {
            let mut words = [0.0f32; 16];
            // SAFETY: `left` numbers are there to read and their words to write; a vector has at most 16 lanes.
            unsafe {
                V::load_first(self.values.as_ptr().add(done), left).store_words(words.as_mut_ptr());
                let count = left.div_ceil(V::STEPS);
                self.words
                    .add(done / V::STEPS)
                    .copy_from_nonoverlapping(words.as_ptr(), count);
            }
        }
    }
}

/// Writes `values` as words of `V`: copied, or rounded in pairs. With pairs, an odd number of values ends in a zero.
///
/// # Panics
/// When there are not as many words.
pub(crate) fn to_words<V: Lanes>(values: &[f32], words: &mut [f32]) {
    assert_eq!(words.len(), values.len().div_ceil(V::STEPS), "number of words");
    if V::STEPS == 1 {
        words.copy_from_slice(values);
    } else {
        let row = Row {
            values,
            words: words.as_mut_ptr(),
        };
        // SAFETY: the assertion above; whoever chose `V` found that the processor has it.
        unsafe { V::enter(row) };
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    #[cfg(target_arch = "x86_64")]
    use super::super::Avx512;
    use super::super::Portable;
    use super::*;

    const VALUES: [f32; 8] = [
        1.0,
        -1.003_9,
        3.217_5,
        1e-20,
        -6.5e30,
        0.333_333_34,
        1.0 + 3.0 / 256.0,
        0.0,
    ];

    /// Bits of words, of pairs, of lane-wise products.
    struct Probe;

    impl Kernel for Probe {
        type Output = [Vec<f32>; 3];

        #[inline(always)]
        unsafe fn run<V: Lanes>(self) -> [Vec<f32>; 3] {
            let mut values = VALUES.repeat(2);
            values.truncate(V::LANES);
            let reversed: Vec<f32> = values.iter().rev().copied().collect();
            let mut found = [vec![0.0; V::LANES / 2], vec![0.0; V::LANES], vec![0.0; V::LANES]];
            // SAFETY: the vectors have as many numbers as there are lanes, or half of it.
            unsafe {
                let (a, b) = (V::load(values.as_ptr()), V::load(reversed.as_ptr()));
                a.store_words(found[0].as_mut_ptr());
                let pairs = V::words(a, b);
                pairs.store(found[1].as_mut_ptr());
                pairs
                    .dot(V::words(b, a), V::splat(2.0))
                    .store(found[2].as_mut_ptr());
            }
            found
        }
    }

    fn word(low: f32, high: f32) -> u32 {
        let bits = |value| u32::from(bf16::from_f32(value).to_bits());
        bits(low) | bits(high) << 16
    }

    #[test]
    fn words_hold_what_the_half_crate_rounds() {
        // SAFETY: every processor can.
        let mut probed = vec![(4, unsafe { Bf16::<Portable>::enter(Probe) })];
        #[cfg(target_arch = "x86_64")]
        if crate::cpu::Arithmetic::bf16(crate::cpu::Isa::Avx512).is_available() {
            // SAFETY: the condition says that this processor can.
            probed.push((16, unsafe { Bf16::<Avx512>::enter(Probe) }));
        } else {
            flawforge_testing::skip(
                flawforge_testing::Need::Bf16,
                "the half of this test that is AVX-512's",
            );
        }
        for (lanes, [neighbors, pairs, dots]) in probed {
            let value = |lane: usize| VALUES.repeat(2)[lane];
            for lane in 0..lanes {
                let (a, b) = (value(lane), value(lanes - 1 - lane));
                assert_eq!(pairs[lane].to_bits(), word(a, b), "{lanes}");
                let product = f64::from(bf16::from_f32(a)) * f64::from(bf16::from_f32(b));
                let expected = 2.0 + 2.0 * product;
                assert!(
                    (f64::from(dots[lane]) - expected).abs() <= 1e-6 * expected.abs(),
                    "{lanes} {lane}"
                );
            }
            for (index, found) in neighbors.iter().enumerate() {
                assert_eq!(found.to_bits(), word(value(2 * index), value(2 * index + 1)));
            }
        }
    }
}
