//! VisA as it unpacks: images by label, and a table beside the categories that says which are for what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::finder::{Finder, Masks, Side};
use super::top::{Top, child};
use crate::DatasetError;
use crate::inventory::Why;
use crate::layout::{GOOD, Layout, Role};
use crate::names::{Meaning, counted, legible, legible_path, meaning_of};
use crate::walk::{ImageFile, Step};

/// The split for training without defective images, beside the folders of the categories.
const SPLIT: &str = "split_csv/1cls.csv";

/// Which images are to be trained on, by their paths below the data set's folder.
type Split = BTreeMap<String, bool>;

impl Finder<'_> {
    /// Reads `base/Images` and `base/Masks`.
    pub(super) fn visa(&mut self, root: Top, base: &Path) -> Layout {
        self.inventory.passed.extend(root.passed);
        for (dir, _) in root.folders {
            if !base.starts_with(&dir) && base != self.root {
                self.pass_folder(dir, Why::UnknownFolder);
            }
        }
        let split = match read_split(self.root) {
            Ok(split) => split,
            Err(error) => {
                self.train_faults.push(error.clone());
                self.test_faults.push(error);
                return Layout::Visa;
            }
        };
        let Some(images) = child(base, "images") else {
            return Layout::Visa;
        };
        let top = match Top::read_for(&images, "images") {
            Ok(top) => top,
            Err(error) => {
                self.fault(Side::Train, error);
                return Layout::Visa;
            }
        };
        self.inventory.passed.extend(top.passed);
        match &split {
            Some(_) => self.assume(format!("split by {SPLIT}")),
            None => self.assume(format!(
                "no {SPLIT} names it, so all normal images are for training"
            )),
        }
        let mut named = 0;
        for (dir, meaning) in top.folders {
            match (meaning, &split) {
                (Some(Meaning::Normal), None) => self.normals(&dir, &Default::default()),
                (Some(Meaning::Normal), Some(split)) => named += self.divided(&dir, split),
                (Some(Meaning::Defective), split) => {
                    let before = self.test.len();
                    let defect = dir.file_name().map(legible).unwrap_or_default();
                    let masks = child(base, "masks").and_then(|masks| child(&masks, &defect));
                    let masks: Vec<Masks> = masks.into_iter().map(Masks::Below).collect();
                    self.defects(&dir, &defect, &masks);
                    if let Some(split) = split {
                        named += self.keep_named(before, split);
                    }
                }
                _ => self.pass_folder(dir, Why::UnknownFolder),
            }
        }
        if let Some(split) = &split
            && named < split.len()
        {
            let missing = counted(split.len() - named, "image");
            self.assume(format!("{SPLIT} names {missing} more than there are"));
        }
        Layout::Visa
    }

    /// Divides the normal images of a folder; returns how many the split names.
    fn divided(&mut self, dir: &Path, split: &Split) -> usize {
        let side = if self.purpose.trains() {
            Side::Train
        } else {
            Side::Test
        };
        let step = |path: &Path| match meaning_of(path) {
            None => Step::Enter,
            Some(_) => Step::Pass(Why::UnknownFolder),
        };
        let Some(images) = self.walk(side, dir, "normal images", &step) else {
            return 0;
        };
        let (mut train, mut test) = (0, 0);
        for image in images {
            match split.get(&self.in_data_set(&image)) {
                Some(true) => {
                    train += 1;
                    self.train.push(ImageFile::below(dir, image));
                }
                Some(false) => {
                    test += 1;
                    self.push_test(dir, image, GOOD, Vec::new());
                }
                None => self.pass(image, Why::NotInSplit),
            }
        }
        self.part(dir, Role::Normal, train);
        self.part(dir, Role::NormalTest, test);
        train + test
    }

    /// Keeps those of the test images from a place on that the split names to test with; returns how many.
    fn keep_named(&mut self, from: usize, split: &Split) -> usize {
        for test in self.test.split_off(from) {
            match split.get(&self.in_data_set(&test.path)) {
                Some(false) => self.test.push(test),
                _ => self.pass(test.path, Why::NotInSplit),
            }
        }
        self.test.len() - from
    }

    /// The path of a file as the split names it.
    fn in_data_set(&self, path: &Path) -> String {
        let above = above(self.root);
        let below = path.strip_prefix(self.root).unwrap_or(path);
        legible_path(&category_of(&above, self.root).join(below))
    }
}

/// The category's folder without `.` and `..`, if it is there.
fn above(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_path_buf())
}

fn category_of(real: &Path, root: &Path) -> PathBuf {
    real.file_name()
        .or_else(|| root.file_name())
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// The rows of a category in the split of its data set; `None` where there is no such file.
fn read_split(root: &Path) -> Result<Option<Split>, DatasetError> {
    let real = above(root);
    let Some(path) = real
        .parent()
        .map(|above| above.join(SPLIT))
        .filter(|path| path.is_file())
    else {
        return Ok(None);
    };
    let category = legible_path(&category_of(&real, root));
    let fault = |reason: String| DatasetError::Table {
        path: path.clone(),
        reason,
    };
    let mut table = csv::Reader::from_path(&path).map_err(|error| fault(error.to_string()))?;
    let titles = table.headers().map_err(|error| fault(error.to_string()))?.clone();
    let column = |name: &str| {
        let found = titles.iter().position(|title| title.trim() == name);
        found.ok_or_else(|| fault(format!("has no column {name:?}")))
    };
    let (object, part, image) = (column("object")?, column("split")?, column("image")?);
    let mut split = Split::new();
    for row in table.records() {
        let row = row.map_err(|error| fault(error.to_string()))?;
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        if cell(object) == category {
            split.insert(cell(image).to_owned(), cell(part) == "train");
        }
    }
    Ok(Some(split).filter(|split| !split.is_empty()))
}
