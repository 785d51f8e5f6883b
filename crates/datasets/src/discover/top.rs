//! The folder of a category from above: what its entries say about its layout.

use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::inventory::Passed;
use crate::names::{Meaning, legible, legible_path, meaning_of};
use crate::pairing::beside;
use crate::walk::{Entry, entries};

/// The entries of a folder.
pub(super) struct Top {
    pub(super) dir: PathBuf,
    /// The images directly in it.
    pub(super) images: Vec<PathBuf>,
    /// The folders in it, with what their names mean.
    pub(super) folders: Vec<(PathBuf, Option<Meaning>)>,
    /// What is neither.
    pub(super) passed: Vec<Passed>,
}

/// What a folder is.
pub(super) enum Kind {
    /// VisA, with the folder that holds `Images`.
    Visa(PathBuf),
    /// Folders with names that say what they hold.
    Named,
    /// Images with their masks beside them, in it or in its folders.
    Beside,
    /// Images that no name says anything about.
    Flat,
    /// A folder of these categories.
    Categories(Vec<String>),
    /// Nothing that is known; what was found instead.
    Unknown(String),
}

impl Top {
    pub(super) fn read(dir: &Path) -> Result<Self, DatasetError> {
        Self::read_for(dir, "the folder of a category")
    }

    pub(super) fn read_for(dir: &Path, needed: &'static str) -> Result<Self, DatasetError> {
        let mut top = Self {
            dir: dir.to_path_buf(),
            images: Vec::new(),
            folders: Vec::new(),
            passed: Vec::new(),
        };
        for entry in entries(dir, needed)? {
            match entry {
                Entry::Image(path) => top.images.push(path),
                Entry::Folder(path) => {
                    let meaning = meaning_of(&path);
                    top.folders.push((path, meaning));
                }
                Entry::Other(other) => top.passed.push(other),
            }
        }
        Ok(top)
    }

    /// The folders whose names mean this.
    pub(super) fn of(&self, wanted: Meaning) -> Vec<PathBuf> {
        self.folders
            .iter()
            .filter(|(_, meaning)| *meaning == Some(wanted))
            .map(|(path, _)| path.clone())
            .collect()
    }

    pub(super) fn has(&self, wanted: Meaning) -> bool {
        self.folders.iter().any(|(_, meaning)| *meaning == Some(wanted))
    }

    pub(super) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// Whether images directly in the folder are the normal ones beside folders of defective ones.
    pub(super) fn images_are_normal(&self) -> bool {
        self.has_images()
            && self.has(Meaning::Defective)
            && !self.has(Meaning::Train)
            && !self.has(Meaning::Normal)
    }

    /// Which layout the folder has.
    pub(super) fn kind(&self) -> Result<Kind, DatasetError> {
        if let Some(base) = self.visa() {
            return Ok(Kind::Visa(base));
        }
        if self.is_named() {
            return Ok(Kind::Named);
        }
        if self.has_images() {
            let with_masks = is_beside(&self.images);
            return Ok(if with_masks { Kind::Beside } else { Kind::Flat });
        }
        let below: Vec<Self> = self
            .folders
            .iter()
            .map(|(path, _)| Self::read(path))
            .collect::<Result<_, _>>()?;
        let names = self.categories();
        if !names.is_empty() {
            return Ok(Kind::Categories(names));
        }
        let mut holding = below.iter().filter(|folder| folder.has_images()).peekable();
        if holding.peek().is_some() && holding.all(|folder| is_beside(&folder.images)) {
            return Ok(Kind::Beside);
        }
        // Images in folders without a name of ours are normal, but not in whatever lies above a data set.
        if let Some(deeper) = self.folders.iter().find_map(|(path, _)| named_below(path)) {
            let deeper = deeper.strip_prefix(&self.dir).unwrap_or(&deeper);
            return Ok(Kind::Unknown(format!(
                "a data set further down ({})",
                legible_path(deeper)
            )));
        }
        Ok(if self.folders.iter().any(|(path, _)| holds_images(path)) {
            Kind::Flat
        } else {
            Kind::Unknown(self.found())
        })
    }

    /// The names of the folders that are categories by the names of their folders.
    pub(super) fn categories(&self) -> Vec<String> {
        let is_category = |path: &&PathBuf| {
            Self::read(path)
                .is_ok_and(|below| below.visa().is_some() || below.is_named() || below.is_kolektor())
        };
        let folders = self.folders.iter().map(|(path, _)| path);
        folders
            .filter(is_category)
            .map(|path| path.file_name().map(legible).unwrap_or_default())
            .collect()
    }

    fn is_named(&self) -> bool {
        use Meaning::{Defective, Normal, NormalTest, Test, Train};
        [Train, Test, Normal, NormalTest, Defective]
            .into_iter()
            .any(|meaning| self.has(meaning))
    }

    /// Folders of images with masks beside them: a whole KolektorSDD. One such folder alone may be part of it.
    fn is_kolektor(&self) -> bool {
        let below: Vec<Self> = self
            .folders
            .iter()
            .filter_map(|(path, _)| Self::read(path).ok())
            .collect();
        let mut holding = below.iter().filter(|folder| folder.has_images()).peekable();
        !self.has_images() && holding.peek().is_some() && holding.all(|folder| is_beside(&folder.images))
    }

    /// The folder that holds `Images` with folders of known names: this one, or `Data` in it.
    fn visa(&self) -> Option<PathBuf> {
        let holds = |dir: &Path| {
            let images = child(dir, "images")?;
            let below = Self::read(&images).ok()?;
            let known = below.has(Meaning::Normal) || below.has(Meaning::Defective);
            known.then(|| dir.to_path_buf())
        };
        holds(&self.dir).or_else(|| holds(&child(&self.dir, "data")?))
    }

    /// What was found, for a person whose layout is not known.
    fn found(&self) -> String {
        let names: Vec<String> = self
            .folders
            .iter()
            .take(5)
            .map(|(path, _)| format!("{}/", path.file_name().map(legible).unwrap_or_default()))
            .collect();
        match (names.is_empty(), self.passed.is_empty()) {
            (false, _) => names.join(", "),
            (true, false) => "files of other kinds".to_owned(),
            (true, true) => "nothing".to_owned(),
        }
    }
}

/// A folder's folder of this name, in any case.
pub(super) fn child(dir: &Path, name: &str) -> Option<PathBuf> {
    let exact = dir.join(name);
    if exact.is_dir() {
        return Some(exact);
    }
    let folders = crate::files::folders(dir, "").ok()?;
    folders
        .into_iter()
        .find(|path| crate::files::name(path).to_lowercase() == name.to_lowercase())
}

/// Whether at least half of the images have a mask beside them, so that the masks can be taken for labels.
pub(super) fn is_beside(images: &[PathBuf]) -> bool {
    let found = beside(images.to_vec());
    let masked = found.iter().filter(|(_, mask)| mask.is_some()).count();
    masked > 0 && 2 * masked >= found.len()
}

/// Whether there is an image in a folder or below; links to folders are not followed.
fn holds_images(dir: &Path) -> bool {
    let listed = entries(dir, "").unwrap_or_default();
    listed.into_iter().any(|entry| match entry {
        Entry::Image(_) => true,
        Entry::Folder(path) => !path.is_symlink() && holds_images(&path),
        Entry::Other(_) => false,
    })
}

/// A folder somewhere below whose name says what it holds; links are not followed.
fn named_below(dir: &Path) -> Option<PathBuf> {
    let folders = crate::files::folders(dir, "").ok()?;
    let folders: Vec<PathBuf> = folders.into_iter().filter(|path| !path.is_symlink()).collect();
    let named = folders.iter().find(|path| meaning_of(path).is_some());
    named
        .cloned()
        .or_else(|| folders.iter().find_map(|path| named_below(path)))
}
