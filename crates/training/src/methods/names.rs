//! The names of methods.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::Method;

/// Makes [`Method`] of a table with a row a method: docs, variant, name in texts.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)+) => {
        /// A method, or an ablation of one: a name for a set of default settings (see [`Experiment::new`](crate::Experiment::new)).
        /// Its text form, also in serde, is its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $variant,)+
            /// A method of another program, made by [`Method::custom`].
            Custom(&'static str),
        }

        impl Method {
            /// All methods of the house: those of the paper's main tables, then the ablations in the order of its table 4.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name on the command line and in files: `draem`, `lin-yan`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Custom(name) => name,
                }
            }
        }
    };
}

/// Names that [`Method::custom`] was given.
static CUSTOM: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

impl Method {
    /// A method of your own program, by a name in lower case with hyphens. From then on the name can be read back from files.
    ///
    /// # Errors
    /// A name of a method of the house, or one with other characters than `a-z`, `0-9` and hyphens.
    pub fn custom(name: &str) -> Result<Self, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(NameError::Characters(name.to_owned()));
        }
        if Self::ALL.iter().any(|method| method.name() == name) {
            return Err(NameError::Taken(name.to_owned()));
        }
        // A list of names is in order whatever a thread that panicked did to it.
        let mut known = CUSTOM.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(&known) = known.iter().find(|known| **known == name) {
            return Ok(Self::Custom(known));
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        known.push(name);
        Ok(Self::Custom(name))
    }

    /// All names of the house, separated by commas, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|method| method.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a name cannot be that of a custom method.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// It has characters that file names and tables should not have.
    #[error("`{0}` is not a name of lower-case letters, digits and hyphens")]
    Characters(String),
    /// The house has a method of this name.
    #[error("`{0}` is already a method of flawforge")]
    Taken(String),
}

/// The name of a method that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown method `{}` (known: {known})", .0.escape_debug(), known = Method::names())]
pub struct UnknownMethod(pub String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        if let Some(&method) = Self::ALL.iter().find(|method| method.name() == text) {
            return Ok(method);
        }
        let known = CUSTOM.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let custom = known.iter().find(|name| **name == text);
        custom
            .map(|name| Self::Custom(name))
            .ok_or_else(|| UnknownMethod(text.to_owned()))
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for &method in Method::ALL {
            assert_eq!(method.to_string().parse::<Method>(), Ok(method));
            let text = serde_json::to_string(&method).unwrap();
            assert_eq!(text, format!("\"{method}\""));
            assert_eq!(serde_json::from_str::<Method>(&text).unwrap(), method);
        }
        let torn = "lin-y\n".parse::<Method>().unwrap_err().to_string();
        assert_eq!(torn.lines().count(), 1, "{torn}");
        let error = "padim".parse::<Method>().unwrap_err().to_string();
        assert!(
            error.contains("padim") && error.contains("split-draem-simulation"),
            "{error}"
        );
    }

    #[test]
    fn a_custom_method_is_known_by_its_name_once_it_was_made() {
        assert!("my-very-own".parse::<Method>().is_err());
        let method = Method::custom("my-very-own").unwrap();
        assert_eq!(Method::custom("my-very-own"), Ok(method));
        assert_eq!("my-very-own".parse::<Method>(), Ok(method));
        assert_eq!(Method::custom("nsa"), Err(NameError::Taken("nsa".into())));
        assert!(Method::custom("a/b").is_err() && Method::custom("").is_err());
    }
}
