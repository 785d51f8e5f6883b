//! The kinds of anomaly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A kind of simulated anomaly (Lin & Yan). Text form, also in serde: `transparent`, `opaque`,
/// `near-distribution`.
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
}

impl Kind {
    /// Every kind, in a fixed order.
    pub const ALL: [Kind; 3] = [Kind::Transparent, Kind::Opaque, Kind::NearDistribution];

    /// The text form.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Transparent => "transparent",
            Kind::Opaque => "opaque",
            Kind::NearDistribution => "near-distribution",
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
#[error("unknown kind of anomaly {0:?}; known are transparent, opaque, near-distribution")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Kind::ALL
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
        for kind in Kind::ALL {
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
        for kind in Kind::ALL {
            let text = toml::to_string(&Holder { kind }).unwrap();
            assert_eq!(text.trim(), format!("kind = \"{kind}\""));
            assert_eq!(toml::from_str::<Holder>(&text).unwrap(), Holder { kind });
        }
    }
}
