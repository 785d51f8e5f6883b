//! Images: the generated demo data, a folder of categories, or the folder of one.

use std::path::{Path, PathBuf};

use flawforge_datasets::{
    Category, CategoryFiles, DatasetError, GOOD, Limits, Loading, TestFile, categories, demo, picture_size,
};
use rayon::prelude::*;

use super::{SourceError, full_path, mvtec};

/// Seed of the demo images: fixed, so that every machine and every command sees the same ones.
pub const DEMO_SEED: u64 = 0;

/// A source of categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// The generated demo data.
    Demo,
    /// A folder of categories, each in MVTec layout or a plain folder.
    Root(PathBuf),
    /// One category's folder.
    Single(PathBuf),
}

impl Images {
    /// The folder asked for; without one the MVTec AD that was downloaded into `downloads`, and without that the demo data.
    ///
    /// # Errors
    /// When the folder asked for is missing.
    pub fn resolve(asked: Option<&Path>, downloads: Option<&Path>) -> Result<Self, SourceError> {
        let Some(dir) = asked else {
            let mvtec = downloads.map(|downloads| downloads.join("mvtec-ad"));
            return Ok(match mvtec.filter(|dir| dir.is_dir()) {
                Some(dir) => Self::Root(dir),
                None => Self::Demo,
            });
        };
        if !dir.is_dir() {
            let (path, option) = (dir.into(), "--data");
            return Err(SourceError::MissingFolder { path, option });
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

    /// The categories to work on: those asked for, each checked, or all that are there. All come in the order of `first`,
    /// then those that it does not name by their names.
    ///
    /// # Errors
    /// When a category asked for is not there, or there is no category at all.
    pub fn categories(&self, asked: &[String], first: &[String]) -> Result<Vec<String>, SourceError> {
        let mut known: Vec<String> = match self {
            Self::Demo => demo::CATEGORIES.iter().map(ToString::to_string).collect(),
            Self::Root(root) => categories(root)?,
            Self::Single(dir) if !dir.is_dir() => {
                let (path, needed) = (dir.clone(), "the folder of a category");
                return Err(DatasetError::MissingFolder { path, needed }.into());
            }
            Self::Single(dir) => vec![folder_name(dir)?],
        };
        for category in asked {
            if !known.contains(category) {
                return Err(SourceError::UnknownCategory {
                    name: category.clone(),
                    place: self.describe(),
                    known: known.join(", "),
                });
            }
        }
        if !asked.is_empty() {
            return Ok(asked.to_vec());
        }
        let place = |c: &String| first.iter().position(|p| p == c).unwrap_or(usize::MAX);
        known.sort_by_key(|c| (place(c), c.clone()));
        Ok(known)
    }

    /// Whether a category is known to be MVTec AD's of that name, by its layout and its defect types: then the facts about
    /// MVTec AD serve it (selections, constants of NSA, the numbers of the papers).
    pub fn is_mvtec(&self, category: &str) -> bool {
        self.folder(category)
            .is_some_and(|dir| mvtec::is_category(&dir, category))
    }

    /// Decodes one category as a method wants it.
    ///
    /// # Errors
    /// Every error of the category's files, one line each.
    pub fn load(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        Ok(match self.files(category)? {
            Some(files) => Category::load(&files, loading, &Limits::default())?,
            None => demo::category(category, loading, DEMO_SEED)?,
        })
    }

    /// As [`load`](Self::load), for scores, which need both normal and defective test images.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`SourceError::OneSort`], before anything is decoded.
    pub fn load_to_score(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        if let Some(files) = self.files(category)? {
            let normal = files.test.iter().filter(|test| test.defect == GOOD).count();
            if normal == 0 || normal == files.test.len() {
                let path = self.folder(category).unwrap_or_default();
                return Err(SourceError::OneSort { path });
            }
        }
        self.load(category, loading)
    }

    /// The normal images to train on alone. Test images are not opened, and there are none in the category.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_normals(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        let Some(mut files) = self.files(category)? else {
            let mut generated = demo::category(category, loading, DEMO_SEED)?;
            generated.test.clear();
            return Ok(generated);
        };
        files.test.clear();
        Ok(Category::load(&files, loading, &Limits::default())?)
    }

    /// The files of a category's test images, in their order; `None` for generated ones, which have no files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn test_files(&self, category: &str) -> Result<Option<Vec<TestFile>>, SourceError> {
        Ok(self.files(category)?.map(|files| files.test))
    }

    /// Width and height in pixels of the files of a category's test images, in order; `None` for generated ones, which have
    /// no files.
    ///
    /// # Errors
    /// When a file cannot be decoded.
    pub fn test_sizes(&self, category: &str) -> Result<Option<Vec<(u32, u32)>>, SourceError> {
        let size =
            |file: &TestFile| -> Result<_, DatasetError> { picture_size(&file.path, &Limits::default()) };
        let sizes = self
            .files(category)?
            .map(|files| files.test.par_iter().map(size).collect());
        Ok(sizes.transpose()?)
    }

    /// A category's files; `None` for generated ones.
    fn files(&self, category: &str) -> Result<Option<CategoryFiles>, SourceError> {
        let Some(dir) = self.folder(category) else {
            return Ok(None);
        };
        let mut files = CategoryFiles::discover(&dir)?;
        files.name = category.into();
        Ok(Some(files))
    }

    /// A category's folder; `None` for generated ones.
    fn folder(&self, category: &str) -> Option<PathBuf> {
        match self {
            Self::Demo => None,
            Self::Root(root) => Some(root.join(category)),
            Self::Single(dir) => Some(dir.clone()),
        }
    }
}

/// The name of the last folder of a path, also for `.` and for paths that end in `..`.
fn folder_name(dir: &Path) -> Result<String, SourceError> {
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    name(dir)
        .or_else(|| name(&dir.canonicalize().ok()?))
        .ok_or_else(|| SourceError::Nameless { path: dir.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn without_anything_downloaded_the_demo_runs() {
        let downloads = tempfile::tempdir().unwrap();
        let resolve = || Images::resolve(None, Some(downloads.path())).unwrap();
        assert_eq!(resolve(), Images::Demo);
        let mvtec = downloads.path().join("mvtec-ad");
        fs::create_dir_all(mvtec.join("bottle/train/good")).unwrap();
        assert_eq!(resolve(), Images::Root(mvtec));
    }

    #[test]
    fn errors_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Images::resolve(Some(&dir.path().join("no")), None)
            .unwrap_err()
            .to_string();
        assert!(missing.contains("no such folder"), "{missing}");
        let unknown = Images::Demo
            .categories(&["botle".into()], &[])
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("unknown category \"botle\"") && unknown.contains(demo::CATEGORIES[0]));
    }

    #[test]
    fn a_single_category_folder_is_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("washers");
        fs::create_dir_all(part.join("normal")).unwrap();
        for path in [part.clone(), part.join("normal/..")] {
            let images = Images::resolve(Some(&path), None).unwrap();
            assert_eq!(images, Images::Single(path));
            assert_eq!(images.categories(&[], &[]).unwrap(), ["washers"]);
        }
    }

    #[test]
    fn the_order_asked_for_comes_first() {
        let order = ["weave".to_string()];
        assert_eq!(
            Images::Demo.categories(&[], &order).unwrap(),
            ["weave", "connector", "gear", "leather"]
        );
    }

    #[test]
    fn normal_images_come_without_test_images() {
        let loading = Loading::opencv(32, 32);
        let gear = Images::Demo.load_normals("gear", &loading).unwrap();
        assert_eq!((gear.train.len(), gear.test.len()), (demo::TRAIN, 0));
        let dir = tempfile::tempdir().unwrap();
        for part in ["normal", "normal_test"] {
            fs::create_dir_all(dir.path().join(part)).unwrap();
        }
        image::RgbImage::new(8, 8)
            .save(dir.path().join("normal/0.png"))
            .unwrap();
        fs::write(dir.path().join("normal_test/0.png"), b"no picture").unwrap();
        let images = Images::Single(dir.path().into());
        assert_eq!(images.load_normals("part", &loading).unwrap().name, "part");
        assert!(images.load("part", &loading).is_err());
        let unscorable = images.load_to_score("part", &loading).unwrap_err();
        assert!(matches!(unscorable, SourceError::OneSort { .. }), "{unscorable}");
    }
}
