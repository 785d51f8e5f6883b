//! Weights of pretrained networks: which there are, where they are kept, and how they are fetched.
//!
//! ```text
//! data/weights.toml ──> licence shown and accepted ──> Python package by name and version (or a file fetched by hand)
//!                            ──> SHA-256 ──> read without running anything ──> FOLDER/NAME.safetensors
//! ```
//!
//! All commands look for them in one folder, that of the user's data ([`folder`]).

mod error;
mod install;
mod pip;

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde::Deserialize;

pub use error::WeightsError;
pub use install::{from_file, from_package};

/// The variable that names another folder for weights.
pub const FOLDER_VARIABLE: &str = "FLAWFORGE_WEIGHTS";

/// Weights that are published, and how they are recognised.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// One line for people.
    pub title: String,
    /// The Python package that ships them.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The file of weights in the package.
    pub member: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of the tensors ([`import::digest`](crate::models::import::digest)), whatever file holds them.
    pub tensors: String,
    /// The page to read about them.
    pub page: String,
    /// The licence in short, several lines.
    pub licence: String,
}

/// The weights that can be fetched, by the name of their network.
///
/// # Errors
/// None for the shipped file, which is tested.
pub fn catalogue() -> Result<BTreeMap<String, Published>, WeightsError> {
    toml::from_str(include_str!("../../data/weights.toml")).map_err(|fault| WeightsError::Catalogue {
        fault: fault.message().to_owned(),
    })
}

/// The weights of a network by its name.
///
/// # Errors
/// When there are none of that name.
pub fn published(name: &str) -> Result<Published, WeightsError> {
    let mut all = catalogue()?;
    all.remove(name).ok_or_else(|| WeightsError::Unknown {
        name: name.to_owned(),
        known: all.into_keys().collect::<Vec<_>>().join(", "),
    })
}

/// The folder of weights: what [`FOLDER_VARIABLE`] names, or else `flawforge/weights` in the user's data
/// (`$XDG_DATA_HOME`, `~/.local/share`, on Windows `%LOCALAPPDATA%`). `None` where the user has no home.
pub fn folder() -> Option<PathBuf> {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(folder) = named(FOLDER_VARIABLE) {
        return Some(folder.into());
    }
    let data = named("XDG_DATA_HOME")
        .or_else(|| named("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(named("HOME")?).join(".local/share")))?;
    Some(data.join("flawforge").join("weights"))
}

/// The file of a network's weights in the folder of weights, if it is there.
pub fn find(name: &str) -> Option<PathBuf> {
    let file = folder()?.join(format!("{name}.safetensors"));
    file.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_is_sound() {
        let all = catalogue().expect("parsed");
        assert_eq!(all.len(), 3);
        for (name, weights) in &all {
            let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(hex(&weights.sha256) && hex(&weights.tensors), "{name}");
            // A file's name ends in the first digits of its hash.
            assert!(
                weights
                    .member
                    .ends_with(&format!("{name}-{}.pth", &weights.sha256[..8]))
            );
            assert!(weights.licence.contains("Apache") && weights.page.starts_with("https://"));
        }
        let unknown = published("efficientnet-b0").expect_err("unknown").to_string();
        assert!(
            unknown.contains("efficientnet-lite0, efficientnet-lite1"),
            "{unknown}"
        );
    }
}
