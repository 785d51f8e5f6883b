//! Four lanes in plain Rust; the compiler maps them onto the baseline vector registers.

use half::bf16;

use super::bf16::{Bf16, Pairs};
use super::{Kernel, Lanes};

/// Four lanes as an array.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct Portable([f32; 4]);

impl Lanes for Portable {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 6;
    const CACHED_FLOATS: usize = 64 << 10;
    type Single = Self;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promise.
        unsafe { portable(kernel) }
    }

    #[inline(always)]
    unsafe fn prefetch(_address: *const f32) {}

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count.min(4)) };
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count.min(4)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a + e, b + f, c + g, d + h])
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a - e, b - f, c - g, d - h])
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a * e, b * f, c * g, d * h])
    }

    // Not `f32::mul_add`: without the instruction that is a call into the C library for each lane.
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h], [p, q, r, s]) = (self.0, factor.0, term.0);
        Self([a * e + p, b * f + q, c * g + r, d * h + s])
    }

    #[inline(always)]
    unsafe fn positive(self) -> Self {
        let [a, b, c, d] = self.0;
        // Written so that NaN is kept.
        let positive = |x: f32| if x <= 0.0 { 0.0 } else { x };
        Self([positive(a), positive(b), positive(c), positive(d)])
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, limit.0);
        // Written so that NaN is kept.
        let at_most = |x: f32, limit: f32| if x > limit { limit } else { x };
        Self([at_most(a, e), at_most(b, f), at_most(c, g), at_most(d, h)])
    }
}

unsafe fn portable<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    unsafe { kernel.run::<Portable>() }
}

// Far slower than f32: it is there so that what the kernels do with words can be tested on every processor.
impl Pairs for Portable {
    const PAIRED_TILE_ROWS: usize = 6;

    #[inline(always)]
    unsafe fn enter_paired<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Bf16<Portable>>() }
    }

    #[inline(always)]
    unsafe fn dot_pairs(self, other: Self, sum: Self) -> Self {
        let half = |word: f32, shift: u32| bf16::from_bits((word.to_bits() >> shift) as u16).to_f32();
        Self(std::array::from_fn(|lane| {
            let (a, b) = (self.0[lane], other.0[lane]);
            sum.0[lane] + half(a, 0) * half(b, 0) + half(a, 16) * half(b, 16)
        }))
    }

    #[inline(always)]
    unsafe fn round_pair(first: Self, second: Self) -> Self {
        Self(std::array::from_fn(|lane| round(first.0[lane], second.0[lane])))
    }

    #[inline(always)]
    unsafe fn store_rounded(self, to: *mut f32) {
        let [a, b, c, d] = self.0;
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 2]>().write_unaligned([round(a, b), round(c, d)]) }
    }
}

/// The word of two rounded numbers.
fn round(low: f32, high: f32) -> f32 {
    let bits = |value| u32::from(bf16::from_f32(value).to_bits());
    f32::from_bits(bits(low) | bits(high) << 16)
}
