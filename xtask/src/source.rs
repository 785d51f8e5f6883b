//! Where a sweep's images, textures and selections come from, settled and checked before anything is trained.

use anyhow::{Context, Result, bail};
use flawforge::augment::{ProceduralTextures, Selection, Selections, TextureBank, TextureSource};
use flawforge::datasets::{self, Category, CategoryFiles, GOOD, Limits, Loading, TestFile, demo, load_rgb};
use rayon::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Seed of the demo images: fixed, so that every machine sees the same ones.
pub const DEMO_SEED: u64 = 0;

/// A source of categories.
#[derive(Clone, Debug)]
pub enum Data {
    /// The generated demo data.
    Demo,
    /// A folder of categories in MVTec layout.
    Root(PathBuf),
    /// One category's folder.
    Single(PathBuf),
}

impl Data {
    /// The folder asked for; without one the downloaded MVTec AD, and without that the demo data.
    ///
    /// # Errors
    /// When the folder asked for is missing or is no data set.
    pub fn resolve(asked: Option<&Path>, downloads: &Path) -> Result<Self> {
        let Some(dir) = asked else {
            let mvtec = downloads.join("mvtec-ad");
            return Ok(if mvtec.is_dir() {
                Self::Root(mvtec)
            } else {
                Self::Demo
            });
        };
        if !dir.is_dir() {
            bail!("{}: no such folder (--data)", dir.display());
        }
        let single = dir.join("train").is_dir() || dir.join("normal").is_dir();
        Ok(if single {
            Self::Single(dir.into())
        } else {
            Self::Root(dir.into())
        })
    }

    /// One phrase for results and tables.
    pub fn describe(&self) -> String {
        match self {
            Self::Demo => "generated demo data".into(),
            Self::Root(dir) | Self::Single(dir) => full_path(dir),
        }
    }

    /// The categories to run: those asked for, each checked, or all that are there.
    ///
    /// # Errors
    /// When a category asked for is not there, or none is.
    pub fn categories(&self, asked: &[String], paper_order: &[String]) -> Result<Vec<String>> {
        let mut known: Vec<String> = match self {
            Self::Demo => demo::CATEGORIES.iter().map(ToString::to_string).collect(),
            Self::Root(root) => datasets::categories(root)?,
            Self::Single(dir) => vec![folder_name(dir)?],
        };
        if known.is_empty() {
            bail!(
                "{}: holds no category (a folder with train/good or normal)",
                self.describe()
            );
        }
        for category in asked {
            if !known.contains(category) {
                bail!(
                    "unknown category {category:?} in {}; known: {}",
                    self.describe(),
                    known.join(", ")
                );
            }
        }
        if !asked.is_empty() {
            return Ok(asked.to_vec());
        }
        let place = |c: &String| paper_order.iter().position(|p| p == c).unwrap_or(usize::MAX);
        known.sort_by_key(|c| (place(c), c.clone()));
        Ok(known)
    }

    /// Decodes one category as a method wants it.
    ///
    /// # Errors
    /// Every fault of the category's files, one line each.
    pub fn load(&self, category: &str, loading: &Loading) -> Result<Category> {
        let Some(files) = self.files(category)? else {
            return Ok(demo::category(category, loading, DEMO_SEED)?);
        };
        let normal = files.test.iter().filter(|test| test.defect == GOOD).count();
        if normal == 0 || normal == files.test.len() {
            bail!(
                "{}: scores need test images of both sorts, normal (test/good) and defective",
                self.folder(category).display()
            );
        }
        Ok(Category::load(&files, loading, &Limits::default())?)
    }

    /// As [`load`](Self::load), for work that needs no scores: any test images will do.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read(&self, category: &str, loading: &Loading) -> Result<Category> {
        Ok(match self.files(category)? {
            Some(files) => Category::load(&files, loading, &Limits::default())?,
            None => demo::category(category, loading, DEMO_SEED)?,
        })
    }

    /// Width and height of the files of a category's test images, in order; `None` for generated ones, which have no files.
    ///
    /// # Errors
    /// When a file cannot be decoded.
    pub fn test_sizes(&self, category: &str) -> Result<Option<Vec<(u32, u32)>>> {
        let size = |file: &TestFile| Ok(load_rgb(&file.path, &Limits::default())?.dimensions());
        self.files(category)?
            .map(|files| files.test.par_iter().map(size).collect())
            .transpose()
    }

    /// A category's files; `None` for generated ones.
    fn files(&self, category: &str) -> Result<Option<CategoryFiles>> {
        if matches!(self, Self::Demo) {
            return Ok(None);
        }
        let mut files = CategoryFiles::discover(&self.folder(category))?;
        files.name = category.into();
        Ok(Some(files))
    }

    fn folder(&self, category: &str) -> PathBuf {
        match self {
            Self::Demo => PathBuf::new(),
            Self::Root(root) => root.join(category),
            Self::Single(dir) => dir.clone(),
        }
    }

    /// The selections to look categories up in: the user's file first, then those of the data set.
    ///
    /// # Errors
    /// When a selection file cannot be read or parsed.
    pub fn selections(&self, file: Option<&Path>) -> Result<Vec<Selections>> {
        let mut found = Vec::new();
        if let Some(path) = file {
            let text =
                fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
            found.push(Selections::from_toml(&text).with_context(|| path.display().to_string())?);
        }
        if matches!(self, Self::Demo) {
            found.push(Selections::from_toml(demo::selections_toml()).context("the demo selection")?);
        }
        found.push(Selections::builtin());
        Ok(found)
    }
}

/// The name of the last folder of a path, also for `.` and paths that end in `..`.
fn folder_name(dir: &Path) -> Result<String> {
    let full = dir
        .canonicalize()
        .with_context(|| format!("{}: cannot be opened", dir.display()))?;
    let name = full
        .file_name()
        .with_context(|| format!("{}: has no name", dir.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// One spelling for one folder, however it was typed.
fn full_path(dir: &Path) -> String {
    dir.canonicalize()
        .unwrap_or_else(|_| dir.into())
        .display()
        .to_string()
}

/// The first selection that names the category.
pub fn select<'a>(selections: &'a [Selections], category: &str) -> Option<&'a Selection> {
    selections.iter().find_map(|s| s.get(category))
}

/// Textures: a folder, or the procedural ones.
#[derive(Clone, Debug)]
pub enum Textures {
    /// Made by noise functions; nothing to download.
    Procedural,
    /// A folder of images, also in subfolders.
    Folder(PathBuf),
}

impl Textures {
    /// The folder asked for; without one the downloaded DTD, and without that procedural textures.
    ///
    /// # Errors
    /// When the folder asked for is missing.
    pub fn resolve(asked: Option<&Path>, downloads: &Path) -> Result<Self> {
        let downloaded = downloads.join("dtd").join("images");
        match asked {
            Some(dir) if !dir.is_dir() => bail!("{}: no such folder (--textures)", dir.display()),
            Some(dir) => Ok(Self::Folder(dir.into())),
            None if downloaded.is_dir() => Ok(Self::Folder(downloaded)),
            None => Ok(Self::Procedural),
        }
    }

    /// One phrase for results and tables.
    pub fn describe(&self) -> String {
        match self {
            Self::Procedural => "procedural".into(),
            Self::Folder(dir) => full_path(dir),
        }
    }

    /// Decodes the textures at the size of the images.
    ///
    /// # Errors
    /// When an image cannot be decoded or there is none.
    pub fn load(&self, size: u32) -> Result<Arc<dyn TextureSource>> {
        Ok(match self {
            Self::Procedural => Arc::new(ProceduralTextures::default()),
            Self::Folder(dir) => {
                let images = datasets::load_textures(dir, size, size, &Limits::default())?;
                Arc::new(TextureBank::new(images).with_context(|| dir.display().to_string())?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_anything_downloaded_the_demo_runs() {
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(Data::resolve(None, empty.path()).unwrap(), Data::Demo));
        assert!(matches!(
            Textures::resolve(None, empty.path()).unwrap(),
            Textures::Procedural
        ));
        fs::create_dir_all(empty.path().join("mvtec-ad/bottle/train/good")).unwrap();
        fs::create_dir_all(empty.path().join("dtd/images")).unwrap();
        assert!(matches!(
            Data::resolve(None, empty.path()).unwrap(),
            Data::Root(_)
        ));
        assert!(matches!(
            Textures::resolve(None, empty.path()).unwrap(),
            Textures::Folder(_)
        ));
    }

    #[test]
    fn faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Data::resolve(Some(&dir.path().join("no")), dir.path())
            .unwrap_err()
            .to_string();
        assert!(missing.contains("no such folder"), "{missing}");
        let unknown = Data::Demo
            .categories(&["botle".into()], &[])
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("unknown category \"botle\"") && unknown.contains(demo::CATEGORIES[0]));
    }

    #[test]
    fn a_single_category_folder_is_a_data_set() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("washers");
        fs::create_dir_all(part.join("normal")).unwrap();
        let data = Data::resolve(Some(&part), dir.path()).unwrap();
        assert!(matches!(data, Data::Single(_)));
        assert_eq!(data.categories(&[], &[]).unwrap(), ["washers"]);
    }

    #[test]
    fn the_paper_gives_the_order() {
        let order = ["weave".to_string()];
        assert!(demo::CATEGORIES.contains(&"weave"));
        assert_eq!(Data::Demo.categories(&[], &order).unwrap()[0], "weave");
    }
}
