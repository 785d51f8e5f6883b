//! What the kernels of convolutions multiply with.

use std::fmt;

use super::Isa;

/// An instruction set and the precision of the products of convolutions.
///
/// With bfloat16, both factors of every product are rounded to 8 bits of mantissa; sums, and all that is read and
/// written, are f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    isa: Isa,
    bf16: bool,
}

impl Arithmetic {
    /// Products in bfloat16. [`Isa::Avx512`] has instructions for it; [`Isa::Portable`] computes the same slowly, for
    /// tests.
    pub fn bf16(isa: Isa) -> Self {
        Self { isa, bf16: true }
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Whether products are in bfloat16.
    pub fn is_bf16(self) -> bool {
        self.bf16
    }

    /// Whether this processor can compute so.
    pub fn is_available(self) -> bool {
        let isa = self.isa.is_available();
        match self.isa {
            _ if !self.bf16 => isa,
            Isa::Portable => true,
            Isa::Neon | Isa::Avx2 => false,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                isa && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 => false,
        }
    }

    /// The same with f32 products if `condition` does not hold.
    pub(crate) fn bf16_if(self, condition: bool) -> Self {
        Self {
            bf16: self.bf16 && condition,
            ..self
        }
    }
}

impl From<Isa> for Arithmetic {
    /// Products in f32.
    fn from(isa: Isa) -> Self {
        Self { isa, bf16: false }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.isa, if self.bf16 { " with bfloat16" } else { "" })
    }
}
