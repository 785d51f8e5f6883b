//! What lies where: MVTec AD's folder layout and a plain folder, image paired with mask, all errors found at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{DatasetError, files};

/// The defect name of normal test images, as in MVTec AD.
pub const GOOD: &str = "good";

/// The defect name of images that lie directly in a plain folder's `defective/`.
const DEFECTIVE: &str = "defective";

/// The files of one category, paired and sorted, nothing decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryFiles {
    /// Name of the category: the folder's name.
    pub name: String,
    /// Normal images to train on, sorted by name; at least one.
    pub train: Vec<PathBuf>,
    /// Test images, sorted by defect type, then by name; may be empty.
    pub test: Vec<TestFile>,
}

/// One test image and where its ground truth is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    /// The image.
    pub path: PathBuf,
    /// Defect type; [`GOOD`] for a normal image.
    pub defect: String,
    /// The ground-truth mask. `None` for normal images, and for the defective ones of a plain folder without `masks/`.
    pub mask: Option<PathBuf>,
}

impl CategoryFiles {
    /// Finds the files of a category in one of two layouts.
    ///
    /// MVTec AD:
    /// ```text
    /// train/good/000.png          normal images to train on
    /// test/good/000.png           normal test images                                   (test/ may be absent)
    /// test/<defect>/000.png       defective test images
    /// ground_truth/<defect>/000_mask.png  (or 000.png) one mask for each of them
    /// ```
    /// Plain folder, where only `normal` is needed:
    /// ```text
    /// normal/a.jpg                normal images to train on
    /// normal_test/b.jpg           normal test images
    /// defective/c.jpg             defective test images, of the type "defective",
    /// defective/<defect>/d.jpg    or of the type that their folder names
    /// masks/c_mask.png            (or c.png) the masks, all or none of them,
    /// masks/<defect>/d_mask.png   in the same folders
    /// ```
    /// Images are files that end in png, jpg, jpeg, bmp, tif, tiff or webp, upper or lower case; other and hidden files are
    /// passed over. The order is that of the names.
    ///
    /// # Errors
    /// A missing folder, no training image, a defective image without a mask, a mask without an image, two test images that
    /// differ only in their ending. All errors are collected before returning.
    pub fn discover(dir: &Path) -> Result<Self, DatasetError> {
        const NEEDED: &str = "the folder of a category";
        if !dir.is_dir() {
            return Err(DatasetError::MissingFolder {
                path: dir.to_path_buf(),
                needed: NEEDED,
            });
        }
        let mut found = Found::default();
        if dir.join("train").is_dir() || dir.join("test").is_dir() {
            found.mvtec(dir);
        } else if dir.join("normal").is_dir() {
            found.plain(dir);
        } else {
            return Err(DatasetError::UnknownLayout {
                path: dir.to_path_buf(),
            });
        }
        let Found {
            train,
            mut test,
            mut errors,
        } = found;
        test.sort_by(|a, b| (&a.defect, &a.path).cmp(&(&b.defect, &b.path)));
        same_names(&test, &mut errors);
        DatasetError::check(errors)?;
        // "." and ".." have no name of their own.
        let named = match dir.file_name() {
            Some(_) => dir.to_path_buf(),
            None => dir.canonicalize().map_err(|e| DatasetError::io(dir, e))?,
        };
        Ok(Self {
            name: files::name(&named),
            train,
            test,
        })
    }
}

/// The names of the category folders directly below a data set's root, sorted: those with `train/good` or `normal` inside.
///
/// # Errors
/// A missing root, or no category in it.
pub fn categories(root: &Path) -> Result<Vec<String>, DatasetError> {
    let is_category = |dir: &Path| dir.join("train/good").is_dir() || dir.join("normal").is_dir();
    let mut folders = files::folders(root, "the root of a data set")?;
    folders.retain(|dir| is_category(dir));
    if folders.is_empty() {
        let hint = if is_category(root) {
            "; it is a category itself: give the folder above it"
        } else {
            ""
        };
        return Err(DatasetError::NoCategories {
            path: root.to_path_buf(),
            hint,
        });
    }
    Ok(folders.iter().map(|dir| files::name(dir)).collect())
}

/// What a walk has found so far, right and wrong.
#[derive(Default)]
struct Found {
    train: Vec<PathBuf>,
    test: Vec<TestFile>,
    errors: Vec<DatasetError>,
}

impl Found {
    fn mvtec(&mut self, dir: &Path) {
        self.train = self.some_images(&dir.join("train").join(GOOD), "normal images to train on");
        let (test, truth) = (dir.join("test"), dir.join("ground_truth"));
        let mut defects = if test.is_dir() {
            self.folders(&test, "test images")
        } else {
            Vec::new()
        };
        for folder in &mut defects {
            if files::name(folder) == GOOD {
                self.normal_tests(folder);
            } else {
                self.defects(
                    folder,
                    &files::name(folder),
                    Some(&truth.join(files::name(folder))),
                );
            }
        }
        // Masks of a defect type that has no images at all.
        if truth.is_dir() {
            for folder in self.folders(&truth, "ground-truth masks") {
                let images = test.join(files::name(&folder));
                if !images.is_dir() {
                    self.orphans(&folder, &images);
                }
            }
        }
    }

    fn plain(&mut self, dir: &Path) {
        self.train = self.some_images(&dir.join("normal"), "normal images to train on");
        let normal_test = dir.join("normal_test");
        if normal_test.is_dir() {
            self.normal_tests(&normal_test);
        }
        let (defective, masks) = (dir.join("defective"), dir.join("masks"));
        let masks = masks.is_dir().then_some(masks);
        if defective.is_dir() {
            self.defects(&defective, DEFECTIVE, masks.as_deref());
            for folder in self.folders(&defective, "defective images") {
                let defect = files::name(&folder);
                // In this layout the name of the normal ones is taken for them, whatever folder a person makes.
                let label = if defect == GOOD {
                    format!("{DEFECTIVE}-{GOOD}")
                } else {
                    defect.clone()
                };
                self.defects(
                    &folder,
                    &label,
                    masks.as_ref().map(|m| m.join(&defect)).as_deref(),
                );
            }
        }
        if let Some(masks) = masks {
            if !defective.is_dir() {
                self.orphans(&masks, &defective);
            }
            for folder in self.folders(&masks, "ground-truth masks") {
                let images = defective.join(files::name(&folder));
                if !images.is_dir() {
                    self.orphans(&folder, &images);
                }
            }
        }
    }

    fn note<T: Default>(&mut self, result: Result<T, DatasetError>) -> T {
        result.unwrap_or_else(|error| {
            self.errors.push(error);
            T::default()
        })
    }

    fn images(&mut self, dir: &Path, needed: &'static str) -> Vec<PathBuf> {
        self.note(files::images(dir, needed))
    }

    fn folders(&mut self, dir: &Path, needed: &'static str) -> Vec<PathBuf> {
        self.note(files::folders(dir, needed))
    }

    fn some_images(&mut self, dir: &Path, needed: &'static str) -> Vec<PathBuf> {
        let errors = self.errors.len();
        let images = self.images(dir, needed);
        if images.is_empty() && self.errors.len() == errors {
            self.errors.push(DatasetError::NoImages {
                path: dir.to_path_buf(),
                needed,
            });
        }
        images
    }

    fn normal_tests(&mut self, dir: &Path) {
        let images = self.images(dir, "normal test images");
        self.test.extend(images.into_iter().map(|path| TestFile {
            path,
            defect: GOOD.to_owned(),
            mask: None,
        }));
    }

    /// Pairs the images of one defect type with their masks; `masks: None` where no masks are available.
    fn defects(&mut self, dir: &Path, defect: &str, masks: Option<&Path>) {
        let images = self.images(dir, "defective images");
        let mut by_stem = BTreeMap::new();
        if let Some(masks) = masks {
            if !masks.is_dir() {
                if !images.is_empty() {
                    const NEEDED: &str = "the masks of defective test images";
                    self.errors.push(DatasetError::MissingFolder {
                        path: masks.to_path_buf(),
                        needed: NEEDED,
                    });
                }
                return;
            }
            for mask in self.images(masks, "ground-truth masks") {
                if let Some(other) = by_stem.insert(files::stem(&mask), mask.clone()) {
                    self.errors.push(DatasetError::SameName {
                        first: other,
                        second: mask,
                    });
                }
            }
        }
        for path in images {
            let stem = files::stem(&path);
            let mask = by_stem
                .remove(&format!("{stem}_mask"))
                .or_else(|| by_stem.remove(&stem));
            if let (None, Some(masks)) = (&mask, masks) {
                let expected = masks.join(format!("{stem}_mask.png"));
                self.errors.push(DatasetError::MissingMask {
                    image: path,
                    expected,
                });
                continue;
            }
            self.test.push(TestFile {
                path,
                defect: defect.to_owned(),
                mask,
            });
        }
        self.errors
            .extend(by_stem.into_values().map(|mask| DatasetError::OrphanMask {
                mask,
                images: dir.to_path_buf(),
            }));
    }

    fn orphans(&mut self, masks: &Path, images: &Path) {
        for mask in self.images(masks, "ground-truth masks") {
            self.errors.push(DatasetError::OrphanMask {
                mask,
                images: images.to_path_buf(),
            });
        }
    }
}

/// Results are named after defect type and stem, so `000.png` beside `000.jpg` would be told apart nowhere.
fn same_names(test: &[TestFile], errors: &mut Vec<DatasetError>) {
    for pair in test.windows(2) {
        if pair[0].defect == pair[1].defect && files::stem(&pair[0].path) == files::stem(&pair[1].path) {
            errors.push(DatasetError::SameName {
                first: pair[0].path.clone(),
                second: pair[1].path.clone(),
            });
        }
    }
}
