//! Folders whose names say what they hold: MVTec AD and its relatives, and plain folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::finder::{Finder, Masks, Side};
use super::top::{Top, child, is_beside};
use crate::files;
use crate::inventory::Why;
use crate::layout::Layout;
use crate::names::{Meaning, legible, meaning_of};

/// The defect name of images that lie directly in a plain folder's `defective/`.
const DEFECTIVE: &str = "defective";

/// The folders below those of masks that images have asked for.
type Claimed = BTreeSet<PathBuf>;

impl Finder<'_> {
    /// Reads the folders by their names.
    pub(super) fn named(&mut self, top: Top) -> Layout {
        self.inventory.passed.extend(top.passed.iter().cloned());
        let mut truth = top.of(Meaning::Truth);
        let tests = top.of(Meaning::Test);
        for test in &tests {
            let inside = files::folders(test, "").unwrap_or_default();
            truth.extend(
                inside
                    .into_iter()
                    .filter(|dir| meaning_of(dir) == Some(Meaning::Truth)),
            );
        }
        let by_mask = self.train_part(&top, &tests);
        let mut claimed = Claimed::new();
        let mut labeled_by_mask = by_mask;
        for test in &tests {
            labeled_by_mask |= self.test_part(test, &truth, &mut claimed);
        }
        for dir in top.of(Meaning::NormalTest) {
            self.normal_tests(&dir);
        }
        for dir in top.of(Meaning::Defective) {
            if tests.is_empty() {
                self.defective(&dir, &truth, &mut claimed);
            } else {
                self.pass_folder(dir, Why::UnknownFolder);
            }
        }
        for dir in &truth {
            self.left_over(dir, tests.first(), &claimed);
        }
        for dir in top.of(Meaning::Validation) {
            self.pass_folder(dir, Why::Validation);
        }
        for dir in top.of(Meaning::Unlabelled) {
            self.pass_folder(dir, Why::Unlabeled);
        }
        for (dir, _) in top.folders.iter().filter(|(_, meaning)| meaning.is_none()) {
            self.pass_folder(dir.clone(), Why::UnknownFolder);
        }
        self.which(&top, &tests, labeled_by_mask)
    }

    fn which(&self, top: &Top, tests: &[PathBuf], labeled_by_mask: bool) -> Layout {
        let is = |dir: &Path, name: &str| files::name(dir).to_lowercase() == name;
        let train = top.of(Meaning::Train);
        if labeled_by_mask {
            Layout::KolektorSdd2
        } else if tests.iter().any(|dir| is(dir, "test_public")) {
            Layout::MvtecAd2
        } else if self.several_masks {
            Layout::MvtecLoco
        } else if tests.iter().any(|dir| child(dir, "ko").is_some())
            && train.iter().any(|dir| child(dir, "ok").is_some())
        {
            Layout::Btad
        } else if !tests.is_empty() || !train.is_empty() {
            Layout::Mvtec
        } else {
            Layout::Plain
        }
    }

    /// The images to train on: those of `train`, else of `normal`, else those beside a folder of defective ones. Says whether
    /// masks beside the images label them.
    fn train_part(&mut self, top: &Top, tests: &[PathBuf]) -> bool {
        let train = top.of(Meaning::Train);
        let normal = top.of(Meaning::Normal);
        let mut direct = top.images.clone();
        let mut by_mask = false;
        if !train.is_empty() {
            let defects = defect_names(tests);
            for dir in &train {
                by_mask |= self.train_folder(dir, &defects);
            }
            for dir in normal {
                self.pass_folder(dir, Why::UnknownFolder);
            }
        } else if !normal.is_empty() {
            for dir in &normal {
                self.normals(dir, &BTreeSet::new());
            }
        } else if top.images_are_normal() {
            self.assume("the images beside the folders are taken as normal".to_owned());
            let images = self.foreign(Side::Train, std::mem::take(&mut direct));
            self.take_normals(self.root, images);
        }
        for image in self.foreign(Side::Train, direct) {
            self.pass(image, Why::Unlabeled);
        }
        by_mask
    }

    /// The images that this program did not write; the others are passed over.
    pub(super) fn foreign(&mut self, side: Side, images: Vec<PathBuf>) -> Vec<PathBuf> {
        if !self.opens(side) {
            return images;
        }
        let (own, foreign): (Vec<_>, Vec<_>) = images.into_iter().partition(|path| crate::own::is_own(path));
        for path in own {
            self.pass(path, Why::OwnPicture);
        }
        foreign
    }

    fn train_folder(&mut self, dir: &Path, defects: &BTreeSet<String>) -> bool {
        let top = match Top::read_for(dir, "images to train on") {
            Ok(top) => top,
            Err(error) => {
                self.fault(Side::Train, error);
                return false;
            }
        };
        let normal = top.of(Meaning::Normal);
        if normal.is_empty() {
            if is_beside(&top.images) {
                self.inventory.passed.extend(top.passed);
                self.by_mask(Side::Train, dir, top.images);
                return true;
            }
            self.normals(dir, defects);
            return false;
        }
        self.inventory.passed.extend(top.passed);
        for dir in &normal {
            self.normals(dir, &BTreeSet::new());
        }
        for (dir, meaning) in top.folders {
            match meaning {
                Some(Meaning::Normal) => {}
                Some(Meaning::Defective) => self.pass_folder(dir, Why::DefectiveInTraining),
                Some(Meaning::Truth) => self.pass_folder(dir, Why::StrayMask),
                _ if defects.contains(&files::name(&dir).to_lowercase()) => {
                    self.pass_folder(dir, Why::DefectiveInTraining);
                }
                _ => self.pass_folder(dir, Why::UnknownFolder),
            }
        }
        for image in self.foreign(Side::Train, top.images) {
            self.pass(image, Why::Unlabeled);
        }
        false
    }

    fn test_part(&mut self, dir: &Path, truth: &[PathBuf], claimed: &mut Claimed) -> bool {
        let top = match Top::read_for(dir, "test images") {
            Ok(top) => top,
            Err(error) => {
                self.fault(Side::Test, error);
                return false;
            }
        };
        self.inventory.passed.extend(top.passed);
        for (dir, meaning) in top.folders {
            match meaning {
                Some(Meaning::Normal | Meaning::NormalTest) => self.normal_tests(&dir),
                Some(Meaning::Truth) => {}
                Some(Meaning::Unlabelled) => self.pass_folder(dir, Why::Unlabeled),
                _ => {
                    let defect = dir.file_name().map(legible).unwrap_or_default();
                    let masks = self.masks_of(&dir, truth, claimed);
                    self.defects(&dir, &defect, &masks);
                }
            }
        }
        if is_beside(&top.images) {
            self.by_mask(Side::Test, dir, top.images);
            return true;
        }
        for image in self.foreign(Side::Test, top.images) {
            self.pass(image, Why::Unlabeled);
        }
        false
    }

    /// A plain folder of defective images: directly in it, and in folders that name their types.
    pub(super) fn defective(&mut self, dir: &Path, truth: &[PathBuf], claimed: &mut Claimed) {
        let top = match Top::read_for(dir, "defective images") {
            Ok(top) => top,
            Err(error) => {
                self.fault(Side::Test, error);
                self.pair(
                    dir,
                    DEFECTIVE,
                    &truth.iter().cloned().map(Masks::In).collect::<Vec<_>>(),
                    None,
                );
                return;
            }
        };
        self.inventory.passed.extend(top.passed);
        let folder = dir.file_name().map(legible).unwrap_or_default();
        let label = if folder.to_lowercase() == DEFECTIVE {
            DEFECTIVE.to_owned()
        } else {
            folder
        };
        let mut masks: Vec<Masks> = top
            .folders
            .iter()
            .filter(|(_, meaning)| *meaning == Some(Meaning::Truth))
            .map(|(dir, _)| Masks::Below(dir.clone()))
            .collect();
        if !top.images.is_empty() || !top.folders.is_empty() {
            masks.extend(self.masks_of(dir, truth, claimed));
            masks.extend(truth.iter().cloned().map(Masks::In));
            let images = self.foreign(Side::Test, top.images);
            self.pair(dir, &label, &masks, Some(images));
        }
        for (below, meaning) in top.folders {
            if meaning == Some(Meaning::Truth) {
                continue;
            }
            let name = below.file_name().map(legible).unwrap_or_default();
            // In this layout a name of normal images is taken for a type, whatever folder a person makes.
            let label = if meaning == Some(Meaning::Normal) {
                format!("{DEFECTIVE}-{name}")
            } else {
                name
            };
            let masks = self.masks_of(&below, truth, claimed);
            self.defects(&below, &label, &masks);
        }
    }

    /// The folders of masks for a folder of images: those of the same name, in any case.
    fn masks_of(&mut self, images: &Path, truth: &[PathBuf], claimed: &mut Claimed) -> Vec<Masks> {
        let name = files::name(images);
        let mut found = Vec::new();
        for dir in truth {
            let Some(masks) = child(dir, &name) else { continue };
            if masks.file_name() != images.file_name() {
                let sentence = format!("{} holds the masks of {}", self.below(&masks), self.below(images));
                self.assume(sentence);
            }
            claimed.insert(masks.clone());
            found.push(Masks::Below(masks));
        }
        found
    }

    fn below(&self, path: &Path) -> String {
        crate::names::legible_path(path.strip_prefix(self.root).unwrap_or(path))
    }

    /// What nobody asked for in a folder of masks.
    fn left_over(&mut self, truth: &Path, test: Option<&PathBuf>, claimed: &Claimed) {
        let top = match Top::read_for(truth, "ground-truth masks") {
            Ok(top) => top,
            Err(error) => return self.fault(Side::Test, error),
        };
        for (dir, meaning) in top.folders {
            if claimed.contains(&dir) {
                continue;
            }
            if meaning == Some(Meaning::Normal) {
                self.pass_folder(dir, Why::MaskOfNormal);
                continue;
            }
            let name = dir.file_name().unwrap_or_default();
            let images = match test {
                Some(test) => test.join(name),
                None => self.root.join(DEFECTIVE).join(name),
            };
            self.orphans(Masks::Below(dir), &images);
        }
        if test.is_some() {
            self.inventory.passed.extend(top.passed);
            for mask in top.images {
                self.pass(mask, Why::StrayMask);
            }
        } else {
            self.orphans(Masks::In(truth.to_path_buf()), &self.root.join(DEFECTIVE));
        }
    }
}

/// The names of the defect types in test folders, in lower case.
fn defect_names(tests: &[PathBuf]) -> BTreeSet<String> {
    tests
        .iter()
        .flat_map(|test| files::folders(test, "").unwrap_or_default())
        .filter(|dir| !matches!(meaning_of(dir), Some(Meaning::Normal | Meaning::NormalTest)))
        .map(|dir| files::name(&dir).to_lowercase())
        .collect()
}
