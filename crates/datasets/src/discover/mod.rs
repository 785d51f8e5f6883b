//! Finding the files of a category: which layout its folder has, image paired with mask, all errors at once.

mod beside;
mod finder;
mod named;
mod top;
mod visa;

use std::path::{Path, PathBuf};

use crate::inventory::Inventory;
use crate::layout::{Layout, Part};
use crate::names::legible;
use crate::walk::ImageFile;
use crate::{DatasetError, Limits};
use finder::Finder;
use top::{Kind, Top};

/// What a category is wanted for: only these files are opened while it is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To train: the normal images. Test images are listed by name.
    Training,
    /// To test: the test images and their masks. Training images are listed by name.
    Testing,
    /// Both.
    Both,
}

impl Purpose {
    pub(crate) fn trains(self) -> bool {
        self != Self::Testing
    }

    pub(crate) fn tests(self) -> bool {
        self != Self::Training
    }
}

/// The files of one category, paired and sorted, nothing decoded yet.
#[derive(Clone, Debug)]
pub struct CategoryFiles {
    /// Name of the category: the folder's name.
    pub name: String,
    /// Which layout the folder has.
    pub layout: Layout,
    /// Its folders that were understood, in the order in which they were read.
    pub parts: Vec<Part>,
    /// Normal images to train on, sorted by path; may be empty.
    pub train: Vec<ImageFile>,
    /// Test images, sorted by defect type, then by path; may be empty.
    pub test: Vec<TestFile>,
    /// What was passed over and what was assumed.
    pub inventory: Inventory,
    /// What is wrong with the training part.
    pub train_faults: Vec<DatasetError>,
    /// What is wrong with the test part.
    pub test_faults: Vec<DatasetError>,
}

/// One test image and where its ground truth is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    /// The image.
    pub path: PathBuf,
    /// Its path below the folder of its defect type, without its ending, as text.
    pub name: String,
    /// Defect type; [`GOOD`](crate::GOOD) for a normal image.
    pub defect: String,
    /// The ground-truth masks: together they mark the defect. Empty for normal images, and for defective ones without a mask.
    pub masks: Vec<PathBuf>,
}

impl TestFile {
    /// Whether the image shows a defect.
    pub fn is_defective(&self) -> bool {
        self.defect != crate::GOOD
    }
}

impl CategoryFiles {
    /// Finds the files of a category, whatever is wrong with single ones of them: [`CategoryFiles::train_faults`] and
    /// [`CategoryFiles::test_faults`] tell. As [`discover_for`](Self::discover_for) with [`Purpose::Both`] and the usual limits.
    ///
    /// # Errors
    /// As [`discover_for`](Self::discover_for).
    pub fn discover(dir: &Path) -> Result<Self, DatasetError> {
        Self::discover_for(dir, Purpose::Both, &Limits::default())
    }

    /// Finds the files of a category in one of these layouts. Folder names are compared without case.
    ///
    /// MVTec AD, and with slight differences MVTec LOCO AD, MVTec AD 2 and BTAD:
    /// ```text
    /// train/good/000.png          normal images to train on; or directly in train/
    /// test/good/000.png           normal test images                                   (test/ may be absent)
    /// test/<defect>/000.png       defective test images
    /// ground_truth/<defect>/000_mask.png  (or 000.png, or 000/*.png) masks of them, as far as there are any
    /// ```
    /// Plain folder, where no single one is needed:
    /// ```text
    /// normal/a.jpg                normal images to train on
    /// normal_test/b.jpg           normal test images
    /// defective/c.jpg             defective test images, of the type "defective",
    /// defective/<defect>/d.jpg    or of the type that their folder names
    /// masks/c_mask.png            (or c.png) masks of them, as far as there are any,
    /// masks/<defect>/d_mask.png   in the same folders
    /// ```
    /// `good`, `ok`, `normal` and the like stand for each other, as do `bad`, `ng`, `ko`, `abnormal`, `defect`, `defective` and
    /// the like; so do `ground_truth` and `masks`. A mask may also lie beside its image.
    ///
    /// Others: VisA (`Data/Images/{Normal,Anomaly}`, split by `../split_csv/1cls.csv` where that is there), KolektorSDD and
    /// KolektorSDD2 (each image with its mask beside it, which says whether it is defective), and a flat folder: images
    /// without any such folder, all of them normal.
    ///
    /// Images are files that end in png, jpg, jpeg, bmp, tif, tiff or webp, upper or lower case, also in subfolders. Everything
    /// else is passed over, and [`CategoryFiles::inventory`] says why. The order is that of the paths.
    ///
    /// # Errors
    /// A missing folder, one that cannot be read, one without a known layout, one that holds several categories.
    pub fn discover_for(dir: &Path, purpose: Purpose, limits: &Limits) -> Result<Self, DatasetError> {
        let top = Top::read(dir)?;
        let mut finder = Finder::new(dir, purpose, *limits);
        let layout = match top.kind()? {
            Kind::Visa(base) => finder.visa(top, &base),
            Kind::Named => finder.named(top),
            Kind::Beside => finder.kolektor(top),
            Kind::Flat => finder.flat(&top),
            Kind::Categories(names) => {
                return Err(DatasetError::SeveralCategories {
                    path: dir.to_path_buf(),
                    names,
                });
            }
            Kind::Unknown(found) => {
                return Err(DatasetError::UnknownLayout {
                    path: dir.to_path_buf(),
                    found,
                });
            }
        };
        Ok(finder.finish(category_name(dir)?, layout))
    }

    /// The folder where normal images should lie: the first that was read for them, else the category's own.
    pub(crate) fn normal_folder(&self) -> &Path {
        let normal = self.parts.iter().find(|part| part.role == crate::Role::Normal);
        normal.map_or(&self.inventory.root, |part| &part.path)
    }

    /// How many test images are defective, and how many of these have a mask.
    pub fn masked(&self) -> (usize, usize) {
        let defective = self.test.iter().filter(|test| test.is_defective());
        let masked = defective.clone().filter(|test| !test.masks.is_empty());
        (defective.count(), masked.count())
    }
}

/// The last part of a category's path; "." and ".." have no name of their own.
fn category_name(dir: &Path) -> Result<String, DatasetError> {
    let named = match dir.file_name() {
        Some(_) => dir.to_path_buf(),
        None => dir.canonicalize().map_err(|e| DatasetError::io(dir, e))?,
    };
    Ok(named.file_name().map(legible).unwrap_or_default())
}

/// The names of the category folders directly below a data set's root, sorted: those with a layout that names its folders (all
/// but a flat one).
///
/// # Errors
/// A missing root, or no category in it.
pub fn categories(root: &Path) -> Result<Vec<String>, DatasetError> {
    let top = Top::read_for(root, "the root of a data set")?;
    let itself = matches!(top.kind()?, Kind::Visa(_) | Kind::Named | Kind::Beside);
    let names = if itself { Vec::new() } else { top.categories() };
    if names.is_empty() {
        let hint = if itself {
            "; it is a category itself: give the folder above it"
        } else {
            ""
        };
        return Err(DatasetError::NoCategories {
            path: root.to_path_buf(),
            hint,
        });
    }
    Ok(names)
}

/// Whether a folder is a category, as opposed to a folder of categories.
///
/// # Errors
/// A folder that is missing or cannot be read.
pub fn is_category(dir: &Path) -> Result<bool, DatasetError> {
    let top = Top::read(dir)?;
    Ok(match top.kind()? {
        Kind::Visa(_) | Kind::Named | Kind::Beside => true,
        Kind::Flat => top.has_images(),
        Kind::Categories(_) | Kind::Unknown(_) => false,
    })
}

/// The folders of a category from which images are read: those of known names directly in it, or its own where images lie
/// directly in it or in folders of other names. Nothing is opened. What is written into one of them would be taken for input.
///
/// # Errors
/// A folder that is missing or cannot be read.
pub fn read_folders(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let top = Top::read(dir)?;
    Ok(match top.kind()? {
        Kind::Visa(_) => top.folders.into_iter().map(|(path, _)| path).collect(),
        Kind::Named if top.images_are_normal() => vec![dir.to_path_buf()],
        Kind::Named => {
            let named = top.folders.into_iter().filter(|(_, meaning)| meaning.is_some());
            named.map(|(path, _)| path).collect()
        }
        Kind::Beside | Kind::Flat => vec![dir.to_path_buf()],
        Kind::Categories(_) | Kind::Unknown(_) => Vec::new(),
    })
}
