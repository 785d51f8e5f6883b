//! The vector type that kernels are written over, one implementation per instruction set.
//!
//! A kernel is a struct of its arguments that implements [`Kernel`]; its body is generic over [`Lanes`] and marked
//! `#[inline(always)]`, so that `V::enter(kernel)` compiles it inside a function which has the instruction set
//! enabled. The body must call only other `#[inline(always)]` functions (no closures: they would be compiled
//! without the instruction set) or enter further kernels.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use bf16::{Bf16, to_words};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;

/// A vector of `LANES` single-precision numbers.
///
/// # Safety
/// Every function may be called only on a processor that has the instruction set; pointers must be valid for the
/// lanes that are read or written, without any alignment.
pub(crate) trait Lanes: Copy + Send + Sync + 'static {
    /// Numbers in one vector.
    const LANES: usize;
    /// Rows of accumulators, two vectors wide, that fit the register file beside the operands.
    const TILE_ROWS: usize;
    /// Floats that the second-level cache of processors with this instruction set holds.
    const CACHED_FLOATS: usize;
    /// Steps of a sum of products that one word of 32 bits holds: one f32 number, or two of bfloat16.
    const STEPS: usize = 1;
    /// The same vectors with products of f32 numbers.
    type Single: Lanes;

    /// Runs a kernel compiled for this instruction set.
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Output;

    /// Asks for the cache line of an address that will be read soon; any address is allowed.
    unsafe fn prefetch(address: *const f32);
    unsafe fn zero() -> Self;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// Reads the first `count` lanes, the others become zero.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `count` lanes only.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + term`, rounded once where the instruction set can.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `max(self, 0)`, NaN kept.
    unsafe fn positive(self) -> Self;
    /// `min(self, limit)`, NaN of `self` kept.
    unsafe fn at_most(self, limit: Self) -> Self;

    /// The lesser of each two lanes; where that of `other` is NaN, the own one.
    #[inline(always)]
    unsafe fn lesser(self, other: Self) -> Self {
        // SAFETY: the caller's promise. A NaN limit limits nothing, except where the instruction set says otherwise.
        unsafe { self.at_most(other) }
    }
    /// The least lane, none of which is NaN.
    #[inline(always)]
    unsafe fn least(self) -> f32 {
        let mut lanes = [f32::INFINITY; 16];
        // SAFETY: the caller's promise; a vector has at most 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut least = f32::INFINITY;
        for lane in lanes {
            least = if lane < least { lane } else { least };
        }
        least
    }
    /// A bit for each lane, the first the lowest: whether it is at most as large as that of `limit`.
    #[inline(always)]
    unsafe fn up_to(self, limit: Self) -> u32 {
        let (mut lanes, mut limits) = ([0.0; 16], [0.0; 16]);
        // SAFETY: the caller's promise; a vector has at most 16 lanes.
        unsafe {
            self.store(lanes.as_mut_ptr());
            limit.store(limits.as_mut_ptr());
        }
        let mut bits = 0;
        for lane in 0..Self::LANES {
            bits |= u32::from(lanes[lane] <= limits[lane]) << lane;
        }
        bits
    }
    /// `sum` plus the products of words: of one step, or of as many as a word holds.
    #[inline(always)]
    unsafe fn dot(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.mul_add(other, sum) }
    }
    /// Words of two steps; where a word holds one step alone, `first`.
    #[inline(always)]
    unsafe fn words(first: Self, _second: Self) -> Self {
        first
    }
    /// Writes the lanes, neighbouring steps, as `LANES / STEPS` words.
    #[inline(always)]
    unsafe fn store_words(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.store(to) }
    }
}

/// A computation to be compiled for an instruction set; see the module's explanation.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// The body; implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// As for [`Lanes`], and whatever the kernel's fields promise.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// Evaluates `$body` with the type `$V` bound to the [`Lanes`] of an [`Isa`](crate::cpu::Isa).
///
/// Panics when the processor lacks the instruction set, since running it would be undefined.
macro_rules! with_lanes {
    ($isa:expr, $V:ident => $body:expr) => {{
        let isa: $crate::cpu::Isa = $isa;
        assert!(isa.is_available(), "this processor lacks {isa}");
        match isa {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx512 => {
                type $V = $crate::cpu::lanes::Avx512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx2 => {
                type $V = $crate::cpu::lanes::Avx2;
                $body
            }
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::Isa::Neon => {
                type $V = $crate::cpu::lanes::Neon;
                $body
            }
            _ => {
                type $V = $crate::cpu::lanes::Portable;
                $body
            }
        }
    }};
}
pub(crate) use with_lanes;

/// As [`with_lanes`], for an [`Arithmetic`](crate::cpu::Arithmetic).
macro_rules! with_arithmetic {
    ($arithmetic:expr, $V:ident => $body:expr) => {{
        let arithmetic: $crate::cpu::Arithmetic = $arithmetic;
        assert!(arithmetic.is_available(), "this processor lacks {arithmetic}");
        match arithmetic.isa() {
            isa if !arithmetic.is_bf16() => $crate::cpu::lanes::with_lanes!(isa, $V => $body),
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx512 => {
                type $V = $crate::cpu::lanes::Bf16<$crate::cpu::lanes::Avx512>;
                $body
            }
            _ => {
                type $V = $crate::cpu::lanes::Bf16<$crate::cpu::lanes::Portable>;
                $body
            }
        }
    }};
}
pub(crate) use with_arithmetic;
