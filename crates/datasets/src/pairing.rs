//! Which mask belongs to which image: by the name, in one of the usual forms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::names::legible_path;
use crate::walk::key;

/// What a mask's name has behind that of its image, the form of MVTec AD first. Compared without case.
const ENDINGS: [&str; 6] = ["_mask", "", "_gt", "_label", "_ground_truth", "-mask"];

/// The masks of a folder and of its subfolders.
pub(crate) struct MaskFolder {
    masks: Vec<PathBuf>,
    used: Vec<bool>,
    /// By the path without ending, as text.
    exact: BTreeMap<String, usize>,
    /// By the same in lower case.
    any_case: BTreeMap<String, usize>,
    /// By the folder below the root: MVTec LOCO gives an image a folder of masks.
    folders: BTreeMap<String, Vec<usize>>,
}

impl MaskFolder {
    /// An index of `masks`, which lie below `root`. Masks that differ only in their ending are errors.
    pub(crate) fn new(root: &Path, masks: Vec<PathBuf>, errors: &mut Vec<DatasetError>) -> Self {
        let mut index = Self {
            used: vec![false; masks.len()],
            exact: BTreeMap::new(),
            any_case: BTreeMap::new(),
            folders: BTreeMap::new(),
            masks,
        };
        for (place, mask) in index.masks.iter().enumerate() {
            let below = key(root, mask);
            let name = legible_path(&below);
            index.any_case.entry(name.to_lowercase()).or_insert(place);
            if let Some(other) = index.exact.insert(name, place) {
                errors.push(DatasetError::SameName {
                    first: index.masks[other].clone(),
                    second: mask.clone(),
                });
            }
            let folder = below.parent().map(legible_path).unwrap_or_default();
            index.folders.entry(folder).or_default().push(place);
        }
        index
    }

    /// Takes the masks of the image of this name: one, or all of the folder that has its name; none if it has none.
    pub(crate) fn take(&mut self, name: &str) -> Vec<PathBuf> {
        let named = |ending: &&str| format!("{name}{ending}");
        let names = || ENDINGS.iter().map(named);
        let one = names()
            .find_map(|name| self.free(self.exact.get(&name)))
            .or_else(|| names().find_map(|name| self.free(self.any_case.get(&name.to_lowercase()))));
        let places = match one {
            Some(place) => vec![place],
            None => self.folders.get(name).cloned().unwrap_or_default(),
        };
        for &place in &places {
            self.used[place] = true;
        }
        places
            .into_iter()
            .map(|place| self.masks[place].clone())
            .collect()
    }

    fn free(&self, place: Option<&usize>) -> Option<usize> {
        place.copied().filter(|&place| !self.used[place])
    }

    /// The masks that no image took.
    pub(crate) fn rest(&self) -> Vec<PathBuf> {
        let left = self.masks.iter().zip(&self.used).filter(|(_, used)| !**used);
        left.map(|(mask, _)| mask.clone()).collect()
    }
}

/// Images of one folder, each with the mask that lies beside it (`a.png`, `a_mask.png`), if there is one.
pub(crate) fn beside(images: Vec<PathBuf>) -> Vec<(PathBuf, Option<PathBuf>)> {
    let name = |path: &Path| legible_path(&path.with_extension("")).to_lowercase();
    let places: BTreeMap<String, usize> = images
        .iter()
        .enumerate()
        .map(|(place, path)| (name(path), place))
        .collect();
    // Where the mask of each image lies in the list.
    let mut masks: Vec<Option<usize>> = vec![None; images.len()];
    let mut is_mask = vec![false; images.len()];
    for (place, path) in images.iter().enumerate() {
        let name = name(path);
        let bases = ENDINGS.iter().filter(|ending| !ending.is_empty());
        let of = bases
            .filter_map(|ending| name.strip_suffix(ending))
            .find_map(|base| places.get(base));
        if let Some(&of) = of
            && masks[of].is_none()
        {
            masks[of] = Some(place);
            is_mask[place] = true;
        }
    }
    let kept = (0..images.len()).filter(|&place| !is_mask[place]);
    kept.map(|place| {
        (
            images[place].clone(),
            masks[place].map(|mask| images[mask].clone()),
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| Path::new("gt").join(name)).collect()
    }

    #[test]
    fn usual_names_are_found_and_used_once() {
        let mut errors = Vec::new();
        let names = [
            "a.png",
            "a_mask.png",
            "B_Mask.bmp",
            "c_GT.png",
            "loco/000.png",
            "loco/001.png",
            "old/d_mask.png",
        ];
        let mut masks = MaskFolder::new(Path::new("gt"), paths(&names), &mut errors);
        assert!(errors.is_empty());
        assert_eq!(masks.take("a"), paths(&["a_mask.png"]));
        assert_eq!(masks.take("b"), paths(&["B_Mask.bmp"]));
        assert_eq!(masks.take("c"), paths(&["c_GT.png"]));
        assert_eq!(masks.take("loco"), paths(&["loco/000.png", "loco/001.png"]));
        assert_eq!(masks.take("old/d"), paths(&["old/d_mask.png"]));
        assert!(masks.take("e").is_empty());
        assert_eq!(masks.rest(), paths(&["a.png"]));
    }

    #[test]
    fn two_masks_of_one_name_are_an_error() {
        let mut errors = Vec::new();
        MaskFolder::new(Path::new("gt"), paths(&["a_mask.bmp", "a_mask.png"]), &mut errors);
        assert!(matches!(errors[..], [DatasetError::SameName { .. }]));
    }

    #[test]
    fn masks_beside_images_are_told_from_images() {
        let found = beside(paths(&[
            "1.png",
            "1_GT.png",
            "Part0.jpg",
            "Part0_label.bmp",
            "lone_mask.png",
        ]));
        let expected = [
            ("1.png", Some("1_GT.png")),
            ("Part0.jpg", Some("Part0_label.bmp")),
            ("lone_mask.png", None),
        ];
        let expected = expected.map(|(image, mask)| {
            (
                Path::new("gt").join(image),
                mask.map(|mask| Path::new("gt").join(mask)),
            )
        });
        assert_eq!(found, expected);
    }
}
