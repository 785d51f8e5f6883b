//! The value between four pixels of bytes, in the fixed-point arithmetic of OpenCV's 8-bit `warpAffine`.

use std::array;

/// Mixes two pixels of an upper row and the two below them, with weights in 1/32: (32 - a) and a from left to right,
/// (32 - b) and b from top to bottom. The six bytes of a row's two pixels are the lowest ones of a number.
pub(crate) trait Mix: Copy {
    fn mix(self, upper: u64, lower: u64, a: u32, b: u32) -> [u8; 3];
}

/// Any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Mix for Portable {
    #[inline(always)]
    fn mix(self, upper: u64, lower: u64, a: u32, b: u32) -> [u8; 3] {
        let (upper, lower) = (upper.to_le_bytes(), lower.to_le_bytes());
        array::from_fn(|c| {
            let across = |row: &[u8; 8]| u32::from(row[c]) * (32 - a) + u32::from(row[c + 3]) * a;
            ((across(&upper) * (32 - b) + across(&lower) * b + 512) >> 10) as u8
        })
    }
}

/// Processors with SSSE3: the three channels at once.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Ssse3(());

#[cfg(target_arch = "x86_64")]
impl Ssse3 {
    /// `None` where the processor cannot.
    pub(crate) fn new() -> Option<Self> {
        is_x86_feature_detected!("ssse3").then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Mix for Ssse3 {
    #[inline(always)]
    fn mix(self, upper: u64, lower: u64, a: u32, b: u32) -> [u8; 3] {
        // SAFETY: a value of this type exists only where the processor has the instruction set.
        unsafe { mix_ssse3(upper, lower, a, b) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3")]
#[inline]
fn mix_ssse3(upper: u64, lower: u64, a: u32, b: u32) -> [u8; 3] {
    use std::arch::x86_64::{
        _mm_add_epi32, _mm_cvtsi64_si128, _mm_cvtsi128_si32, _mm_madd_epi16, _mm_set1_epi32, _mm_setr_epi8,
        _mm_shuffle_epi8, _mm_srli_epi32,
    };
    // Left and right level of each channel side by side, as 16-bit numbers; a multiplication adds such neighbours up.
    let pairs = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    let weighted = |row: u64, weight: u32| {
        let levels = _mm_shuffle_epi8(_mm_cvtsi64_si128(row as i64), pairs);
        _mm_madd_epi16(
            levels,
            _mm_set1_epi32((((32 - a) * weight) | ((a * weight) << 16)) as i32),
        )
    };
    let sums = _mm_add_epi32(weighted(upper, 32 - b), weighted(lower, b));
    let levels = _mm_srli_epi32(_mm_add_epi32(sums, _mm_set1_epi32(512)), 10);
    let bytes = _mm_shuffle_epi8(
        levels,
        _mm_setr_epi8(0, 4, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
    );
    let [r, g, b, _] = _mm_cvtsi128_si32(bytes).to_le_bytes();
    [r, g, b]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_the_weighted_mean() {
        let row = |bytes: [u8; 6]| u64::from_le_bytes(array::from_fn(|k| *bytes.get(k).unwrap_or(&77)));
        let (upper, lower) = (row([0, 10, 255, 32, 42, 255]), row([64, 10, 255, 0, 74, 254]));
        assert_eq!(Portable.mix(upper, lower, 0, 0), [0, 10, 255]);
        assert_eq!(Portable.mix(upper, lower, 16, 16), [24, 34, 255]);
        #[cfg(target_arch = "x86_64")]
        if let Some(fast) = Ssse3::new() {
            let mut state = 1u64;
            for step in 0..20_000u32 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (upper, lower) = (
                    state,
                    if step % 3 == 0 {
                        u64::MAX
                    } else {
                        state.rotate_left(23)
                    },
                );
                let (a, b) = (step % 32, step / 32 % 32);
                assert_eq!(fast.mix(upper, lower, a, b), Portable.mix(upper, lower, a, b));
            }
        }
    }
}
