//! What a search has found so far, right and wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{CategoryFiles, Purpose, TestFile};
use crate::inventory::{Inventory, Passed, Why};
use crate::layout::{GOOD, Layout, Part, Role};
use crate::names::{Meaning, meaning_of};
use crate::pairing::{MaskFolder, beside};
use crate::walk::{ImageFile, Step, Walk, whole};
use crate::{DatasetError, Limits, files};

/// Where the masks of a defect type may lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Masks {
    /// In a folder and its subfolders.
    Below(PathBuf),
    /// Directly in a folder, whose subfolders belong to other types.
    In(PathBuf),
}

impl Masks {
    fn dir(&self) -> &Path {
        let (Self::Below(dir) | Self::In(dir)) = self;
        dir
    }
}

/// A search through the folder of a category.
pub(super) struct Finder<'a> {
    pub(super) root: &'a Path,
    pub(super) purpose: Purpose,
    pub(super) limits: Limits,
    pub(super) parts: Vec<Part>,
    pub(super) train: Vec<ImageFile>,
    pub(super) test: Vec<TestFile>,
    pub(super) inventory: Inventory,
    pub(super) train_faults: Vec<DatasetError>,
    pub(super) test_faults: Vec<DatasetError>,
    masks: BTreeMap<Masks, MaskFolder>,
    /// Where the images of a folder of masks lie.
    images_of: BTreeMap<Masks, PathBuf>,
    /// Folders of masks whose images could not be listed: nothing is known of what is left in them.
    unlisted: BTreeSet<Masks>,
    /// Whether some image has a folder of masks.
    pub(super) several_masks: bool,
}

/// The part that a folder belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Train,
    Test,
}

impl<'a> Finder<'a> {
    pub(super) fn new(root: &'a Path, purpose: Purpose, limits: Limits) -> Self {
        Self {
            root,
            purpose,
            limits,
            parts: Vec::new(),
            train: Vec::new(),
            test: Vec::new(),
            inventory: Inventory {
                root: root.to_path_buf(),
                ..Inventory::default()
            },
            train_faults: Vec::new(),
            test_faults: Vec::new(),
            masks: BTreeMap::new(),
            images_of: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            several_masks: false,
        }
    }

    pub(super) fn pass(&mut self, path: PathBuf, why: Why) {
        let images = usize::from(why != Why::OtherKind);
        self.inventory.passed.push(Passed { path, why, images });
    }

    /// Passes over a folder with all its images, if it holds any.
    pub(super) fn pass_folder(&mut self, path: PathBuf, why: Why) {
        self.inventory.passed.extend(whole(&path, why));
    }

    pub(super) fn assume(&mut self, sentence: String) {
        self.inventory.assumed.push(sentence);
    }

    pub(super) fn fault(&mut self, side: Side, error: DatasetError) {
        match side {
            Side::Train => self.train_faults.push(error),
            Side::Test => self.test_faults.push(error),
        }
    }

    /// Whether the files of a part are opened while it is searched.
    pub(super) fn opens(&self, side: Side) -> bool {
        match side {
            Side::Train => self.purpose.trains(),
            Side::Test => self.purpose.tests(),
        }
    }

    /// The images of a folder and of those below that `step` enters; `None` after an error, which is noted.
    pub(super) fn walk(
        &mut self,
        side: Side,
        dir: &Path,
        needed: &'static str,
        step: &dyn Fn(&Path) -> Step,
    ) -> Option<Vec<PathBuf>> {
        let walk = Walk {
            needed,
            look_inside: self.opens(side),
            step,
        };
        match walk.images(dir, &mut self.inventory.passed) {
            Ok(images) => Some(images),
            Err(error) => {
                self.fault(side, error);
                None
            }
        }
    }

    /// Takes the images of a folder as normal ones to train on.
    pub(super) fn normals(&mut self, dir: &Path, also_passed: &BTreeSet<String>) {
        let step = |path: &Path| match meaning_of(path) {
            Some(Meaning::Truth) => Step::Pass(Why::MaskOfNormal),
            Some(Meaning::Defective) => Step::Pass(Why::DefectiveInTraining),
            Some(Meaning::Test | Meaning::NormalTest) => Step::Pass(Why::UnknownFolder),
            _ if also_passed.contains(&files::name(path).to_lowercase()) => {
                Step::Pass(Why::DefectiveInTraining)
            }
            _ => Step::Enter,
        };
        let Some(images) = self.walk(Side::Train, dir, "normal images to train on", &step) else {
            return;
        };
        self.take_normals(dir, images);
    }

    pub(super) fn take_normals(&mut self, dir: &Path, images: Vec<PathBuf>) {
        let before = self.train.len();
        for (image, mask) in beside(images) {
            self.train.push(ImageFile::below(dir, image));
            if let Some(mask) = mask {
                self.pass(mask, Why::MaskOfNormal);
            }
        }
        self.part(dir, Role::Normal, self.train.len() - before);
    }

    /// Takes the images of a folder as normal ones to test on.
    pub(super) fn normal_tests(&mut self, dir: &Path) {
        let step = |path: &Path| match meaning_of(path) {
            Some(Meaning::Truth) => Step::Pass(Why::MaskOfNormal),
            Some(Meaning::Defective | Meaning::Train) => Step::Pass(Why::UnknownFolder),
            _ => Step::Enter,
        };
        let Some(images) = self.walk(Side::Test, dir, "normal test images", &step) else {
            return;
        };
        let before = self.test.len();
        for (image, mask) in beside(images) {
            self.push_test(dir, image, GOOD, Vec::new());
            if let Some(mask) = mask {
                self.pass(mask, Why::MaskOfNormal);
            }
        }
        self.part(dir, Role::NormalTest, self.test.len() - before);
    }

    /// Takes the images of a folder as defective ones of this type. Their masks lie in the first of `masks` that has one, or
    /// beside them.
    pub(super) fn defects(&mut self, dir: &Path, defect: &str, masks: &[Masks]) {
        // A folder of masks inside is read as such.
        let inside = |path: &Path| meaning_of(path) == Some(Meaning::Truth);
        let mut masks = masks.to_vec();
        let folders = files::folders(dir, "").unwrap_or_default();
        masks.extend(folders.into_iter().filter(|path| inside(path)).map(Masks::Below));
        let step = |path: &Path| match (inside(path), path.parent() == Some(dir)) {
            (false, _) => Step::Enter,
            (true, true) => Step::Leave,
            (true, false) => Step::Pass(Why::StrayMask),
        };
        let found = self.walk(Side::Test, dir, "defective images", &step);
        self.pair(dir, defect, &masks, found);
    }

    /// Pairs images of one defect type with their masks; `None` for images that could not be listed.
    pub(super) fn pair(&mut self, dir: &Path, defect: &str, masks: &[Masks], images: Option<Vec<PathBuf>>) {
        for folder in masks {
            self.open_masks(folder);
            self.images_of.insert(folder.clone(), dir.to_path_buf());
            if images.is_none() {
                self.unlisted.insert(folder.clone());
            }
        }
        let Some(images) = images else { return };
        let count = images.len();
        let mut beside_images = 0;
        for (image, beside) in beside(images) {
            beside_images += usize::from(beside.is_some());
            let name = ImageFile::below(dir, image.clone()).name;
            let mut found: Vec<PathBuf> = beside.into_iter().collect();
            for folder in masks {
                if found.is_empty()
                    && let Some(masks) = self.masks.get_mut(folder)
                {
                    found = masks.take(&name);
                    let of_its_own = |mask: &PathBuf| mask.parent() == Some(&folder.dir().join(&name));
                    self.several_masks |= found.iter().any(of_its_own);
                }
            }
            self.push_test(dir, image, defect, found);
        }
        self.part(dir, Role::Defective(defect.to_owned()), count - beside_images);
    }

    /// Adds a test image whose masks are known.
    pub(super) fn push_test(&mut self, dir: &Path, image: PathBuf, defect: &str, masks: Vec<PathBuf>) {
        let ImageFile { path, name } = ImageFile::below(dir, image);
        self.test.push(TestFile {
            path,
            name,
            defect: defect.to_owned(),
            masks,
        });
    }

    pub(super) fn part(&mut self, path: &Path, role: Role, images: usize) {
        self.parts.push(Part {
            path: path.to_path_buf(),
            role,
            images,
        });
    }

    /// Lists the masks of a folder, once.
    fn open_masks(&mut self, folder: &Masks) {
        if self.masks.contains_key(folder) {
            return;
        }
        let dir = folder.dir().to_path_buf();
        let step = match folder {
            Masks::Below(_) => Step::Enter,
            Masks::In(_) => Step::Leave,
        };
        // Masks are told by their place, not by who wrote them.
        let walk = Walk {
            needed: "ground-truth masks",
            look_inside: false,
            step: &|_| step,
        };
        let masks = match walk.images(&dir, &mut self.inventory.passed) {
            Ok(masks) => masks,
            Err(error) => {
                self.test_faults.push(error);
                Vec::new()
            }
        };
        self.part(&dir, Role::Masks, masks.len());
        let index = MaskFolder::new(&dir, masks, &mut self.test_faults);
        self.masks.insert(folder.clone(), index);
    }

    /// Masks that no image has asked for, because there are none in `images`.
    pub(super) fn orphans(&mut self, masks: Masks, images: &Path) {
        self.open_masks(&masks);
        self.images_of
            .entry(masks)
            .or_insert_with(|| images.to_path_buf());
    }

    /// Sorts what was found, and finds what is left over or has a name twice.
    pub(super) fn finish(mut self, name: String, layout: Layout) -> CategoryFiles {
        for (folder, masks) in &self.masks {
            if let Some(images) = self
                .images_of
                .get(folder)
                .filter(|_| !self.unlisted.contains(folder))
            {
                let rest = masks.rest().into_iter();
                self.test_faults.extend(rest.map(|mask| DatasetError::OrphanMask {
                    mask,
                    images: images.clone(),
                }));
            }
        }
        self.train.sort_by(|a, b| a.path.cmp(&b.path));
        self.test
            .sort_by(|a, b| (&a.defect, &a.path).cmp(&(&b.defect, &b.path)));
        // Results are named after defect type and name, so `000.png` beside `000.jpg` would be told apart nowhere.
        let mut names: BTreeMap<(&str, &str), &Path> = BTreeMap::new();
        for test in &self.test {
            if let Some(first) = names.insert((&test.defect, &test.name), &test.path) {
                self.test_faults.push(DatasetError::SameName {
                    first: first.to_path_buf(),
                    second: test.path.clone(),
                });
            }
        }
        CategoryFiles {
            name,
            layout,
            parts: self.parts,
            train: self.train,
            test: self.test,
            inventory: self.inventory,
            train_faults: self.train_faults,
            test_faults: self.test_faults,
        }
    }
}
