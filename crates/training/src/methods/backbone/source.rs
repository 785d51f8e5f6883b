//! Where the weights of a backbone come from, as asked for on a command line.

use std::fmt;
use std::path::{Path, PathBuf};

use flawforge_models::import;

use super::{Backbone, BackboneWeights, TextureTraining, Weights, train_on_textures};
use crate::error::{Result, TrainingError};

/// A source of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackboneSource {
    /// A file, safetensors or PyTorch's.
    File(PathBuf),
    /// Random ones.
    Random,
    /// Trained on a folder of textures, one folder a class, as DTD has it.
    Textures(PathBuf),
}

impl BackboneSource {
    /// What was asked for: a file, or an initialisation by name. Without either, the weights that were downloaded to
    /// `downloads`, and without these, random ones.
    ///
    /// # Errors
    /// Both a file and an initialisation, an unknown name, `textures` without a folder of textures.
    pub fn resolve(
        file: Option<&Path>,
        initialisation: Option<&str>,
        textures: Option<&Path>,
        downloads: Option<&Path>,
        backbone: Backbone,
    ) -> Result<Self> {
        let fault = |fault: &str| Err(TrainingError::setting("--backbone-init", fault));
        match (file, initialisation) {
            (Some(_), Some(_)) => fault("cannot be given together with --backbone"),
            (Some(file), None) => Ok(Self::File(file.into())),
            (None, Some("random")) => Ok(Self::Random),
            (None, Some("textures")) => match textures {
                Some(folder) => Ok(Self::Textures(folder.into())),
                None => fault("textures needs a folder of textures, one folder a class (--textures DIR)"),
            },
            (None, Some(_)) => fault("must be random or textures"),
            (None, None) => {
                let found = downloads.map(|folder| folder.join(format!("{}.safetensors", backbone.name())));
                Ok(found
                    .filter(|file| file.is_file())
                    .map_or(Self::Random, Self::File))
            }
        }
    }

    /// Reads or makes the weights; none for random ones, which every run makes by its seed. Those that are trained here are
    /// kept in `cache` and taken from there the next time.
    ///
    /// # Errors
    /// Files that cannot be read or are of another network, textures that cannot be learnt from.
    pub fn weights(&self, backbone: Backbone, cache: &Path) -> Result<Option<Weights>> {
        match self {
            Self::Random => Ok(None),
            Self::File(path) => Weights::read(path, backbone, BackboneWeights::Pretrained).map(Some),
            Self::Textures(folder) => {
                let settings = TextureTraining::default();
                let path = cache.join(format!("textures-{}.safetensors", settings.name(folder)));
                if path.is_file() {
                    return Weights::read(&path, settings.backbone, BackboneWeights::Textures).map(Some);
                }
                let weights = train_on_textures(folder, &settings)?;
                std::fs::create_dir_all(cache).map_err(TrainingError::io(cache))?;
                import::write_tensors(&weights.tensors, &path)?;
                Ok(Some(weights))
            }
        }
    }
}

impl fmt::Display for BackboneSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "weights {}", path.display()),
            Self::Random => f.write_str("random weights, no knowledge of images"),
            Self::Textures(path) => write!(f, "a small ResNet-18 trained here on {}", path.display()),
        }
    }
}
