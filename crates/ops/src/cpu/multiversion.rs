//! Compiling a plain loop once for every instruction set.

/// Defines a function whose body is compiled for every [`Isa`](crate::cpu::Isa), chosen by a first argument `isa`.
///
/// The body is ordinary Rust that the compiler vectorises. It uses no fused multiply-add and fixes the order of its
/// sums, so the result is the same, bit for bit, on every instruction set.
macro_rules! multiversioned {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)+) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::cpu::Isa, $($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn generic($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($argument: $type),*) $(-> $result)? { generic($($argument),*) }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($argument: $type),*) $(-> $result)? { generic($($argument),*) }

            assert!(isa.is_available(), "this processor lacks {isa}");
            match isa {
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Isa::Avx512 => {
                    // SAFETY: the assertion above: the processor has AVX-512F.
                    unsafe { avx512($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Isa::Avx2 => {
                    // SAFETY: the assertion above: the processor has AVX2 and FMA.
                    unsafe { avx2($($argument),*) }
                }
                _ => generic($($argument),*),
            }
        }
    )+};
}
pub(crate) use multiversioned;
