//! The kinds of anomaly, and the table of those that the house can make.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::OnFailure;

/// The table of kinds: a row for each that a selection or a settings file can name. Everything that differs from kind to
/// kind follows from it: [`Kind`], its names, [`Constants`](crate::Constants), and how
/// [`SimulationSettings`](crate::SimulationSettings) make a [`Simulation`](crate::Simulation).
///
/// A row holds
/// * the docs and the name of the variant,
/// * the name in texts,
/// * the type of the constants, which implements [`KindConstants`](crate::settings::KindConstants),
/// * what becomes of a sample when nothing can be made ([`OnFailure`]),
/// * the colors of what is made: `Foreign` ones, which a gray product does not have, or the image's `Own`.
macro_rules! kinds {
    ($define:ident) => {
        $define! {
            /// A foreign texture shines through (eq. 1).
            Transparent, "transparent", TransparentSettings, Clean, Foreign;
            /// A foreign texture covers the surface (eq. 2).
            Opaque, "opaque", OpaqueSettings, Clean, Foreign;
            /// The surface itself is distorted locally (NDAA, fig. 2).
            NearDistribution, "near-distribution", NearDistribution, Another, Own;
            /// A piece of the image pasted elsewhere (CutPaste).
            CutPaste, "cut-paste", CutPaste, Another, Own;
            /// A patch of a normal image blended in by its gradients (NSA).
            Nsa, "nsa", NsaSettings, Another, Own;
            /// A rectangle erased (CutOut, random erasing).
            CutOut, "cut-out", CutOut, Another, Foreign;
            /// A patch of a normal image that shines through in place (foreign patch interpolation).
            ForeignPatch, "foreign-patch", ForeignPatchSettings, Another, Own;
            /// Material of the image itself that lies at a wrong place, or what lies beside a part instead of it.
            Relocated, "relocated", Relocated, Another, Own;
        }
    };
}
pub(crate) use kinds;

macro_rules! define_kind {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $constants:ident, $on_failure:ident, $colors:ident;)*) => {
        /// A kind of simulated anomaly. Its text form, also in serde, is its [name](Self::name); underscores are read as
        /// hyphens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
            /// Anything else: made by a closure, or by one of several simulators.
            Other,
            /// A kind of a downstream program, by its name; made by [`Kind::custom`]. It is displayed and serialized by the
            /// name, but cannot be read back: no text parses to it.
            Custom(&'static str),
        }

        impl Kind {
            /// The kinds that the house can simulate, and a [`Selection`](crate::Selection) choose, in a fixed order.
            pub const ALL: [Kind; [$($name),*].len()] = [$(Kind::$kind),*];

            /// The text form: lower-case letters, digits and hyphens.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                    Kind::Other => OTHER,
                    Kind::Custom(name) => name,
                }
            }

            /// What becomes of a sample when a simulator of the house can make nothing.
            pub(crate) fn on_failure(self) -> OnFailure {
                match self {
                    $(Kind::$kind => OnFailure::$on_failure,)*
                    Kind::Other | Kind::Custom(_) => OnFailure::Another,
                }
            }

            /// Whether what is made may have colors that the image has not.
            pub(crate) fn has_foreign_colors(self) -> bool {
                match self {
                    $(Kind::$kind => matches!(Colors::$colors, Colors::Foreign),)*
                    Kind::Other | Kind::Custom(_) => false,
                }
            }
        }
    };
}
kinds!(define_kind);

const OTHER: &str = "other";

/// Names of [`Simulation`](crate::Simulation)'s random streams: a kind of the same name would draw the same numbers.
const RESERVED: [&str; 3] = ["rotation", "clean", "choice"];

/// Where the colors of an anomaly come from.
enum Colors {
    /// Drawn at random, or of a texture.
    Foreign,
    /// Of normal images.
    Own,
}

impl Kind {
    /// The three that Lin & Yan train with.
    pub const PAPER: [Kind; 3] = [Kind::Transparent, Kind::Opaque, Kind::NearDistribution];

    /// A kind of a downstream program, for its own simulators.
    ///
    /// ```
    /// use flawforge_augment::Kind;
    ///
    /// assert_eq!(Kind::custom("burn-mark")?.to_string(), "burn-mark");
    /// assert!(Kind::custom("opaque").is_err());
    /// # Ok::<(), flawforge_augment::CustomNameError>(())
    /// ```
    ///
    /// # Errors
    /// [`CustomNameError`] when the name is empty, holds anything but lower-case letters, digits and hyphens, or is taken.
    pub fn custom(name: &'static str) -> Result<Self, CustomNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let taken = name.parse::<Kind>().is_ok() || RESERVED.contains(&name);
        if name.is_empty() || !name.chars().all(allowed) || taken {
            return Err(CustomNameError(name));
        }
        Ok(Self::Custom(name))
    }

    /// Whether the house can simulate it: whether it is one of [`Kind::ALL`].
    pub fn is_selectable(self) -> bool {
        Self::ALL.contains(&self)
    }
}

/// A name that no [`Kind::Custom`] may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a custom kind cannot be called {0:?}: names are of lower-case letters, digits and hyphens, and differ from the house's \
     own ({known}, {reserved})", known = known(), reserved = RESERVED.join(", ")
)]
pub struct CustomNameError(pub &'static str);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown kind of anomaly {0:?}; known are {known}", known = known())]
pub struct UnknownKind(pub String);

/// The names of the house's kinds.
fn known() -> String {
    let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).chain([OTHER]).collect();
    names.join(", ")
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let name = text.replace('_', "-");
        Kind::ALL
            .into_iter()
            .chain([Kind::Other])
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Holder {
        kind: Kind,
    }

    #[test]
    fn text_and_back() {
        for kind in Kind::ALL.into_iter().chain([Kind::Other]) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(kind.to_string().replace('-', "_").parse(), Ok(kind));
        }
        assert_eq!(
            "bent".parse::<Kind>().unwrap_err().to_string(),
            "unknown kind of anomaly \"bent\"; known are transparent, opaque, near-distribution, cut-paste, nsa, cut-out, \
             foreign-patch, relocated, other"
        );
    }

    #[test]
    fn the_papers_come_first() {
        assert_eq!(Kind::ALL[..3], Kind::PAPER);
        assert!(Kind::ALL.is_sorted() && Kind::ALL.into_iter().all(|kind| kind < Kind::Other));
        assert!(!Kind::Other.is_selectable());
    }

    #[test]
    fn serde_uses_the_same_text() {
        for kind in Kind::ALL.into_iter().chain([Kind::Other]) {
            let text = toml::to_string(&Holder { kind }).unwrap();
            assert_eq!(text.trim(), format!("kind = \"{kind}\""));
            assert_eq!(toml::from_str::<Holder>(&text).unwrap(), Holder { kind });
        }
    }

    #[test]
    fn a_custom_kind_goes_by_its_name_and_is_not_read_back() {
        let kind = Kind::custom("burn-mark").unwrap();
        assert_eq!((kind.name(), kind.is_selectable()), ("burn-mark", false));
        let text = toml::to_string(&Holder { kind }).unwrap();
        assert_eq!(text.trim(), "kind = \"burn-mark\"");
        let error = toml::from_str::<Holder>(&text).unwrap_err().to_string();
        assert!(error.contains("unknown kind of anomaly \"burn-mark\""), "{error}");
        for taken in [
            "",
            "nsa",
            "other",
            "choice",
            "Burn",
            "burn mark",
            "near_distribution",
            "nsa#2",
        ] {
            assert_eq!(Kind::custom(taken), Err(CustomNameError(taken)));
        }
    }
}
