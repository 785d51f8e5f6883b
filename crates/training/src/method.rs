//! The methods that can be trained.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A method, or an ablation of one: a name for a set of default settings (see [`crate::Config::for_method`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// DRAEM (Zavrtanik et al., ICCV 2021): transparent anomalies, rotated normals, joint training.
    Draem,
    /// Lin & Yan (AAAI 2024): anomalies selected per category, split training.
    LinYan,
    /// NSA (Schlüter et al., ECCV 2022): patches of normal images blended in, one network on soft labels.
    Nsa,
    /// DRAEM without rotation of normals (Lin & Yan, table 4, "D.NoRot").
    DraemNoRotation,
    /// DRAEM's joint training on the selected anomalies, without rotation of normals (table 4, "D.Our").
    DraemOurSimulation,
    /// Split training on DRAEM's anomalies, with rotation of normals (table 4, "Our.D").
    SplitDraemSimulation,
}

/// What a method trains. Methods of one architecture differ in settings alone; each architecture has its recipe
/// ([`crate::recipe_for`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// A reconstructive and a discriminative network (DRAEM).
    TwoNetworks,
    /// An encoder and a decoder (NSA).
    Nsa,
}

impl Method {
    /// All methods: those of the paper's main tables, then the ablations in the order of its table 4.
    pub const ALL: [Self; 6] = [
        Self::Draem,
        Self::LinYan,
        Self::Nsa,
        Self::DraemNoRotation,
        Self::DraemOurSimulation,
        Self::SplitDraemSimulation,
    ];

    /// The name on the command line and in files: `draem`, `lin-yan`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draem => "draem",
            Self::LinYan => "lin-yan",
            Self::Nsa => "nsa",
            Self::DraemNoRotation => "draem-no-rotation",
            Self::DraemOurSimulation => "draem-our-simulation",
            Self::SplitDraemSimulation => "split-draem-simulation",
        }
    }

    /// What the method trains.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Draem
            | Self::LinYan
            | Self::DraemNoRotation
            | Self::DraemOurSimulation
            | Self::SplitDraemSimulation => Architecture::TwoNetworks,
            Self::Nsa => Architecture::Nsa,
        }
    }

    /// All names, separated by commas, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a method that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown method `{0}` (known: {known})", known = Method::names())]
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
        let fault = "padim".parse::<Method>().unwrap_err().to_string();
        assert!(
            fault.contains("padim") && fault.contains("split-draem-simulation"),
            "{fault}"
        );
    }
}
