//! Textures: a folder of images, or noise.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flawforge_augment::{ProceduralTextures, TextureBank, TextureSource};
use flawforge_datasets::{Limits, counted, load_textures, path_text, texture_files};

use super::{SourceError, full_path};

/// Where the textures of covering anomalies come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Textures {
    /// Made by noise functions; nothing to download.
    Procedural,
    /// A folder of images, also in subfolders.
    Folder(PathBuf),
}

impl Textures {
    /// The folder asked for; without one the DTD that was downloaded into `downloads`, and without that procedural textures.
    ///
    /// # Errors
    /// When the folder asked for is missing.
    pub fn resolve(asked: Option<&Path>, downloads: Option<&Path>) -> Result<Self, SourceError> {
        if let Some(dir) = asked {
            if !dir.is_dir() {
                let (path, option) = (dir.into(), "--textures");
                return Err(SourceError::MissingFolder { path, option });
            }
            return Ok(Self::Folder(dir.into()));
        }
        let downloaded = downloads.map(|downloads| downloads.join("dtd").join("images"));
        Ok(match downloaded.filter(|dir| dir.is_dir()) {
            Some(dir) => Self::Folder(dir),
            None => Self::Procedural,
        })
    }

    /// One phrase for results and tables.
    pub fn describe(&self) -> String {
        match self {
            Self::Procedural => "procedural".into(),
            Self::Folder(dir) => full_path(dir),
        }
    }

    /// The folder, if they come from one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Procedural => None,
            Self::Folder(dir) => Some(dir),
        }
    }

    /// Decodes the textures at `side` × `side` pixels.
    ///
    /// # Errors
    /// When an image cannot be decoded, or the folder holds none.
    pub fn load(&self, side: u32) -> Result<Arc<dyn TextureSource>, SourceError> {
        Ok(match self {
            Self::Procedural => Arc::new(ProceduralTextures::default()),
            Self::Folder(dir) => {
                let (files, inventory) = texture_files(dir)?;
                if let Some(passed) = inventory.line() {
                    let textures = counted(files.len(), "texture");
                    log::info!("{}: {textures}; passed over: {passed}", path_text(dir));
                }
                let images = load_textures(dir, side, side, &Limits::default())?;
                let bank = TextureBank::new(images).map_err(|source| SourceError::Textures {
                    path: dir.clone(),
                    source,
                })?;
                Arc::new(bank)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_asked_for_comes_before_the_download() {
        let dir = tempfile::tempdir().unwrap();
        let downloads = Some(dir.path());
        let resolve = |asked| Textures::resolve(asked, downloads);
        assert_eq!(resolve(None).unwrap(), Textures::Procedural);
        let dtd = dir.path().join("dtd/images");
        std::fs::create_dir_all(&dtd).unwrap();
        assert_eq!(resolve(None).unwrap(), Textures::Folder(dtd));
        let asked = resolve(Some(dir.path())).unwrap();
        assert_eq!(asked.folder(), Some(dir.path()));
        let missing = resolve(Some(&dir.path().join("no"))).unwrap_err().to_string();
        assert!(missing.contains("no such folder (--textures)"), "{missing}");
    }
}
