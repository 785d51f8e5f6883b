//! Images: the generated demo data, a folder of categories, or the folder of one.

use std::path::{Path, PathBuf};

use flawforge_datasets::{
    Category, CategoryFiles, DatasetError, Limits, Loading, Purpose, categories, demo, is_category,
    picture_size, product_folder, read_folders,
};
use rayon::prelude::*;

use super::place::real_path;
use super::{SourceError, full_path, mvtec};

/// Seed of the demo images: fixed, so that every machine and every command sees the same ones.
pub const DEMO_SEED: u64 = 0;

/// A source of categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// The generated demo data.
    Demo,
    /// A folder of categories, each in one of the layouts of [`CategoryFiles::discover_for`].
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
        Ok(match is_category(dir)? {
            true => Self::Single(dir.into()),
            false => Self::Root(dir.into()),
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
        if matches!(self, Self::Demo) && !asked.is_empty() {
            known.extend(demo::LARGE.iter().map(ToString::to_string));
        }
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
        Ok(match self.files(category, Purpose::Both)? {
            Some(files) => Category::load(&files, loading, &Limits::default())?,
            None => demo::category(category, loading, DEMO_SEED)?,
        })
    }

    /// As [`load`](Self::load), for scores, which need both normal and defective test images.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`SourceError::OneSort`], before anything is decoded.
    pub fn load_to_score(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        let Some(files) = self.files(category, Purpose::Both)? else {
            return Ok(demo::category(category, loading, DEMO_SEED)?);
        };
        // A file that is missing may be why there is one sort alone.
        if !files.train_faults.is_empty() || !files.test_faults.is_empty() {
            return Ok(Category::load(&files, loading, &Limits::default())?);
        }
        let (defective, _) = files.masked();
        if defective == 0 || defective == files.test.len() {
            let path = self.folder(category).unwrap_or_default();
            return Err(SourceError::OneSort { path });
        }
        Ok(Category::load(&files, loading, &Limits::default())?)
    }

    /// What of a category's folder is not used, and what was assumed about it, in one line; `None` if there is nothing to say.
    ///
    /// # Errors
    /// As [`CategoryFiles::discover_for`].
    pub fn passed_over(&self, category: &str) -> Result<Option<String>, SourceError> {
        let Some(files) = self.files(category, Purpose::Both)? else {
            return Ok(None);
        };
        let mut said: Vec<String> = files
            .inventory
            .line()
            .map(|line| format!("passed over: {line}"))
            .into_iter()
            .collect();
        let (defective, masked) = files.masked();
        match masked {
            0 if defective > 0 => said.push("no masks, so no pixel figures".to_owned()),
            some if some < defective => said.push(format!(
                "{some} of {defective} defective images have masks: pixel figures are on these and the normal ones"
            )),
            _ => {}
        }
        said.extend(files.inventory.assumed);
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }

    /// The normal images to train on alone. Test images are not opened, and there are none in the category.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_normals(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        let Some(files) = self.files(category, Purpose::Training)? else {
            let mut generated = demo::category(category, loading, DEMO_SEED)?;
            generated.test.clear();
            return Ok(generated);
        };
        Ok(Category::load_normals(&files, loading, &Limits::default())?)
    }

    /// The test images alone. Training images are not opened, and there are none in the category.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_tests(&self, category: &str, loading: &Loading) -> Result<Category, SourceError> {
        let Some(files) = self.files(category, Purpose::Testing)? else {
            let mut generated = demo::category(category, loading, DEMO_SEED)?;
            generated.train.clear();
            return Ok(generated);
        };
        Ok(Category::load_tests(&files, loading, &Limits::default())?)
    }

    /// Refuses an output that lies in a folder from which images of a category are read: it would become input.
    ///
    /// # Errors
    /// [`SourceError::OutputInInput`]; a folder that cannot be read.
    pub fn check_output(&self, category: &str, output: &Path) -> Result<(), SourceError> {
        let Some(dir) = self.folder(category) else {
            return Ok(());
        };
        let path = real_path(output);
        for folder in read_folders(&dir)? {
            if path.starts_with(real_path(&folder)) {
                let (output, folder) = (output.into(), folder);
                return Err(SourceError::OutputInInput { output, folder });
            }
        }
        Ok(())
    }

    /// A category's files; `None` for generated ones. Files that are not wanted are not opened.
    ///
    /// # Errors
    /// As [`CategoryFiles::discover_for`].
    pub fn files(&self, category: &str, purpose: Purpose) -> Result<Option<CategoryFiles>, SourceError> {
        let Some(dir) = self.folder(category) else {
            return Ok(None);
        };
        let mut files = CategoryFiles::discover_for(&dir, purpose, &Limits::default())?;
        files.name = category.into();
        Ok(Some(files))
    }

    /// Width and height of the files of a category's normal images; those that cannot be read are left out, and told when they are
    /// loaded. Of generated images one size.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub fn normal_sizes(&self, category: &str) -> Result<Vec<(u32, u32)>, SourceError> {
        let Some(files) = self.files(category, Purpose::Training)? else {
            return Ok(vec![demo::file_size(category)]);
        };
        let limits = Limits::default();
        let sizes = files
            .train
            .par_iter()
            .map(|file| picture_size(&file.path, &limits));
        Ok(sizes.filter_map(Result::ok).collect())
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

/// The name of the product that a folder belongs to: of its last part, or of the folder above `train/` or `test/`. Also for `.`
/// and for paths that end in `..`.
fn folder_name(dir: &Path) -> Result<String, SourceError> {
    let name = |path: &Path| Some(product_folder(path).file_name()?.to_string_lossy().into_owned());
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.into());
    dir.file_name()
        .and_then(|_| name(&whole))
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
        // A part of a published layout belongs to the product above it.
        let good = dir.path().join("bottle/train/good");
        fs::create_dir_all(&good).unwrap();
        for path in [good.as_path(), &good.join(".."), &good.join(".")] {
            let named = Images::Single(path.to_path_buf()).categories(&[], &[]).unwrap();
            assert_eq!(named, ["bottle"], "{}", path.display());
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

    #[test]
    fn outputs_stay_out_of_folders_that_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("part/normal")).unwrap();
        image::RgbImage::new(8, 8).save(at("part/normal/0.png")).unwrap();
        let images = Images::Single(at("part"));
        let refused = |path: &str| images.check_output("part", &at(path)).is_err();
        for path in [
            "part/normal",
            "part/normal/sheet.png",
            "part/normal/new/run",
            "part/../part/normal/x",
        ] {
            assert!(refused(path), "{path}");
        }
        for path in ["part/run", "part/sheet.png", "runs/normal", "part/normal/../run"] {
            assert!(!refused(path), "{path}");
        }
        let flat = Images::Single(at("part/normal"));
        let said = flat
            .check_output("normal", &at("part/normal/run"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("images are read from"), "{said}");
        assert!(Images::Demo.check_output("gear", &at("part/normal")).is_ok());
    }

    #[test]
    fn masks_that_are_missing_are_said() {
        let dir = tempfile::tempdir().unwrap();
        let picture = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::new(8, 8).save(path).unwrap();
        };
        for path in [
            "train/good/0.png",
            "test/good/0.png",
            "test/dent/0.png",
            "test/dent/1.png",
        ] {
            picture(path);
        }
        let images = Images::Single(dir.path().into());
        let said = || images.passed_over("part").unwrap();
        assert_eq!(said().as_deref(), Some("no masks, so no pixel figures"));
        picture("ground_truth/dent/0.png");
        assert!(said().unwrap().starts_with("1 of 2 defective images have masks"));
        picture("ground_truth/dent/1.png");
        assert_eq!(said(), None);
        assert_eq!(Images::Demo.passed_over("gear").unwrap(), None);
        // A fault of the files is told before what it may cause.
        fs::remove_dir_all(dir.path().join("test/dent")).unwrap();
        let fault = images.load_to_score("part", &Loading::opencv(8, 8)).unwrap_err();
        assert!(fault.to_string().contains("mask without an image"), "{fault}");
    }

    #[test]
    fn test_images_come_without_training_images() {
        let dir = tempfile::tempdir().unwrap();
        for part in ["test/good", "test/dent"] {
            fs::create_dir_all(dir.path().join(part)).unwrap();
            image::RgbImage::new(8, 8)
                .save(dir.path().join(part).join("0.png"))
                .unwrap();
        }
        let loading = Loading::opencv(8, 8);
        let images = Images::Single(dir.path().into());
        let category = images.load_tests("part", &loading).unwrap();
        assert_eq!((category.train.len(), category.test.len()), (0, 2));
        assert!(images.load_normals("part", &loading).is_err());
        let gear = Images::Demo.load_tests("gear", &Loading::opencv(32, 32)).unwrap();
        assert!(gear.train.is_empty() && !gear.test.is_empty());
    }
}
