//! Images that their masks label: KolektorSDD, KolektorSDD2, and images with a folder of masks.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::TestFile;
use super::finder::{Finder, Masks, Side};
use super::top::Top;
use crate::inventory::Why;
use crate::layout::{GOOD, Layout, Role};
use crate::names::{Meaning, counted};
use crate::pairing::beside;
use crate::truth::marks_anything;
use crate::walk::{ImageFile, Step};
use crate::{DatasetError, Limits};

/// The defect type of images that only their masks tell to be defective.
const DEFECTIVE: &str = "defective";

/// An image, its mask, and whether that marks anything.
type Labeled = (PathBuf, PathBuf, bool);

impl Finder<'_> {
    /// Takes the images of one part of KolektorSDD2. The masks are read if the part is wanted; else the images are counted.
    pub(super) fn by_mask(&mut self, side: Side, dir: &Path, images: Vec<PathBuf>) {
        let images = self.foreign(side, images);
        let labeled = self.labeled(beside(images));
        self.part(dir, Role::ByMask, labeled.len());
        if !self.opens(side) {
            return;
        }
        for (image, mask, defective) in self.read_labels(side, labeled) {
            match (side, defective) {
                (Side::Train, false) => self.train.push(ImageFile::below(dir, image)),
                (Side::Train, true) => self.pass(image, Why::DefectiveInTraining),
                (Side::Test, false) => self.push_test(dir, image, GOOD, Vec::new()),
                (Side::Test, true) => self.push_test(dir, image, DEFECTIVE, vec![mask]),
            }
        }
    }

    /// KolektorSDD: no part is a training part. The normal images of every second folder are kept to test on; a single folder
    /// keeps none.
    pub(super) fn kolektor(&mut self, top: Top) -> Layout {
        let root = self.root;
        let Some(images) = self.walk(self.wanted(), root, "images with masks beside them", &|_| {
            Step::Enter
        }) else {
            return Layout::KolektorSdd;
        };
        let labeled = self.labeled(beside(images));
        self.part(root, Role::ByMask, labeled.len());
        let mut folders: Vec<&Path> = labeled.iter().filter_map(|(image, _)| image.parent()).collect();
        folders.dedup();
        let folders: Vec<PathBuf> = folders.into_iter().map(Path::to_path_buf).collect();
        let several = folders.len() > 1 && top.images.is_empty();
        let kept = |image: &Path| {
            let place = folders.iter().position(|folder| image.parent() == Some(folder));
            several && place.is_some_and(|place| place % 2 == 1)
        };
        self.assume(if several {
            "there is no split, so the normal images of every second folder are kept to test on".to_owned()
        } else {
            "there is no split, so all normal images are for training".to_owned()
        });
        // To train, nothing of the folders that are kept is opened.
        let labeled = match self.purpose.tests() {
            true => labeled,
            false => labeled.into_iter().filter(|(image, _)| !kept(image)).collect(),
        };
        for (image, mask, defective) in self.read_labels(self.wanted(), labeled) {
            match (defective, kept(&image)) {
                (true, _) => self.push_test(root, image, DEFECTIVE, vec![mask]),
                (false, true) => self.push_test(root, image, GOOD, Vec::new()),
                (false, false) => self.train.push(ImageFile::below(root, image)),
            }
        }
        Layout::KolektorSdd
    }

    /// Images that no folder labels. If there is a folder of masks beside them, what a mask marks is defective.
    pub(super) fn flat(&mut self, top: &Top) -> Layout {
        let truth = top.of(Meaning::Truth);
        if truth.is_empty() {
            self.normals(self.root, &Default::default());
            return Layout::Flat;
        }
        self.inventory.passed.extend(top.passed.iter().cloned());
        let masks: Vec<Masks> = truth.into_iter().map(Masks::Below).collect();
        let images = self.foreign(self.wanted(), top.images.clone());
        self.by_masks(self.root, &masks, images);
        for (dir, _) in top.folders.iter().filter(|(_, meaning)| meaning.is_none()) {
            let found = self.walk(self.wanted(), dir, "images", &|_| Step::Enter);
            self.by_masks(dir, &masks, found.unwrap_or_default());
        }
        // What has no mask is normal; what has one is told by it.
        let (unmasked, masked): (Vec<_>, Vec<_>) = std::mem::take(&mut self.test)
            .into_iter()
            .partition(|test| test.masks.is_empty());
        let sentence = format!(
            "{} without a mask taken as normal",
            counted(unmasked.len(), "image")
        );
        self.assume(sentence);
        let file = |test: TestFile| ImageFile {
            path: test.path,
            name: test.name,
        };
        self.train.extend(unmasked.into_iter().map(file));
        let labels = masked
            .par_iter()
            .map(|test| marks(&test.masks, &self.limits))
            .collect::<Vec<_>>();
        for (test, label) in masked.into_iter().zip(labels) {
            match label {
                Ok(true) => self.test.push(test),
                Ok(false) => self.train.push(file(test)),
                Err(error) => self.fault(self.wanted(), error),
            }
        }
        let others = top
            .folders
            .iter()
            .filter(|(_, meaning)| !matches!(meaning, None | Some(Meaning::Truth)));
        for (dir, _) in others {
            self.pass_folder(dir.clone(), Why::UnknownFolder);
        }
        Layout::Plain
    }

    /// Pairs the images of a folder with masks that will label them.
    fn by_masks(&mut self, dir: &Path, masks: &[Masks], images: Vec<PathBuf>) {
        if images.is_empty() {
            return;
        }
        self.pair(dir, DEFECTIVE, masks, Some(images));
        if let Some(part) = self.parts.last_mut() {
            part.role = Role::ByMask;
        }
    }

    /// The side that faults of a folder belong to that is not split.
    fn wanted(&self) -> Side {
        if self.purpose.trains() {
            Side::Train
        } else {
            Side::Test
        }
    }

    /// Those that have a mask; the others are passed over.
    fn labeled(&mut self, found: Vec<(PathBuf, Option<PathBuf>)>) -> Vec<(PathBuf, PathBuf)> {
        let mut labeled = Vec::new();
        for (image, mask) in found {
            match mask {
                Some(mask) => labeled.push((image, mask)),
                None => self.pass(image, Why::Unlabeled),
            }
        }
        labeled
    }

    fn read_labels(&mut self, side: Side, labeled: Vec<(PathBuf, PathBuf)>) -> Vec<Labeled> {
        let limits = self.limits;
        let labels: Vec<Result<bool, DatasetError>> = labeled
            .par_iter()
            .map(|(_, mask)| marks(std::slice::from_ref(mask), &limits))
            .collect();
        let mut read = Vec::new();
        for ((image, mask), label) in labeled.into_iter().zip(labels) {
            match label {
                Ok(defective) => read.push((image, mask, defective)),
                Err(error) => self.fault(side, error),
            }
        }
        read
    }
}

/// Whether masks mark anything.
fn marks(masks: &[PathBuf], limits: &Limits) -> Result<bool, DatasetError> {
    for mask in masks {
        if marks_anything(mask, limits)? {
            return Ok(true);
        }
    }
    Ok(false)
}
