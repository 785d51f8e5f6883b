//! What the convolutions multiply with.

use std::sync::atomic::{AtomicU8, Ordering};

/// The numbers that cuDNN's convolutions multiply; sums, activations, variables and gradients are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// f32, without tensor cores: for comparisons.
    F32 = 0,
    /// f32 rounded to 10 bits of mantissa on the way into the tensor cores, as PyTorch does by default on a GPU.
    #[default]
    Tf32 = 1,
    /// bfloat16 copies of activations, filters and gradients; the master weights stay f32.
    Bf16 = 2,
}

static PRECISION: AtomicU8 = AtomicU8::new(Precision::Tf32 as u8);

/// The precision of convolutions on CUDA devices in this process.
pub fn precision() -> Precision {
    match PRECISION.load(Ordering::Relaxed) {
        0 => Precision::F32,
        2 => Precision::Bf16,
        _ => Precision::Tf32,
    }
}

/// Sets the [`precision`] for the convolutions that follow, on all threads.
pub fn set_precision(precision: Precision) {
    PRECISION.store(precision as u8, Ordering::Relaxed);
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("{name:?} is not one of f32, tf32, bf16")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        assert_eq!("bf16".parse(), Ok(Precision::Bf16));
        assert_eq!("tf32".parse(), Ok(Precision::default()));
        assert!("fp16".parse::<Precision>().unwrap_err().contains("fp16"));
    }
}
