//! The methods that can be trained.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A method. Ablations of a method (Lin & Yan, table 4) are settings of [`crate::Config`], not methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// DRAEM (Zavrtanik et al., ICCV 2021): transparent anomalies, rotated normals, joint training.
    Draem,
    /// Lin & Yan (AAAI 2024): anomalies selected per category, split training.
    LinYan,
}

impl Method {
    /// All methods, in the order of the paper's tables.
    pub const ALL: [Self; 2] = [Self::Draem, Self::LinYan];

    /// The name on the command line and in files: `draem`, `lin-yan`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draem => "draem",
            Self::LinYan => "lin-yan",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a method that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown method `{0}` (known: draem, lin-yan)")]
pub struct UnknownMethod(pub String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| UnknownMethod(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse::<Method>(), Ok(method));
        }
        assert!("padim".parse::<Method>().is_err());
    }
}
