//! The kinds of anomaly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A kind of simulated anomaly. Text form, also in serde: `transparent`, `opaque`, `near-distribution`,
/// `cut-paste`, `nsa`, `cut-out`, `foreign-patch`, `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A foreign texture shines through (eq. 1).
    Transparent,
    /// A foreign texture covers the surface (eq. 2).
    Opaque,
    /// The surface itself is distorted locally (NDAA, fig. 2).
    NearDistribution,
    /// A piece of the image pasted elsewhere (CutPaste).
    CutPaste,
    /// A patch of a normal image blended in by its gradients (NSA).
    Nsa,
    /// A rectangle erased (CutOut, random erasing).
    CutOut,
    /// A patch of a normal image that shines through in place (foreign patch interpolation).
    ForeignPatch,
    /// Anything else: made by a closure, or by one of several simulators.
    Other,
}

impl Kind {
    /// The kinds that Lin & Yan train with and a [`Selection`](crate::Selection) chooses from, in a fixed order.
    pub const ALL: [Kind; 3] = [Kind::Transparent, Kind::Opaque, Kind::NearDistribution];

    /// Every kind that there is, those of [`Kind::ALL`] first.
    pub const EVERY: [Kind; 8] = [
        Kind::Transparent,
        Kind::Opaque,
        Kind::NearDistribution,
        Kind::CutPaste,
        Kind::Nsa,
        Kind::CutOut,
        Kind::ForeignPatch,
        Kind::Other,
    ];

    /// The text form.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Transparent => "transparent",
            Kind::Opaque => "opaque",
            Kind::NearDistribution => "near-distribution",
            Kind::CutPaste => "cut-paste",
            Kind::Nsa => "nsa",
            Kind::CutOut => "cut-out",
            Kind::ForeignPatch => "foreign-patch",
            Kind::Other => "other",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown kind of anomaly {0:?}; known are transparent, opaque, near-distribution, cut-paste, nsa, \
    cut-out, foreign-patch, other"
)]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Kind::EVERY
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for kind in Kind::EVERY {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "bent".parse::<Kind>().unwrap_err();
        assert!(error.to_string().contains("\"bent\""));
    }

    #[test]
    fn serde_uses_the_same_text() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Holder {
            kind: Kind,
        }
        for kind in Kind::EVERY {
            let text = toml::to_string(&Holder { kind }).unwrap();
            assert_eq!(text.trim(), format!("kind = \"{kind}\""));
            assert_eq!(toml::from_str::<Holder>(&text).unwrap(), Holder { kind });
        }
    }
}
