//! Sixteen lanes: AVX-512F.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512i, __mmask16, _CMP_LE_OQ, _MM_HINT_T0, _mm_prefetch,
    _mm256_storeu_si256, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh,
    _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_reduce_min_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_sub_ps,
};
use std::mem::transmute;

use super::bf16::{Bf16, Pairs};
use super::{Kernel, Lanes};

/// Sixteen lanes in one register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

impl Lanes for Avx512 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 12;
    const CACHED_FLOATS: usize = 256 << 10;
    type Single = Self;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promise.
        unsafe { avx512(kernel) }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const f32) {
        // SAFETY: a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_maskz_loadu_ps(first(count), from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_mask_storeu_ps(to, first(count), self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
    }

    #[inline(always)]
    unsafe fn positive(self) -> Self {
        // The second operand is the result when one is NaN.
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_min_ps(limit.0, self.0) })
    }

    #[inline(always)]
    unsafe fn least(self) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_reduce_min_ps(self.0) }
    }

    #[inline(always)]
    unsafe fn up_to(self, limit: Self) -> u32 {
        // SAFETY: the caller's promise.
        u32::from(unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(self.0, limit.0) })
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<Avx512>() }
}

impl Pairs for Avx512 {
    // Measured a few percent faster than ten or twelve rows.
    const PAIRED_TILE_ROWS: usize = 8;

    #[inline(always)]
    unsafe fn enter_paired<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promise.
        unsafe { avx512_bf16(kernel) }
    }

    #[inline(always)]
    unsafe fn dot_pairs(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller's promise; the types differ in name alone.
        unsafe {
            let (a, b) = (
                transmute::<__m512, __m512bh>(self.0),
                transmute::<__m512, __m512bh>(other.0),
            );
            Self(_mm512_dpbf16_ps(sum.0, a, b))
        }
    }

    #[inline(always)]
    unsafe fn round_pair(first: Self, second: Self) -> Self {
        // Both halves of the register, one after the other, become low and high halves of words.
        const RIFFLE: [u16; 32] = {
            let mut order = [0; 32];
            let mut lane = 0;
            while lane < 16 {
                order[2 * lane] = lane as u16;
                order[2 * lane + 1] = lane as u16 + 16;
                lane += 1;
            }
            order
        };
        // SAFETY: the caller's promise; the types differ in name alone.
        unsafe {
            let rounded = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second.0, first.0));
            let order = transmute::<[u16; 32], __m512i>(RIFFLE);
            Self(transmute::<__m512i, __m512>(_mm512_permutexvar_epi16(
                order, rounded,
            )))
        }
    }

    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut f32) {
        // SAFETY: the caller's promise; the types differ in name alone.
        unsafe {
            let rounded = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
            _mm256_storeu_si256(to.cast(), rounded);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<Bf16<Avx512>>() }
}

/// The mask of the first `count` lanes (at most 16).
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1u32 << count.min(16)) - 1) as __mmask16
}
