//! Compiling a plain loop once more for wider vectors.

/// Defines functions whose bodies are compiled twice: for every processor, and for those with AVX2, chosen when
/// called.
///
/// A body is ordinary Rust that the compiler vectorises. Nothing in it is fused or summed in another order for
/// wider vectors, so the results are the same, bit for bit.
#[doc(hidden)]
#[macro_export]
macro_rules! multiversioned {
    ($($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)+) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn generic($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($argument: $type),*) $(-> $result)? { generic($($argument),*) }

            #[cfg(target_arch = "x86_64")]
            if ::std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the instruction set.
                return unsafe { avx2($($argument),*) };
            }
            generic($($argument),*)
        }
    )+};
}
