//! The precision of convolutions: which numbers they multiply.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use crate::cpu::{Arithmetic, Isa};

/// The numbers that convolutions multiply; sums, activations, variables and gradients are f32 in any case.
///
/// On the processor it concerns [`conv3x3`](crate::conv3x3) and what is prepared for [`inference`](crate::inference),
/// except layers that read or write at most eight channels, which are images; those, general and transposed convolutions
/// multiply f32 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// f32; on a GPU without tensor cores, for comparisons.
    F32,
    /// On a GPU, f32 rounded to 10 bits of mantissa on the way into the tensor cores, as PyTorch does by default; f32 on the
    /// processor.
    #[default]
    Tf32,
    /// bfloat16 copies of activations, filters and gradients; the master weights stay f32. On the processor it takes AVX-512
    /// with instructions for bfloat16 ([`is_served_here`](Self::is_served_here)); f32 is used where they are absent.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::Tf32) };
}

impl Precision {
    /// Precision of the convolutions that this thread starts: that of the innermost [`scope`](Self::scope), else the default.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Makes this the [`current`](Self::current) precision until the scope is dropped.
    pub fn scope(self) -> PrecisionScope {
        PrecisionScope {
            before: CURRENT.replace(self),
            of_this_thread: PhantomData,
        }
    }

    /// Whether this processor has instructions for this precision. Without them it computes in f32.
    pub fn is_served_here(self) -> bool {
        self != Self::Bf16 || self.arithmetic().is_bf16()
    }

    /// Arithmetic of the kernels on this processor: f32 unless this is bfloat16 and [`Isa::detect`] has instructions
    /// for it.
    pub(crate) fn arithmetic(self) -> Arithmetic {
        let isa = Isa::detect();
        let bf16 = Arithmetic::bf16(isa);
        if self == Self::Bf16 && isa != Isa::Portable && bf16.is_available() {
            bf16
        } else {
            isa.into()
        }
    }
}

/// Until it is dropped, convolutions of its thread have a [precision](Precision::scope).
#[derive(Debug)]
#[must_use = "the precision ends with the scope"]
pub struct PrecisionScope {
    before: Precision,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for PrecisionScope {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::F32, Self::Tf32, Self::Bf16]
            .into_iter()
            .find(|precision| precision.to_string() == name)
            .ok_or_else(|| format!("{name:?} is not one of f32, tf32, bf16"))
    }
}

/// By name, as it is displayed.
#[cfg(feature = "serde")]
impl serde::Serialize for Precision {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Precision {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp16".parse::<Precision>().unwrap_err().contains("fp16"));
    }

    #[test]
    fn scopes_nest_and_end_with_their_thread() {
        assert_eq!(Precision::current(), Precision::Tf32);
        let outer = Precision::Bf16.scope();
        {
            let _inner = Precision::F32.scope();
            assert_eq!(Precision::current(), Precision::F32);
            assert!(!Precision::current().arithmetic().is_bf16());
        }
        assert_eq!(Precision::current(), Precision::Bf16);
        let elsewhere = std::thread::spawn(Precision::current).join();
        assert_eq!(elsewhere.ok(), Some(Precision::Tf32));
        assert_eq!(
            Precision::current().arithmetic().is_bf16(),
            Precision::Bf16.is_served_here()
        );
        assert_eq!(Precision::current().arithmetic().isa(), Isa::detect());
        drop(outer);
        assert_eq!(Precision::current(), Precision::Tf32);
    }
}
