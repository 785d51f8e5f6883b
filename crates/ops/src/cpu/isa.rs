//! Which vector instruction set the kernels use, found out at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// Name of the environment variable that overrides [`Isa::detect`]: `portable`, `neon`, `avx2` or `avx512`.
pub const ISA_VARIABLE: &str = "FLAWFORGE_ISA";

/// A vector instruction set that the kernels are compiled for.
///
/// Results differ between instruction sets in the last bits (sums are grouped by vector width), never between
/// runs or thread counts on the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, four lanes at a time, vectorised by the compiler: runs on every processor.
    Portable,
    /// NEON of 64-bit ARM processors: four lanes, with fused multiply-add.
    Neon,
    /// AVX2 with fused multiply-add: eight lanes.
    Avx2,
    /// AVX-512F: sixteen lanes.
    Avx512,
}

/// The text given is not the name of an instruction set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown instruction set {0:?}: expected portable, neon, avx2 or avx512")]
pub struct UnknownIsa(pub String);

impl Isa {
    /// All instruction sets, narrowest first.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// The widest instruction set of this processor, or the one that the environment variable
    /// [`ISA_VARIABLE`] names. A name that is unknown, or an instruction set that this processor lacks, is ignored.
    /// The answer is found once per process.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            std::env::var(ISA_VARIABLE)
                .ok()
                .and_then(|name| name.parse::<Isa>().ok())
                .filter(|isa| isa.is_available())
                .unwrap_or_else(Isa::widest)
        })
    }

    fn widest() -> Self {
        let mut available = Self::ALL.into_iter().rev().filter(|isa| isa.is_available());
        available.next().unwrap_or(Isa::Portable)
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Self, UnknownIsa> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.to_string() == name)
            .ok_or_else(|| UnknownIsa(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        assert_eq!("AVX9".parse::<Isa>(), Err(UnknownIsa("AVX9".into())));
    }

    #[test]
    fn detected_set_can_run() {
        assert!(Isa::Portable.is_available());
        assert!(Isa::detect().is_available());
    }
}
